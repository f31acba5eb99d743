//! The loss over the steps as a picture.

use std::path::Path;

use image::{Rgb, RgbImage};
use serde_json::{Map, Value};

use crate::error::TrainingError;
use crate::lettering::{LETTER_HEIGHT, LETTER_WIDTH, draw_line, draw_text, fill};

const WIDTH: u32 = 800;
const HEIGHT: u32 = 480;
const LEFT: u32 = 90;
const RIGHT: u32 = 30;
const TOP: u32 = 40;
const BOTTOM: u32 = 50;
const INK: Rgb<u8> = Rgb([40, 40, 40]);
const GRID: Rgb<u8> = Rgb([225, 225, 225]);
const CURVE: Rgb<u8> = Rgb([31, 100, 180]);

/// Draws the losses of the metrics, the loss on a logarithmic axis; draws nothing before there are two.
pub(crate) fn draw_loss_curve(metrics: &[Map<String, Value>], path: &Path) -> Result<(), TrainingError> {
    let number = |line: &Map<String, Value>, key: &str| line.get(key).and_then(Value::as_f64);
    let points: Vec<(f64, f64)> = metrics
        .iter()
        .filter_map(|line| Some((number(line, "step")?, number(line, "loss")?)))
        .filter(|(_, loss)| *loss > 0.0)
        .map(|(step, loss)| (step, loss.log10()))
        .collect();
    if points.len() < 2 {
        return Ok(());
    }
    draw(&points).save(path).map_err(|source| TrainingError::Picture {
        path: path.to_path_buf(),
        source,
    })
}

fn draw(points: &[(f64, f64)]) -> RgbImage {
    let mut picture = RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([255, 255, 255]));
    let last_step = points.iter().map(|point| point.0).fold(1.0, f64::max);
    let low = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min) - 0.02;
    let high = points.iter().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max) + 0.02;
    let (width, height) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let column = |step: f64| LEFT + (step / last_step * f64::from(width)) as u32;
    let row = |loss: f64| TOP + ((high - loss) / (high - low) * f64::from(height)) as u32;

    for mark in 0..=5 {
        let share = f64::from(mark) / 5.0;
        let (loss, step) = (low + share * (high - low), share * last_step);
        fill(&mut picture, [LEFT, row(loss), width, 1], GRID);
        fill(&mut picture, [column(step), TOP, 1, height], GRID);
        let label = format!("{:.4}", 10.0_f64.powf(loss));
        let label_width = label.len() as u32 * LETTER_WIDTH;
        draw_text(
            &mut picture,
            &label,
            (LEFT - 8).saturating_sub(label_width),
            row(loss) - LETTER_HEIGHT / 2,
            INK,
        );
        let label = format!("{step:.0}");
        let half = label.len() as u32 * LETTER_WIDTH / 2;
        draw_text(&mut picture, &label, column(step) - half, HEIGHT - BOTTOM + 8, INK);
    }
    fill(&mut picture, [LEFT, TOP, 2, height], INK);
    fill(&mut picture, [LEFT, HEIGHT - BOTTOM, width, 2], INK);
    draw_text(&mut picture, "LOSS", LEFT, TOP - 20, INK);
    draw_text(&mut picture, "STEP", LEFT + width / 2, HEIGHT - 20, INK);

    for pair in points.windows(2) {
        let (from, to) = ((column(pair[0].0), row(pair[0].1)), (column(pair[1].0), row(pair[1].1)));
        draw_line(&mut picture, from, to, CURVE);
    }
    picture
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_falling_loss_is_drawn_from_upper_left_to_lower_right() {
        let points: Vec<(f64, f64)> = (0..50).map(|step| (f64::from(step), -f64::from(step) / 50.0)).collect();
        let picture = draw(&points);
        let rows = |x: u32| {
            (0..HEIGHT)
                .filter(|&y| *picture.get_pixel(x, y) == CURVE)
                .min()
                .expect("a point of the curve")
        };
        assert!(rows(LEFT + 20) < rows(WIDTH / 2) && rows(WIDTH / 2) < rows(WIDTH - RIGHT - 30));
    }

    #[test]
    fn a_curve_needs_two_points() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("loss.png");
        let line = |step: u64| {
            json!({"step": step, "loss": 0.5})
                .as_object()
                .expect("an object")
                .clone()
        };
        draw_loss_curve(&[line(1)], &path).expect("nothing to draw");
        assert!(!path.exists());
        draw_loss_curve(&[line(1), line(2)], &path).expect("drawn");
        assert!(path.exists());
    }
}
