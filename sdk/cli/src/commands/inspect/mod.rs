//! `worldloop inspect`: what a checkpoint holds, from its header alone.

mod description;
mod json;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use worldloop::world_model::catalog::{Recognized, recognize};
use worldloop::world_model::checkpoint::{CheckpointSource, LoadReport, StoredDtype, TensorStatistics};
use worldloop::world_model::pipeline::CheckpointFolder;

use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// Says what a checkpoint holds: the network, its sizes, and every key that is missing or left over.
///
/// The tensors decide, not the file name. Only headers are read, except with `--statistics`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop inspect model_ema_bf16.pt\n  worldloop inspect transformer/ --statistics --json"
)]
pub(crate) struct InspectArgs {
    /// A .safetensors, .pt or .pth file, or a folder in the diffusers or NVIDIA's layout, whose networks follow each other.
    path: PathBuf,
    /// Lists every tensor with its element type and shape.
    #[arg(long)]
    tensors: bool,
    /// Reads every tensor, one after the other, and prints its mean, spread, extremes and NaN count.
    #[arg(long)]
    statistics: bool,
    /// Prints one line of JSON per network.
    #[arg(long)]
    json: bool,
}

/// Figures of each tensor that has any.
type Statistics = BTreeMap<String, TensorStatistics>;

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
    for (index, path) in networks(&args.path).iter().enumerate() {
        if index > 0 && !args.json {
            println!();
        }
        if let Outcome::Stopped = inspect(args, path, stop)? {
            return Ok(Outcome::Stopped);
        }
    }
    Ok(Outcome::Done)
}

/// Returns what there is to look at: the networks of a folder of several, else the path itself.
fn networks(path: &Path) -> Vec<PathBuf> {
    let folder = path.is_dir().then(|| CheckpointFolder::open(path));
    let found: Vec<PathBuf> = match &folder {
        Some(Ok(folder)) => folder.networks().map(Path::to_owned).collect(),
        // The path itself says what is wrong with it.
        Some(Err(_)) | None => Vec::new(),
    };
    if found.is_empty() { vec![path.to_owned()] } else { found }
}

fn inspect(args: &InspectArgs, path: &Path, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let source = CheckpointSource::open(path)?;
    let findings = examine(&source, path)?;
    let out = &mut io::stdout().lock();
    if !args.json {
        text::print_findings(out, &source, &findings)?;
        if args.tensors {
            text::print_tensors(out, &source)?;
        }
    }
    let statistics = if args.statistics {
        let Some(statistics) = read_statistics(&source, stop)? else {
            return Ok(Outcome::Stopped);
        };
        Some(statistics)
    } else {
        None
    };
    if args.json {
        writeln!(
            out,
            "{}",
            json::findings(&source, &findings, args.tensors, statistics.as_ref())?
        )?;
    } else if let Some(statistics) = &statistics {
        text::print_statistics(out, statistics)?;
    }
    Ok(Outcome::Done)
}

/// Reads one tensor after the other; `None` if the user asked to stop.
fn read_statistics(source: &CheckpointSource, stop: &StopFlag) -> anyhow::Result<Option<Statistics>> {
    let mut statistics = BTreeMap::new();
    let mut progress = Progress::new("reading", source.keys().count() as u64);
    for key in source.keys() {
        if stop.is_set() {
            return Ok(None);
        }
        // Counters and blobs of the engine are no weights; they have no figures.
        if source.dtype(key) != Some(StoredDtype::Other) {
            statistics.insert(key.to_owned(), source.statistics(key)?);
        }
        progress.advance(key);
    }
    progress.finish();
    Ok(Some(statistics))
}

fn examine(source: &CheckpointSource, path: &Path) -> anyhow::Result<Findings> {
    let device = worldloop::device::select("flex")?;
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
