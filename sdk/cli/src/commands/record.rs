//! `worldloop record`: episodes of policies, on disk.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use worldloop::data::DatasetError;
use worldloop::device;
use worldloop::envs::vector::EnvBatch;
use worldloop::policy_source::PolicySource;
use worldloop::rollout::{EpisodeRequest, Recorder, RolloutError, RolloutEvent, RolloutRunner, World};
use worldloop::weights::Weights;

use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// Records episodes of policies in the physics world, successes and failures alike.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  worldloop record --task reach --policy expert,imperfect --episodes 100 --out recordings"
)]
pub(crate) struct RecordArgs {
    /// Tasks: reach, push, pick_and_place; several with commas.
    #[arg(long, value_delimiter = ',', required = true)]
    task: Vec<String>,
    /// Policies: random, wander, expert, noisy_expert, imperfect, cloned, cloned:0 to cloned:9, replay:FILE; several with
    /// commas.
    #[arg(long, value_delimiter = ',', required = true)]
    policy: Vec<String>,
    /// Episodes per task and policy.
    #[arg(long, default_value_t = 100)]
    episodes: usize,
    /// Seed of the first episode; the others follow it one by one.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder of the recordings.
    #[arg(long)]
    out: PathBuf,
    /// Side of the camera image in pixels.
    #[arg(long, default_value_t = 64)]
    image_size: u32,
    /// Folder with the weights of the cloned policies; without it the embedded ones.
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Goes on with a folder that has episodes; those that are there are not recorded again.
    #[arg(long)]
    resume: bool,
}

/// Why recording stopped.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
}

/// Runs the command.
pub(crate) fn run(args: &RecordArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let world = World::Physics {
        image_size: args.image_size,
    };
    let policies = Weights::find(args.weights.as_deref())?.policies(&device::select("flex")?)?;
    for policy in &args.policy {
        policies.make(policy)?;
    }
    let mut outcome = Outcome::Done;
    for (index, task) in args.task.iter().enumerate() {
        let batch = world.batch(task, batch_size())?;
        let recorder = Recorder::open(&args.out, batch.spec())?;
        if index == 0 && !args.resume && !recorder.is_empty() {
            let (path, found) = (args.out.display(), recorder.len());
            bail!("`{path}` already holds {found} episodes: add --resume to go on, or choose another --out");
        }
        let mut requests = EpisodeRequest::grid(&args.policy, args.seed, args.episodes);
        requests.retain(|request| !recorder.contains(task, request));
        let (recorded, successes) = record(task, &requests, batch, recorder, &policies, stop)?;
        println!("{task}: {recorded} episodes recorded, {successes} of them successes");
        if stop.is_set() {
            println!("stopped; the same command with --resume goes on");
            outcome = Outcome::Stopped;
            break;
        }
    }
    Ok(outcome)
}

/// Returns how many episodes play at once: enough that no core waits for the slowest.
fn batch_size() -> usize {
    4 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// Plays and writes the episodes of one task; returns how many there were and how many succeeded.
fn record(
    task: &str,
    requests: &[EpisodeRequest],
    batch: Box<dyn EnvBatch>,
    mut recorder: Recorder,
    policies: &PolicySource,
    stop: &StopFlag,
) -> Result<(usize, usize), RecordError> {
    let mut progress = Progress::new(format!("record {task}"), requests.len() as u64);
    let (mut episodes, mut successes, mut steps) = (0, 0, 0);
    RolloutRunner::new(batch).run(requests, &|name| policies.make(name), |event| {
        match event {
            RolloutEvent::Advanced { steps: played } => steps += played,
            RolloutEvent::Finished(played) => {
                recorder.write(&played)?;
                episodes += 1;
                successes += usize::from(played.success());
                let rate = steps as f64 / progress.elapsed_secs().max(1e-3);
                progress.advance(&format!("{successes} successes, {rate:.0} steps/s"));
            }
        }
        Ok::<_, RecordError>(stop.flow())
    })?;
    progress.finish();
    Ok((episodes, successes))
}
