//! Charts as inline SVG.

use std::fmt::Write;

use super::super::comparison::PolicySuccess;
use super::super::confidence::Interval;
use super::super::fidelity::Fidelity;
use super::page::escape;

/// Width and height of the plot area, in pixels.
const PLOT: (f64, f64) = (440.0, 330.0);
/// Room to the left of and above the plot area.
const ORIGIN: (f64, f64) = (56.0, 16.0);
/// Room to the right of the plot area, for labels.
const LABEL_ROOM: f64 = 96.0;
/// Least distance between two labels, in pixels.
const LABEL_SPACE: f64 = 13.0;

/// Maps numbers to places in the plot area.
struct Axes {
    x: (f64, f64),
    y: (f64, f64),
}

impl Axes {
    fn x(&self, value: f64) -> f64 {
        ORIGIN.0 + PLOT.0 * (value - self.x.0) / (self.x.1 - self.x.0)
    }

    fn y(&self, value: f64) -> f64 {
        ORIGIN.1 + PLOT.1 * (1.0 - (value - self.y.0) / (self.y.1 - self.y.0))
    }

    /// Starts a drawing with grid lines and numbers.
    fn frame(
        &self,
        description: &str,
        labels: (&str, &str),
        ticks: (&[f64], &[f64]),
        number: fn(f64) -> String,
    ) -> String {
        let (width, height) = (ORIGIN.0 + PLOT.0 + LABEL_ROOM, ORIGIN.1 + PLOT.1 + 48.0);
        let mut svg = format!(
            r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">"#,
            escape(description)
        );
        let (left, right) = (ORIGIN.0, ORIGIN.0 + PLOT.0);
        let (top, bottom) = (ORIGIN.1, ORIGIN.1 + PLOT.1);
        for tick in ticks.0 {
            let x = self.x(*tick);
            line(&mut svg, "grid", (x, top), (x, bottom));
            text(&mut svg, "tick middle", (x, bottom + 16.0), &number(*tick));
        }
        for tick in ticks.1 {
            let y = self.y(*tick);
            line(&mut svg, "grid", (left, y), (right, y));
            text(&mut svg, "tick end", (left - 8.0, y + 4.0), &number(*tick));
        }
        line(&mut svg, "axis", (left, bottom), (right, bottom));
        line(&mut svg, "axis", (left, top), (left, bottom));
        text(
            &mut svg,
            "label middle",
            ((left + right) / 2.0, bottom + 38.0),
            labels.0,
        );
        let middle = (top + bottom) / 2.0;
        add(
            &mut svg,
            format_args!(
                r#"<text class="label middle" transform="translate(14 {middle}) rotate(-90)">{}</text>"#,
                escape(labels.1)
            ),
        );
        svg
    }
}

/// Draws success in the learned world over success in the physics world, with intervals.
pub(super) fn success_scatter(policies: &[PolicySuccess]) -> String {
    let axes = Axes {
        x: (0.0, 1.0),
        y: (0.0, 1.0),
    };
    let ticks = [0.0, 0.25, 0.5, 0.75, 1.0];
    let labels = ("success in the physics world", "success in the learned world");
    let description = "Success rates in the learned world over those in the physics world, one point per policy";
    let mut svg = axes.frame(description, labels, (&ticks, &ticks), |value| {
        format!("{:.0} %", value * 100.0)
    });
    line(
        &mut svg,
        "diagonal",
        (axes.x(0.0), axes.y(0.0)),
        (axes.x(1.0), axes.y(1.0)),
    );
    let mut points = Vec::new();
    for policy in policies {
        let (Some(learned), Some(physics)) = (&policy.learned, &policy.physics) else {
            continue;
        };
        let (x, y) = (axes.x(physics.rate), axes.y(learned.rate));
        let Interval { low, high } = physics.interval;
        line(&mut svg, "whisker", (axes.x(low), y), (axes.x(high), y));
        let Interval { low, high } = learned.interval;
        line(&mut svg, "whisker", (x, axes.y(low)), (x, axes.y(high)));
        let title = format!(
            "{}: learned {}/{}, physics {}/{}",
            policy.policy, learned.successes, learned.episodes, physics.successes, physics.episodes
        );
        points.push((x, y, policy.policy.as_str(), title));
    }
    for (x, y, _, title) in &points {
        add(
            &mut svg,
            format_args!(
                r#"<circle class="point" cx="{x:.1}" cy="{y:.1}" r="5"><title>{}</title></circle>"#,
                escape(title)
            ),
        );
    }
    for (x, y, name) in place_labels(points.iter().map(|(x, y, name, _)| (*x, *y, *name)).collect()) {
        text(&mut svg, "name", (x + 9.0, y - 6.0), name);
    }
    svg + "</svg>"
}

/// Draws PSNR over frames: the model, and the first frame held still.
pub(super) fn fidelity_lines(fidelity: &Fidelity) -> String {
    let values = fidelity.frames.iter().flat_map(|(model, still)| [*model, *still]);
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = ((low / 5.0).floor() * 5.0, (high / 5.0).ceil() * 5.0);
    let frames = fidelity.frames.len().max(2);
    let axes = Axes {
        x: (1.0, frames as f64),
        y: (low, high.max(low + 5.0)),
    };
    let levels: Vec<f64> = (0..)
        .map(|step| low + 5.0 * f64::from(step))
        .take_while(|level| *level <= axes.y.1)
        .collect();
    let chunk_length = frames / fidelity.chunks.len().max(1);
    let ends: Vec<f64> = (1..=fidelity.chunks.len())
        .map(|chunk| (chunk * chunk_length) as f64)
        .collect();
    let description =
        "PSNR of predicted frames over the number of the frame, with the first frame held still for comparison";
    let labels = ("predicted frame; grid lines end chunks", "PSNR in dB");
    let mut svg = axes.frame(description, labels, (&ends, &levels), |value| format!("{value:.0}"));
    for (class, name) in [("still", "still frame"), ("model", "world model")] {
        let value = |(model, still): &(f64, f64)| if class == "model" { *model } else { *still };
        let points = fidelity.frames.iter().enumerate();
        let path: Vec<String> = points
            .map(|(index, pair)| format!("{:.1},{:.1}", axes.x(index as f64 + 1.0), axes.y(value(pair))))
            .collect();
        add(
            &mut svg,
            format_args!(r#"<polyline class="{class}" points="{}"/>"#, path.join(" ")),
        );
        if let Some(last) = fidelity.frames.last() {
            let place = (axes.x(fidelity.frames.len() as f64) + 6.0, axes.y(value(last)) + 4.0);
            text(&mut svg, &format!("name {class}"), place, name);
        }
    }
    svg + "</svg>"
}

/// Moves labels down that would lie on another one.
fn place_labels(mut labels: Vec<(f64, f64, &str)>) -> Vec<(f64, f64, &str)> {
    labels.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)));
    for index in 1..labels.len() {
        let (before, rest) = labels.split_at_mut(index);
        let (x, y, name) = &mut rest[0];
        for (other_x, other_y, other_name) in before.iter() {
            // About six pixels per letter.
            let reach = 6.5 * if *x < *other_x { name.len() } else { other_name.len() } as f64;
            if (*x - other_x).abs() < reach && (*y - other_y).abs() < LABEL_SPACE {
                *y = other_y + LABEL_SPACE;
            }
        }
    }
    labels
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    add(
        svg,
        format_args!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#),
    );
}

fn text(svg: &mut String, class: &str, (x, y): (f64, f64), content: &str) {
    add(
        svg,
        format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{}</text>"#,
            escape(content)
        ),
    );
}

fn add(svg: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = svg.write_fmt(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_equal_points_do_not_overlap() {
        let placed = place_labels(vec![
            (50.0, 80.0, "cloned:0"),
            (50.0, 80.0, "cloned:1"),
            (50.0, 80.0, "cloned:2"),
        ]);
        let heights: Vec<f64> = placed.iter().map(|(_, y, _)| *y).collect();
        assert_eq!(heights, [80.0, 93.0, 106.0]);
        assert_eq!(place_labels(vec![(50.0, 80.0, "a"), (400.0, 80.0, "b")])[1].1, 80.0);
    }
}
