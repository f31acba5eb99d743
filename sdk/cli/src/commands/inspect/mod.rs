//! `worldloop inspect`: what a checkpoint holds, from its header alone.

mod description;
mod findings;
mod json;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use worldloop::world_model::checkpoint::{CheckpointError, CheckpointSource, StoredDtype, TensorStatistics};
use worldloop::world_model::pipeline::CheckpointFolder;

use self::findings::Findings;
use super::checkpoint::cached;
use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// Says what a checkpoint holds: the network, its sizes, and every key that is missing or left over.
///
/// The tensors decide, not the file name. Only headers are read, except with `--statistics`. A file that is damaged, or that
/// its network can't be loaded from, is told with the others; the command fails then.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop inspect model_ema_bf16.pt\n  worldloop inspect transformer/ --statistics --json"
)]
pub(crate) struct InspectArgs {
    /// A .safetensors, .pt or .pth file, or a folder in the diffusers or NVIDIA's layout, whose files of weights follow each
    /// other; or the hf:// address of a file in the Hub's cache.
    path: PathBuf,
    /// Lists every tensor with its element type and shape.
    #[arg(long)]
    tensors: bool,
    /// Reads every tensor, one after the other, and prints its mean, spread, extremes and NaN count.
    #[arg(long)]
    statistics: bool,
    /// Prints one line of JSON per file of weights.
    #[arg(long)]
    json: bool,
}

/// Figures of each tensor that has any.
type Statistics = BTreeMap<String, TensorStatistics>;

/// How the look at a file ended.
enum Inspected {
    /// The network can be loaded, or it is none that is known.
    Whole,
    /// The network can't be loaded from it.
    Damaged,
    /// The user asked to stop.
    Stopped,
}

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let given = cached(&args.path)?.unwrap_or_else(|| args.path.clone());
    let mut paths = CheckpointFolder::files(&given)?;
    if paths.is_empty() {
        // The folder itself says what is missing in it.
        paths.push(given.clone());
    }
    let mut damaged = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        if index > 0 && !args.json {
            println!();
        }
        let inspected = match CheckpointSource::open(path) {
            Ok(source) => inspect(args, &source, path, stop)?,
            Err(error) if *path == given => return Err(error.into()),
            Err(error) => {
                print_unreadable(args, path, &error)?;
                Inspected::Damaged
            }
        };
        match inspected {
            Inspected::Whole => {}
            Inspected::Damaged => damaged.push(format!("`{}`", path.display())),
            Inspected::Stopped => return Ok(Outcome::Stopped),
        }
    }
    if damaged.is_empty() {
        return Ok(Outcome::Done);
    }
    bail!(
        "{} can't be loaded: what is wrong and what to do is told above, with each file",
        damaged.join(", ")
    )
}

fn print_unreadable(args: &InspectArgs, path: &Path, error: &CheckpointError) -> io::Result<()> {
    let out = &mut io::stdout().lock();
    if args.json {
        writeln!(out, "{}", json::unreadable(path, error))
    } else {
        text::print_unreadable(out, path, error)
    }
}

fn inspect(args: &InspectArgs, source: &CheckpointSource, path: &Path, stop: &StopFlag) -> anyhow::Result<Inspected> {
    let findings = Findings::of(source, path)?;
    let out = &mut io::stdout().lock();
    if !args.json {
        text::print_findings(out, source, &findings)?;
        if args.tensors {
            text::print_tensors(out, source)?;
        }
    }
    let statistics = if args.statistics {
        let Some(statistics) = read_statistics(source, stop)? else {
            return Ok(Inspected::Stopped);
        };
        Some(statistics)
    } else {
        None
    };
    if args.json {
        writeln!(
            out,
            "{}",
            json::findings(source, &findings, args.tensors, statistics.as_ref())?
        )?;
    } else if let Some(statistics) = &statistics {
        text::print_statistics(out, statistics)?;
    }
    Ok(if findings.is_damaged() {
        Inspected::Damaged
    } else {
        Inspected::Whole
    })
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
        if source.dtype(key).is_some_and(StoredDtype::is_weight) {
            statistics.insert(key.to_owned(), source.statistics(key)?);
        }
        progress.advance(key);
    }
    progress.finish();
    Ok(Some(statistics))
}
