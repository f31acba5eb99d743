//! `worldloop init-checkpoint`: a checkpoint in the released layout with random weights, to try commands with.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use worldloop::device;
use worldloop::world_model::pipeline::{RANDOM_MARK, RandomCheckpoint};

use crate::failure::Outcome;
use crate::table::bytes_text;

/// Writes a small checkpoint in the released layout with random weights, to try `rollout`, `generate` and `inspect` without a download.
///
/// It holds a transformer (bfloat16, keys that start with `net.`), a VAE in the layout of `tokenizer.pth` and an embedding of
/// the empty prompt, and is marked as random by RANDOM_WEIGHTS.txt. What it predicts means nothing.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  worldloop init-checkpoint --preset action-cond-tiny --out tiny\n  worldloop rollout --checkpoint tiny --annotation bridge/annotation/0.json --out rollouts"
)]
pub(crate) struct InitCheckpointArgs {
    /// What to write.
    #[arg(long, value_enum)]
    preset: Preset,
    /// Folder of the checkpoint.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the weights.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// As robot/action-cond: 7 values per action, 12 actions per chunk, frames of 256x320, but narrow and shallow.
    #[value(name = "action-cond-tiny")]
    ActionCond,
    /// As the base models, for `generate`: from a prompt, an image or a video, with embeddings of the empty prompt, of the
    /// default negative prompt and of "push the cube".
    #[value(name = "base-tiny")]
    Base,
    /// As auto/multiview: up to seven views of a drive, for `generate --request`, with embeddings of the empty prompt, of the
    /// default negative prompt, of "drive through the rain", and of the single space of views without a prompt.
    #[value(name = "multiview-tiny")]
    Multiview,
    /// As robot/multiview-agibot: three cameras of a robot from their poses, for `generate`, with the embeddings of base-tiny.
    #[value(name = "agibot-tiny")]
    Agibot,
}

/// Runs the command.
pub(crate) fn run(args: &InitCheckpointArgs) -> anyhow::Result<Outcome> {
    let path = args.out.display();
    let is_random = args.out.join(RANDOM_MARK).is_file();
    let holds_something = std::fs::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something && !is_random {
        bail!("`{path}` holds other files, which random weights are not put beside: choose another --out");
    }
    let checkpoint = match args.preset {
        Preset::ActionCond => RandomCheckpoint::action_cond_tiny(),
        Preset::Base => RandomCheckpoint::base_tiny(),
        Preset::Multiview => RandomCheckpoint::multiview_tiny(),
        Preset::Agibot => RandomCheckpoint::agibot_tiny(),
    };
    for file in checkpoint.write(&args.out, args.seed, &device::select("flex")?)? {
        let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        println!("{:>10}  {}", bytes_text(size), file.display());
    }
    println!("random weights: for trying commands, not for predictions");
    Ok(Outcome::Done)
}
