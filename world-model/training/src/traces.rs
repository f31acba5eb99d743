//! Curves over the frames of validation episodes: what was recorded, and what a network says.

use std::path::Path;

use image::{Rgb, RgbImage};

use crate::error::TrainingError;
use crate::lettering::{LETTER_HEIGHT, LETTER_WIDTH, draw_line, draw_text, fill};

const PANEL_WIDTH: u32 = 260;
const PANEL_HEIGHT: u32 = 150;
const COLUMNS: u32 = 3;
/// Pixels around the curves of a panel; the scale stands to their left.
const MARGIN: u32 = 14;
const SCALE_WIDTH: u32 = 6 * LETTER_WIDTH;
const INK: Rgb<u8> = Rgb([120, 120, 120]);
const TRUTH: Rgb<u8> = Rgb([40, 40, 40]);
const ANSWER: Rgb<u8> = Rgb([220, 90, 30]);

/// One value over the frames of an episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// As it was recorded.
    pub truth: Vec<f32>,
    /// As the network says.
    pub answer: Vec<f32>,
}

/// Draws a panel for each trace, three in a row: what was recorded in dark gray, what the network says in orange.
///
/// Draws nothing for no traces.
///
/// # Errors
/// [`TrainingError::Picture`] if the file can't be written.
pub fn draw_traces(traces: &[Trace], path: &Path) -> Result<(), TrainingError> {
    if traces.is_empty() {
        return Ok(());
    }
    let rows = (traces.len() as u32).div_ceil(COLUMNS);
    let columns = COLUMNS.min(traces.len() as u32);
    let mut picture = RgbImage::from_pixel(columns * PANEL_WIDTH, rows * PANEL_HEIGHT, Rgb([255, 255, 255]));
    for (place, trace) in (0..).zip(traces) {
        let corner = (place % COLUMNS * PANEL_WIDTH, place / COLUMNS * PANEL_HEIGHT);
        draw_panel(&mut picture, trace, corner);
    }
    picture.save(path).map_err(|source| TrainingError::Picture {
        path: path.to_path_buf(),
        source,
    })
}

fn draw_panel(picture: &mut RgbImage, trace: &Trace, (left, top): (u32, u32)) {
    let (left, top) = (left + SCALE_WIDTH + MARGIN, top + MARGIN);
    let (width, height) = (PANEL_WIDTH - SCALE_WIDTH - 2 * MARGIN, PANEL_HEIGHT - 2 * MARGIN);
    let values = || {
        trace
            .truth
            .iter()
            .chain(&trace.answer)
            .copied()
            .filter(|value| value.is_finite())
    };
    let low = values().fold(0.0, f32::min);
    // A flat curve still needs a scale.
    let high = values().fold(low + 0.1, f32::max);
    fill(picture, [left, top, 1, height], INK);
    fill(picture, [left, top + height, width, 1], INK);
    for (value, row) in [(high, top), (low, top + height)] {
        let label = format!("{value:.2}");
        let label_left = left - 4 - (label.len() as u32 * LETTER_WIDTH).min(SCALE_WIDTH);
        draw_text(picture, &label, label_left, row - LETTER_HEIGHT / 2, INK);
    }
    let last = trace.truth.len().max(trace.answer.len()).saturating_sub(1).max(1) as f32;
    for (curve, colour) in [(&trace.truth, TRUTH), (&trace.answer, ANSWER)] {
        let points: Vec<(u32, u32)> = (0..)
            .zip(curve)
            .filter(|(_, value)| value.is_finite())
            .map(|(frame, value)| {
                let (x, y) = (frame as f32 / last, (high - value) / (high - low));
                (left + (x * width as f32) as u32, top + (y * height as f32) as u32)
            })
            .collect();
        for pair in points.windows(2) {
            draw_line(picture, pair[0], pair[1], colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_curves_of_every_trace_are_drawn() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("traces.png");
        draw_traces(&[], &path).expect("nothing to draw");
        assert!(!path.exists());
        let trace = Trace {
            truth: vec![0.0, 0.2, 0.9, f32::NAN],
            answer: vec![0.1, -0.3, 0.5, 0.5],
        };
        draw_traces(&[Trace::default(), trace.clone(), trace.clone(), trace], &path).expect("drawn");
        let picture = image::open(&path).expect("a picture").into_rgb8();
        assert_eq!(picture.dimensions(), (3 * PANEL_WIDTH, 2 * PANEL_HEIGHT));
        for (column, row, expected) in [(0, 0, false), (1, 0, true), (2, 0, true), (0, 1, true)] {
            for colour in [TRUTH, ANSWER] {
                let drawn = (0..PANEL_HEIGHT).any(|y| {
                    (0..PANEL_WIDTH)
                        .any(|x| *picture.get_pixel(column * PANEL_WIDTH + x, row * PANEL_HEIGHT + y) == colour)
                });
                assert_eq!(drawn, expected, "panel {column}, {row}");
            }
        }
    }
}
