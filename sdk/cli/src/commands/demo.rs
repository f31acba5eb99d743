//! `worldloop demo`: the whole loop in two minutes.

use std::path::PathBuf;

use clap::Args;
use worldloop::evaluation::{FidelitySuite, Journal, Suite};
use worldloop::rollout::World;
use worldloop::weights::Weights;

use super::evaluate::{HELD_OUT_SEED, Plan};
use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::table::print_summary;

/// Task that the policies play.
const TASK: &str = "reach";
/// Three grades of the cloned policy, from failing to good.
const POLICIES: [&str; 3] = ["cloned:1", "cloned:5", "cloned:9"];
/// Episodes per policy and world.
const EPISODES: usize = 8;
/// Recordings that the world model has to predict.
const FIDELITY_EPISODES: usize = 12;

/// Runs three policies in the learned world and in the physics world, and writes a report.
///
/// It needs no network and no files, and takes less than two minutes on two cores.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  worldloop demo --out worldloop-demo")]
pub(crate) struct DemoArgs {
    /// Folder of the report; what an earlier demo left there is overwritten.
    #[arg(long, default_value = "worldloop-demo")]
    out: PathBuf,
    /// Folder with the weights of a learned world; without it the embedded one.
    #[arg(long)]
    weights: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &DemoArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let device = worldloop::device::select("flex")?;
    let weights = Weights::find(args.weights.as_deref())?;
    let learned = weights.learned(&device)?;
    let image_size = learned.model.spec().width as u32;
    let plan = Plan {
        suite: Suite {
            task: TASK.to_owned(),
            policies: POLICIES.map(str::to_owned).to_vec(),
            episodes: EPISODES,
            first_seed: HELD_OUT_SEED,
            batch_size: 16,
        },
        worlds: vec![World::Learned(learned.clone()), World::Physics { image_size }],
        learned: Some(learned),
        fidelity: Some(FidelitySuite {
            tasks: ["reach", "push", "pick_and_place"].map(str::to_owned).to_vec(),
            policies: ["expert", "imperfect", "wander"].map(str::to_owned).to_vec(),
            episodes: FIDELITY_EPISODES,
            first_seed: HELD_OUT_SEED,
            chunks: 4,
        }),
        policies: weights.policies(&device)?,
        out: args.out.clone(),
        #[cfg(feature = "rerun")]
        rerun: None,
    };
    println!("Three cloned policies play `{TASK}` in the learned world and in the physics world.");
    let mut journal = Journal::overwrite(&args.out)?;
    let Some(summary) = plan.run(&mut journal, stop)? else {
        println!("stopped");
        return Ok(Outcome::Stopped);
    };
    println!();
    print_summary(&summary);
    println!();
    println!(
        "Open {} in a browser; the animations are GIF files in {}.",
        args.out.join("report.html").display(),
        args.out.join("animations").display()
    );
    println!(
        "Every episode is a line of {}, with its seed and actions.",
        args.out.join("episodes.jsonl").display()
    );
    Ok(Outcome::Done)
}
