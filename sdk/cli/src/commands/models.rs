//! `worldloop models`: the released models, and what of them was checked.

use std::io::{self, Write};

use clap::Args;
use serde_json::{Value, json};
use worldloop::device::Device;
use worldloop::world_model::catalog::{Given, ReleasedModel, SamplerPreset, released_models};
use worldloop::world_model::diffusion::{SigmaTable, TrigFlow};

use crate::failure::Outcome;
use crate::table::bytes_text;

/// What is true of every model in the table.
const NEVER_LOADED: &str = "no released weights were loaded; names and shapes follow the published sources";

/// Lists the released Predict2.5 models: sizes, licence, what they can do, and what of them was checked here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  worldloop models\n  worldloop models --json")]
pub(crate) struct ModelsArgs {
    /// Prints one line of JSON per model, with files (null where none is public), networks and samplers.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(args: &ModelsArgs) -> anyhow::Result<Outcome> {
    let device = worldloop::device::select("flex")?;
    let models = released_models();
    let out = &mut io::stdout().lock();
    if args.json {
        for model in &models {
            writeln!(out, "{}", as_json(model, &device)?)?;
        }
    } else {
        print_table(out, &models, &device)?;
    }
    Ok(Outcome::Done)
}

fn print_table(out: &mut dyn Write, models: &[ReleasedModel], device: &Device) -> io::Result<()> {
    writeln!(out, "{:<41} {:>14} {:>8}  can make", "name", "parameters", "bf16")?;
    for model in models {
        let size = bytes_text(model.bf16_bytes(device));
        let (name, parameters) = (model.name, model.num_parameters(device));
        writeln!(out, "{name:<41} {parameters:>14} {size:>8}  {}", abilities(model))?;
    }
    writeln!(
        out,
        "\n{:<41} {:<32} {:<26} checked by vectors",
        "name", "sampler", "licence"
    )?;
    for model in models {
        let mut vectors = [model.verification.network, model.verification.sampler].concat();
        // One case may show both.
        vectors.dedup();
        let vectors = vectors.join(", ");
        let (name, sampler, licence) = (model.name, sampler(&model.sampler), model.licence);
        writeln!(out, "{name:<41} {sampler:<32} {licence:<26} {vectors}")?;
    }
    writeln!(
        out,
        "\nVectors are outputs of the reference code on small networks with random weights. Of all models: {NEVER_LOADED}."
    )?;
    for model in models.iter().filter(|model| !model.verification.open.is_empty()) {
        writeln!(out, "{}: {}.", model.name, model.verification.open)?;
    }
    Ok(())
}

/// Says what a model makes from what.
fn abilities(model: &ReleasedModel) -> String {
    let [height, width] = model.size_px;
    let views = match model.views {
        1 => String::new(),
        views => format!("{views} views of "),
    };
    let given: Vec<&str> = model.given.iter().map(|given| given.name()).collect();
    // Actions and poses are needed beside an image; the others stand for each other.
    let is_needed = |given: &Given| matches!(given, Given::Actions | Given::CameraPoses);
    let given = if model.given.iter().any(is_needed) {
        given.join(" and ")
    } else {
        given.join(" | ")
    };
    format!("{views}{} frames of {height}x{width} from {given}", model.frames())
}

fn sampler(preset: &SamplerPreset) -> String {
    match preset {
        SamplerPreset::Flow(config) => {
            let table = match config.sigmas {
                SigmaTable::Shift { shift } => format!("shift {shift}"),
                SigmaTable::Karras => "Karras".to_owned(),
                other => format!("{other:?}"),
            };
            format!(
                "{} steps, {table}, guidance {}",
                config.num_steps, config.guidance_scale
            )
        }
        SamplerPreset::TrigFlow(TrigFlow { angles, .. }) => format!("{} steps, TrigFlow", angles.len()),
        SamplerPreset::Stream(TrigFlow { angles, .. }) => format!("{} steps per latent frame", angles.len()),
    }
}

fn as_json(model: &ReleasedModel, device: &Device) -> anyhow::Result<Value> {
    let sampler = match &model.sampler {
        SamplerPreset::Flow(config) => json!({ "flow": config }),
        SamplerPreset::TrigFlow(TrigFlow { angles, .. }) => json!({ "trig_flow": { "angles": angles } }),
        SamplerPreset::Stream(TrigFlow { angles, .. }) => json!({ "stream": { "angles": angles } }),
    };
    let given: Vec<&str> = model.given.iter().map(|given| given.name()).collect();
    Ok(json!({
        "name": model.name,
        "repository": model.weights.map(|weights| weights.repository),
        "file": model.weights.map(|weights| weights.file),
        "revision": model.weights.map(|weights| weights.revision),
        "licence": model.licence,
        "parameters": model.num_parameters(device),
        "bf16_bytes": model.bf16_bytes(device),
        "given": given,
        "frames": model.frames(),
        "latent_frames": model.latent_frames,
        "views": model.views,
        "height_px": model.size_px[0],
        "width_px": model.size_px[1],
        "frame_rate_hz": model.frame_rate_hz,
        "network": serde_json::to_value(&model.network)?,
        "sampler": sampler,
        "verification": {
            "network_vectors": model.verification.network,
            "sampler_vectors": model.verification.sampler,
            "open": model.verification.open,
            "released_weights": NEVER_LOADED,
        },
    }))
}
