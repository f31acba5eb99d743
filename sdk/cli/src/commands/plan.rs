//! `worldloop plan`: whether a released model fits a device, before anything is loaded.

use std::io::{self, Write};

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use worldloop::world_model::catalog::ReleasedModel;
use worldloop::world_model::memory::{MemoryPlan, MemoryRefusal, MemoryRequest, OVERHEAD_BYTES, Precision};

use crate::failure::Outcome;
use crate::table::bytes_text;

/// Computes the memory of each stage of a released model from shapes, and whether it fits with or without the text encoder.
///
/// The stages are those of `generate` and `rollout`: the text encoder is dropped before VAE and transformer are read, which stay
/// together to the end.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop plan --model predict2.5-2b/post-trained --device-memory 24GB\n  \
                  worldloop plan --model predict2.5-2b/robot/action-cond --device-memory 8GiB --json"
)]
pub(crate) struct PlanArgs {
    /// Name of the model, from `worldloop models`.
    #[arg(long)]
    model: String,
    /// Memory of the device, with its unit: 24GB, 16GiB, 6500MB.
    #[arg(long, value_parser = parse_bytes)]
    device_memory: u64,
    /// Frames of one view, one more than a multiple of four; what the released pipeline makes by default.
    #[arg(long)]
    frames: Option<usize>,
    /// Height and width in pixels, as 704,1280; what the released pipeline makes by default.
    #[arg(long, value_delimiter = ',', num_args = 1)]
    size: Option<Vec<usize>>,
    /// Precision of the transformer [default: bf16]; the text encoder is in bf16 and the VAE in f32.
    #[arg(long)]
    dtype: Option<Dtype>,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Memory that is less than any device has.
const LEAST_BYTES: f64 = 1e6;

/// Memory that is more than any device has.
const MOST_BYTES: f64 = 1e15;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dtype {
    Bf16,
    F32,
}

/// Runs the command.
pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<Outcome> {
    let model = ReleasedModel::find(&args.model)?;
    let request = request(args, &model)?;
    let device = worldloop::device::select("flex")?;
    let out = &mut io::stdout().lock();
    match MemoryPlan::find(&model, &request, &device) {
        Ok(plan) => {
            if args.json {
                writeln!(out, "{}", plan_json(&model, &request, &plan))?;
            } else {
                print_plan(out, &model, &request, &plan)?;
            }
            Ok(Outcome::Done)
        }
        Err(refusal) => {
            if args.json {
                writeln!(out, "{}", refusal_json(&refusal))?;
            }
            Err(refusal.into())
        }
    }
}

fn request(args: &PlanArgs, model: &ReleasedModel) -> anyhow::Result<MemoryRequest> {
    let released = MemoryRequest::released(model, args.device_memory);
    let size_px = match args.size.as_deref() {
        None => released.size_px,
        Some(&[height, width]) => [height, width],
        Some(other) => bail!(
            "--size has {} numbers, expected height and width, as 704,1280",
            other.len()
        ),
    };
    let request = MemoryRequest {
        frames: args.frames.unwrap_or(released.frames),
        size_px,
        precision: args.dtype.map(|dtype| match dtype {
            Dtype::Bf16 => Precision::Bf16,
            Dtype::F32 => Precision::F32,
        }),
        ..released
    };
    match request.problem() {
        Some(problem) => bail!("{problem}"),
        None => Ok(request),
    }
}

/// Reads a number of bytes with a unit; a number alone would be guesswork.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a number with a unit, such as 24GB or 16GiB, found {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number = digits.trim().parse::<f64>().map_err(|_error| expected())?;
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => f64::from(1 << 10),
        "mib" => f64::from(1 << 20),
        "gib" => f64::from(1 << 30),
        "tib" => 1024.0 * f64::from(1 << 30),
        // Nothing is nothing in every unit.
        "" if number == 0.0 => 1.0,
        _ => return Err(expected()),
    };
    match number * unit {
        bytes if bytes < 0.0 || bytes.is_nan() => Err(expected()),
        bytes if bytes < LEAST_BYTES => Err(format!(
            "{text} is too small: no device has less than 1MB, and the smallest model takes some gigabytes"
        )),
        bytes if bytes > MOST_BYTES => Err(format!("{text} is too large: no device has more than 1000TB")),
        bytes => Ok(bytes as u64),
    }
}

fn print_plan(
    out: &mut dyn Write,
    model: &ReleasedModel,
    request: &MemoryRequest,
    plan: &MemoryPlan,
) -> io::Result<()> {
    let [height, width] = request.size_px;
    let views = match model.views {
        1 => String::new(),
        views => format!("{views} views of "),
    };
    writeln!(out, "model      {}", model.name)?;
    writeln!(out, "clip       {views}{} frames of {height}x{width}", request.frames)?;
    writeln!(
        out,
        "precision  transformer {}; text encoder bf16; VAE f32",
        plan.precision
    )?;
    writeln!(
        out,
        "run with   {} (generate and rollout take f32 without it)",
        plan.flags().join(" ")
    )?;
    writeln!(out, "order      {}", plan.residency.text())?;
    match plan.vae_piece {
        None => writeln!(out, "VAE        the whole clip at once")?,
        Some(piece) => writeln!(
            out,
            "VAE        in pieces of {piece} latent frame{}",
            if piece == 1 { "" } else { "s" }
        )?,
    }
    writeln!(
        out,
        "\n{:<16} {:>10} {:>12} {:>10}",
        "stage", "weights", "activations", "together"
    )?;
    for stage in &plan.stages {
        let [weights, activations, total] = [stage.weights, stage.activations, stage.total()].map(bytes_text);
        writeln!(
            out,
            "{:<16} {weights:>10} {activations:>12} {total:>10}",
            stage.stage.name()
        )?;
    }
    let (peak, device) = (bytes_text(plan.peak), bytes_text(request.device_bytes));
    let overhead = bytes_text(OVERHEAD_BYTES);
    writeln!(
        out,
        "\npeak {peak} of {device}, {overhead} for the program itself among it"
    )?;
    writeln!(
        out,
        "Computed from shapes and compared with measured peaks on the CPU; nothing was loaded."
    )
}

fn plan_json(model: &ReleasedModel, request: &MemoryRequest, plan: &MemoryPlan) -> Value {
    let stages: Vec<Value> = plan
        .stages
        .iter()
        .map(|stage| {
            json!({
                "stage": stage.stage.name(),
                "weights_bytes": stage.weights,
                "activations_bytes": stage.activations,
                "bytes": stage.total(),
            })
        })
        .collect();
    json!({
        "model": model.name,
        "fits": true,
        "frames": request.frames,
        "views": model.views,
        "height_px": request.size_px[0],
        "width_px": request.size_px[1],
        "precision": plan.precision.name(),
        "flags": plan.flags(),
        "order": plan.residency.name(),
        "vae_latent_frames_at_once": plan.vae_piece,
        "stages": stages,
        "overhead_bytes": OVERHEAD_BYTES,
        "peak_bytes": plan.peak,
        "device_bytes": request.device_bytes,
    })
}

fn refusal_json(refusal: &MemoryRefusal) -> Value {
    json!({
        "model": refusal.model,
        "fits": false,
        "stage": refusal.stage.name(),
        "precision": refusal.precision.name(),
        "needed_bytes": refusal.needed,
        "device_bytes": refusal.available,
        "missing_bytes": refusal.needed.saturating_sub(refusal.available),
        "advice": refusal.advice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_unit() {
        assert_eq!(parse_bytes("24GB"), Ok(24_000_000_000));
        assert_eq!(parse_bytes("1.5gib"), Ok(1_610_612_736));
        for wrong in ["24", "GB", "-1GB", "24GBs", "nanGB", ""] {
            let message = parse_bytes(wrong).expect_err("no number with a unit");
            assert!(message.contains("a number with a unit"), "{wrong}: {message}");
        }
    }

    #[test]
    fn memory_that_no_device_has_is_told_by_what_is_wrong_with_it() {
        for (wrong, word) in [
            ("0", "too small"),
            ("0GB", "too small"),
            ("1KB", "too small"),
            ("1000000TB", "too large"),
            ("1e400TB", "too large"),
        ] {
            let message = parse_bytes(wrong).expect_err("no device has it");
            assert!(message.contains(word), "{wrong}: {message}");
        }
    }
}
