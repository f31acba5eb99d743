//! `report.html`: one page that needs no other file.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;

use super::super::comparison::WorldComparison;
use super::super::error::EvaluationError;
use super::super::fidelity::Fidelity;
use super::super::journal::EpisodeRecord;
use super::super::success::SuccessRate;
use super::animation::side_by_side_gif;
use super::chart::{fidelity_lines, success_scatter};
use super::film_strip::film_strip;
use super::showcase::Showcase;
use super::style::STYLE;
use super::summary::Summary;

/// Name of the page in an output folder.
pub const REPORT_FILE: &str = "report.html";
/// Folder of the animations in an output folder.
const ANIMATIONS: &str = "animations";
/// How large each pixel of an animation becomes.
const ZOOM: u32 = 4;
/// Frames of a film strip.
const STRIP_FRAMES: usize = 9;

/// Everything that the page shows.
#[derive(Debug, Clone)]
pub struct Report {
    /// The figures.
    pub summary: Summary,
    /// Episodes with their frames.
    pub showcases: Vec<Showcase>,
    /// Frames per second of the episodes.
    pub frame_rate_hz: f32,
    /// Commands that make this report again.
    pub commands: Vec<String>,
    /// What the world model is, in a sentence; empty where there is none.
    pub world_model: String,
}

impl Report {
    /// Writes the page, and the animations into its folder `animations`; returns the files of the animations.
    ///
    /// Animations of an earlier report are removed.
    ///
    /// # Errors
    /// [`EvaluationError::Write`] and [`EvaluationError::Picture`].
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, EvaluationError> {
        let animations = folder.join(ANIMATIONS);
        clear_animations(&animations).map_err(|source| write_error(&animations, source))?;
        let mut files = Vec::new();
        let mut shows = String::new();
        for (index, showcase) in self.showcases.iter().enumerate() {
            let (predicted, physics) = (showcase.predicted_images(), showcase.physics_images());
            let gif = side_by_side_gif(&predicted, &physics, self.frame_rate_hz, ZOOM)?;
            let path = animations.join(animation_name(index, showcase));
            fs::write(&path, &gif.bytes).map_err(|source| write_error(&path, source))?;
            shows += &show(
                &showcase.record,
                &gif.bytes,
                [("predicted", &predicted), ("physics", &physics)],
            )?;
            files.push(path);
        }
        let path = folder.join(REPORT_FILE);
        fs::write(&path, self.html(&shows)).map_err(|source| write_error(&path, source))?;
        Ok(files)
    }

    fn html(&self, shows: &str) -> String {
        let summary = &self.summary;
        let title = format!("Worldloop: {}", escape(&summary.task.replace('_', " ")));
        let mut body = format!("<h1>{title}</h1>");
        add(
            &mut body,
            format_args!(
                "<p class=\"soft\">{} policies, {} episodes each from seed {}. {}</p>",
                summary.policies.len(),
                summary.episodes,
                summary.first_seed,
                escape(&self.world_model)
            ),
        );
        body += &self.key_figures();
        body += &self.success_section();
        if let Some(fidelity) = &summary.fidelity {
            body += &fidelity_section(fidelity, &summary.fidelity_tasks);
        }
        body += &self.episodes_section(shows);
        add(
            &mut body,
            format_args!(
                "<h2>How this was made</h2><p class=\"soft\">{}</p><pre>{}</pre>",
                escape(&summary.machine.to_string()),
                escape(&self.commands.join("\n"))
            ),
        );
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
             <style>{STYLE}</style></head><body>{body}</body></html>\n"
        )
    }

    fn episodes_section(&self, shows: &str) -> String {
        if shows.is_empty() {
            return String::new();
        }
        let explanation = if self.showcases.iter().any(|show| show.predicted.is_some()) {
            "Left and above: what the world model predicted. Right and below: the physics world, from the same initial \
             state with the same actions."
        } else {
            "As the physics world showed them."
        };
        format!("<h2>Episodes</h2><p>{explanation}</p><div class=\"shows\">{shows}</div>")
    }

    fn key_figures(&self) -> String {
        let summary = &self.summary;
        let figures = [
            (
                summary.pearson_r.map(|value| format!("{value:.3}")),
                "Pearson r, learned against physics",
            ),
            (
                summary.mmrv.map(|value| format!("{value:.3}")),
                "MMRV (0 is a perfect ranking)",
            ),
            (
                summary.psnr_chunk1.map(|value| format!("{value:.1} dB")),
                "PSNR of the next chunk",
            ),
            (
                summary.psnr_chunk4.map(|value| format!("{value:.1} dB")),
                "PSNR of the fourth chunk",
            ),
            (
                summary.gain_moving_db.map(|value| format!("{value:+.1} dB")),
                "over a still frame, where it moves",
            ),
            (
                summary.shuffled_error_ratio.map(|value| format!("{value:.1}×")),
                "error with wrong actions",
            ),
        ];
        let shown = figures
            .into_iter()
            .filter_map(|(figure, name)| Some(format!("<div><b>{}</b>{name}</div>", figure?)));
        format!("<div class=\"key\">{}</div>", shown.collect::<String>())
    }

    fn success_section(&self) -> String {
        let policies = &self.summary.policies;
        if policies.is_empty() {
            return String::new();
        }
        let both = policies
            .iter()
            .any(|row| row.learned.is_some() && row.physics.is_some());
        let mut rows = String::new();
        for row in policies {
            let agreement = row
                .agreement
                .map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
            add(
                &mut rows,
                format_args!(
                    "<tr><td>{}</td>{}{}<td>{agreement}</td></tr>",
                    escape(&row.policy),
                    cells(row.learned.as_ref()),
                    cells(row.physics.as_ref())
                ),
            );
        }
        let mut section = format!(
            "<h2>Success</h2><table><thead><tr><th>policy</th><th>learned</th><th>95 % interval</th><th>physics</th>\
             <th>95 % interval</th><th>same outcome</th></tr></thead><tbody>{rows}</tbody></table>\
             <p class=\"soft\">Wilson intervals. In the learned world a judge network decides on success, in the physics \
             world the simulator's state does.</p>"
        );
        if both && policies.len() > 1 {
            add(
                &mut section,
                format_args!(
                    "<figure>{}<figcaption>One point per policy, with intervals. {}</figcaption></figure>",
                    success_scatter(policies),
                    agreement_sentence(WorldComparison::of(policies).as_ref())
                ),
            );
        }
        section
    }
}

fn agreement_sentence(comparison: Option<&WorldComparison>) -> String {
    match comparison {
        Some(WorldComparison {
            pearson_r: Some(r),
            mmrv,
        }) => format!("Pearson r {r:.3}, MMRV {mmrv:.3}."),
        Some(WorldComparison { pearson_r: None, mmrv }) => {
            format!("MMRV {mmrv:.3}; the correlation is not defined because a world gives every policy the same rate.")
        }
        None => String::new(),
    }
}

fn cells(rate: Option<&SuccessRate>) -> String {
    rate.map_or_else(
        || "<td></td><td></td>".to_owned(),
        |rate| {
            let percent = |share: f64| format!("{:.0}", share * 100.0);
            format!(
                "<td>{}/{}</td><td>{}–{} %</td>",
                rate.successes,
                rate.episodes,
                percent(rate.interval.low),
                percent(rate.interval.high)
            )
        },
    )
}

fn fidelity_section(fidelity: &Fidelity, tasks: &[String]) -> String {
    let mut rows = String::new();
    for chunk in fidelity.chunks.iter().filter(|chunk| chunk.frames > 0) {
        add(
            &mut rows,
            format_args!(
                "<tr><td>{}</td><td>{:.2} dB</td><td>{:.2} dB</td><td>{}</td></tr>",
                chunk.chunk, chunk.psnr, chunk.baseline_psnr, chunk.frames
            ),
        );
    }
    format!(
        "<h2>Fidelity</h2><p>{} recorded episodes of {}, predicted chunk after chunk from their first frame with their own \
         actions; each chunk starts from the model's own last frame.</p><div class=\"charts\"><figure>{}<figcaption>Mean \
         PSNR frame by frame.</figcaption></figure><div><table><thead><tr><th>chunk</th><th>world model</th>\
         <th>still frame</th><th>frames</th></tr></thead><tbody>{rows}</tbody></table></div></div>",
        fidelity.episodes,
        escape(&tasks.join(", ").replace('_', " ")),
        fidelity_lines(fidelity)
    )
}

fn write_error(path: &Path, source: std::io::Error) -> EvaluationError {
    EvaluationError::Write {
        path: path.to_path_buf(),
        source,
    }
}

/// Makes the folder, without the GIF files of an earlier report.
fn clear_animations(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "gif") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn animation_name(index: usize, showcase: &Showcase) -> String {
    let record = &showcase.record;
    let policy: String = record
        .policy
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { '-' })
        .collect();
    let outcome = if record.success { "success" } else { "failure" };
    format!("{:02}-{outcome}-{policy}-seed{}.gif", index + 1, record.seed)
}

fn show(record: &EpisodeRecord, gif: &[u8], strips: [(&str, &[RgbImage]); 2]) -> Result<String, EvaluationError> {
    let (class, outcome) = if record.success {
        ("good", "success")
    } else {
        ("bad", "failure")
    };
    let mut html = format!(
        "<div class=\"show\"><h3><span class=\"{class}\">{outcome}</span> in the {} world after {} steps</h3>\
         <p class=\"soft\">{}, seed {}: “{}”</p><img class=\"moving\" alt=\"animation\" src=\"data:image/gif;base64,{}\">",
        escape(&record.world),
        record.steps,
        escape(&record.policy),
        record.seed,
        escape(&record.instruction),
        STANDARD.encode(gif)
    );
    for (name, frames) in strips {
        if !frames.is_empty() {
            let strip = STANDARD.encode(film_strip(frames, STRIP_FRAMES)?);
            add(
                &mut html,
                format_args!("<img alt=\"{name} frames\" src=\"data:image/png;base64,{strip}\">"),
            );
        }
    }
    Ok(html + "</div>")
}

/// Makes a text safe to stand in HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn add(html: &mut String, piece: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let _ = html.write_fmt(piece);
}
