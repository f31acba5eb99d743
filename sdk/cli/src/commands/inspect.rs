//! `worldloop inspect`: what a checkpoint holds, from its header alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use worldloop::world_model::catalog::{Recognized, Transformer, recognize};
use worldloop::world_model::checkpoint::{CheckpointSource, LoadReport, StoredDtype, TensorStatistics};

use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;
use crate::table::bytes_text;

/// Keys of each kind that are listed; `--json` has all of them.
const LISTED: usize = 8;

/// Says what a checkpoint holds: the network, its sizes, and every key that is missing or left over.
///
/// The tensors decide, not the file name. Only headers are read, except with `--statistics`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop inspect model_ema_bf16.pt\n  worldloop inspect transformer/ --statistics --json"
)]
pub(crate) struct InspectArgs {
    /// A .safetensors, .pt or .pth file, or a folder in the diffusers layout.
    path: PathBuf,
    /// Reads every tensor, one after the other, and prints its mean, spread, extremes and NaN count.
    #[arg(long)]
    statistics: bool,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

/// What was found out without reading a tensor.
struct Findings {
    /// What the tensors are, or why that is not known.
    recognized: Result<Recognized, String>,
    report: Option<LoadReport>,
    dtypes: BTreeMap<StoredDtype, usize>,
    bytes: u64,
    configs: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let source = CheckpointSource::open(&args.path)?;
    let findings = examine(&source, &args.path)?;
    if !args.json {
        print_findings(&source, &findings);
    }
    let mut statistics = BTreeMap::new();
    if args.statistics {
        let keys: Vec<&str> = source.keys().collect();
        let mut progress = Progress::new("reading", keys.len() as u64);
        if !args.json {
            println!(
                "\n{:<64} {:>11} {:>11} {:>11} {:>11} {:>6}",
                "tensor", "mean", "std", "min", "max", "NaN"
            );
        }
        for key in keys {
            if stop.is_set() {
                return Ok(Outcome::Stopped);
            }
            // Counters and blobs of the engine are no weights; they have no figures.
            if source.dtype(key) != Some(StoredDtype::Other) {
                let figures = source.statistics(key)?;
                if args.json {
                    statistics.insert(key.to_owned(), figures);
                } else {
                    print_statistics(key, &figures);
                }
            }
            progress.advance(key);
        }
        progress.finish();
    }
    if args.json {
        println!(
            "{}",
            as_json(&source, &findings, args.statistics.then_some(&statistics))?
        );
    }
    Ok(Outcome::Done)
}

fn examine(source: &CheckpointSource, path: &Path) -> anyhow::Result<Findings> {
    let device = worldloop::device::select("cpu")?;
    let recognized = recognize(source);
    let report = match &recognized {
        Ok(recognized) => recognized.compare(source, &device)?,
        Err(_) => None,
    };
    let mut dtypes = BTreeMap::new();
    for dtype in source.keys().filter_map(|key| source.dtype(key)) {
        *dtypes.entry(dtype).or_insert(0) += 1;
    }
    let mut configs: Vec<String> = source
        .metadata()
        .iter()
        .filter(|(_, text)| text.trim_start().starts_with('{'))
        .map(|(key, _)| format!("`{key}` in the metadata"))
        .collect();
    let beside = if path.is_dir() {
        path.join("config.json")
    } else {
        path.with_file_name("config.json")
    };
    if beside.is_file() {
        configs.push(beside.display().to_string());
    }
    Ok(Findings {
        recognized: recognized.map_err(|error| error.to_string()),
        report,
        dtypes,
        bytes: source.keys().filter_map(|key| source.byte_len(key)).sum(),
        configs,
    })
}

fn print_findings(source: &CheckpointSource, findings: &Findings) {
    let dtypes: Vec<String> = findings
        .dtypes
        .iter()
        .map(|(dtype, count)| format!("{count} {dtype}"))
        .collect();
    let Findings {
        recognized,
        report,
        bytes,
        configs,
        ..
    } = findings;
    let line = |name: &str, text: &str| println!("{name:<9} {text}");
    line("path", source.location());
    line("format", source.format().name());
    line(
        "tensors",
        &format!(
            "{} ({}), {}",
            source.keys().count(),
            dtypes.join(", "),
            bytes_text(*bytes)
        ),
    );
    if !source.other_keys().is_empty() {
        line(
            "others",
            &format!("{} entries that are not tensors", source.other_keys().len()),
        );
    }
    line(
        "config",
        &if configs.is_empty() {
            "none found".to_owned()
        } else {
            configs.join(", ")
        },
    );
    match recognized {
        Ok(recognized) => {
            line("network", &describe(recognized));
            line("variant", &variant(recognized));
        }
        Err(why) => line("network", &format!("unknown: {why}")),
    }
    let Some(report) = report else {
        return;
    };
    let LoadReport {
        loaded,
        missing,
        unused,
        ignored,
        mismatched,
    } = report;
    let counts = format!(
        "{} fit, {} missing, {} unused, {} of another shape, {} ignored",
        loaded.len(),
        missing.len(),
        unused.len(),
        mismatched.len(),
        ignored.len()
    );
    line("keys", &counts);
    print_keys("missing", missing);
    print_keys("unused", unused);
    let shapes = mismatched
        .iter()
        .map(|entry| format!("{} {:?}, expected {:?}", entry.key, entry.found, entry.expected));
    print_keys("shape", &shapes.collect::<Vec<_>>());
}

fn print_keys(name: &str, keys: &[String]) {
    for key in keys.iter().take(LISTED) {
        println!("{name:<9} {key}");
    }
    if keys.len() > LISTED {
        println!("{name:<9} and {} more: --json has all", keys.len() - LISTED);
    }
}

/// Says in a line what a network is and how large.
fn describe(recognized: &Recognized) -> String {
    match recognized {
        Recognized::Transformer(transformer) => {
            let Transformer { config, .. } = &**transformer;
            format!(
                "diffusion transformer, {} blocks of width {}, {} heads, {} input columns, text of width {}",
                config.num_blocks,
                config.model_channels,
                config.num_heads,
                config.patch_channels() * config.patch_spatial * config.patch_spatial * config.patch_temporal,
                config.text_channels()
            )
        }
        Recognized::Control(control) => format!(
            "Transfer2.5 control network, {}; its keys are not compared",
            control.embedder_columns.map_or_else(
                || "several controls".to_owned(),
                |columns| format!("{columns} control columns")
            )
        ),
        Recognized::Vae(config) => format!(
            "video VAE, {} latent channels, {}x smaller in space and {}x in time, width {}",
            config.z_dim,
            config.spatial_compression(),
            config.temporal_compression(),
            config.base_dim
        ),
        Recognized::TextEncoder(config) => format!(
            "text encoder, {} layers of width {}, {} token ids",
            config.num_hidden_layers, config.hidden_size, config.vocab_size
        ),
        Recognized::World(config) => format!(
            "world of Worldloop, VAE with {} latent channels, transformer of {} blocks of width {}",
            config.vae.z_dim, config.dit.num_blocks, config.dit.model_channels
        ),
        Recognized::Judge(config) => format!("judge of Worldloop, tasks {}", config.tasks.join(", ")),
        _ => "known to the library, but not to this command".to_owned(),
    }
}

/// Says which conditions a network has, and which released models it may be.
fn variant(recognized: &Recognized) -> String {
    match recognized {
        Recognized::Transformer(transformer) => {
            let released: Vec<&str> = transformer.released.iter().map(|model| model.name).collect();
            let released = if released.is_empty() {
                "no released model has these sizes".to_owned()
            } else {
                format!("the sizes of {}", released.join(", "))
            };
            format!("{}; {released}", conditions(transformer))
        }
        Recognized::Control(control) => {
            let parts = [
                ("reference image", control.image_context),
                ("input hint block", control.input_hint_block),
                ("attention between cameras", control.cross_view),
            ];
            let parts: Vec<&str> = parts.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
            if parts.is_empty() {
                "control alone".to_owned()
            } else {
                parts.join(", ")
            }
        }
        Recognized::Vae(config) if config.base_dim == 96 && config.z_dim == 16 => {
            "the sizes of the Wan2.1 VAE".to_owned()
        }
        Recognized::TextEncoder(config) if (config.hidden_size, config.num_hidden_layers) == (3584, 28) => {
            "the sizes of Cosmos-Reason1-7B".to_owned()
        }
        _ => "none of the released ones".to_owned(),
    }
}

fn conditions(transformer: &Transformer) -> String {
    let conditioning = &transformer.config.conditioning;
    let mut parts = vec!["text".to_owned()];
    if let Some(action) = &conditioning.action {
        let columns = action.action_dim * action.actions_per_group();
        parts.push(format!("actions ({columns} columns)"));
    }
    if let Some(views) = &conditioning.views {
        parts.push(format!("{} views", views.n_cameras_emb));
    }
    if conditioning.camera.is_some() {
        parts.push("camera rays".to_owned());
    }
    if conditioning.image.is_some() {
        parts.push("reference image".to_owned());
    }
    parts.join(", ")
}

fn print_statistics(key: &str, figures: &TensorStatistics) {
    let TensorStatistics {
        nan,
        mean,
        std,
        min,
        max,
        ..
    } = figures;
    println!("{key:<64} {mean:>11.3e} {std:>11.3e} {min:>11.3e} {max:>11.3e} {nan:>6}");
}

fn as_json(
    source: &CheckpointSource,
    findings: &Findings,
    statistics: Option<&BTreeMap<String, TensorStatistics>>,
) -> anyhow::Result<Value> {
    let dtypes: BTreeMap<String, usize> = findings
        .dtypes
        .iter()
        .map(|(dtype, count)| (dtype.to_string(), *count))
        .collect();
    let (network, config, released) = match &findings.recognized {
        Ok(recognized) => (
            json!(describe(recognized)),
            config_json(recognized)?,
            released_json(recognized),
        ),
        Err(_) => (Value::Null, Value::Null, Value::Null),
    };
    let keys = findings.report.as_ref().map(|report| {
        let mismatched = report.mismatched.iter();
        let mismatched: Vec<Value> = mismatched
            .map(|entry| json!({ "key": entry.key, "expected": entry.expected, "found": entry.found }))
            .collect();
        json!({
            "loaded": report.loaded.len(),
            "missing": report.missing,
            "unused": report.unused,
            "ignored": report.ignored,
            "mismatched": mismatched,
        })
    });
    let statistics = statistics.map(|statistics| {
        let of = |(key, figures): (&String, &TensorStatistics)| {
            let TensorStatistics {
                count,
                nan,
                mean,
                std,
                min,
                max,
            } = figures;
            (
                key.clone(),
                json!({ "count": count, "nan": nan, "mean": mean, "std": std, "min": min, "max": max }),
            )
        };
        statistics.iter().map(of).collect::<serde_json::Map<_, _>>()
    });
    Ok(json!({
        "path": source.location(),
        "format": source.format().name(),
        "tensors": source.keys().count(),
        "other_entries": source.other_keys(),
        "dtypes": dtypes,
        "bytes": findings.bytes,
        "configs_found": findings.configs,
        "network": network,
        "unknown": findings.recognized.as_ref().err(),
        "config": config,
        "released": released,
        "keys": keys,
        "statistics": statistics,
    }))
}

fn config_json(recognized: &Recognized) -> anyhow::Result<Value> {
    Ok(match recognized {
        Recognized::Transformer(transformer) => serde_json::to_value(&transformer.config)?,
        Recognized::Vae(config) => serde_json::to_value(config)?,
        Recognized::TextEncoder(config) => serde_json::to_value(config)?,
        Recognized::World(config) => serde_json::to_value(config)?,
        Recognized::Judge(config) => serde_json::to_value(config)?,
        _ => Value::Null,
    })
}

fn released_json(recognized: &Recognized) -> Value {
    match recognized {
        Recognized::Transformer(transformer) => {
            let names: Vec<&str> = transformer.released.iter().map(|model| model.name).collect();
            json!(names)
        }
        _ => json!([]),
    }
}
