//! A whole chunk in the learned world: model, judge, observations.

use std::sync::Arc;

use worldloop_envs::seeding;
use worldloop_envs::vector::EpisodeStart;
use worldloop_envs::{ActionChunk, ResetOptions};
use worldloop_world_model::judge::{Judge, JudgeError, JudgeRequest, Judgement};

use super::error::BenchmarkError;
use super::timing::{Timing, TimingSettings};
use crate::rollout::{LearnedParts, World};

/// Task whose episodes are stepped; the task does not change the work.
const TASK: &str = "pick_and_place";

/// Judges as another judge does but never calls a task solved, so that no episode ends within a run.
struct Undecided(Arc<dyn Judge>);

impl Judge for Undecided {
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError> {
        let mut judgements = self.0.judge(requests)?;
        for judgement in &mut judgements {
            judgement.success_probability = 0.0;
        }
        Ok(judgements)
    }
}

/// Times one chunk of random actions for `batch` episodes at once, reset excluded.
///
/// # Errors
/// [`BenchmarkError::Env`] if the world refuses.
pub fn time_closed_loop(
    parts: &LearnedParts,
    batch: usize,
    settings: TimingSettings,
) -> Result<Timing, BenchmarkError> {
    let parts = LearnedParts {
        judge: Arc::new(Undecided(parts.judge.clone())),
        ..parts.clone()
    };
    let mut envs = World::Learned(parts.clone()).batch(TASK, batch)?;
    let length = parts.model.spec().chunk_length;
    let mut rng = seeding::rng(0, 0);
    let mut seed = 0;
    let mut over = true;
    let mut frames = 0;
    let mut times = Vec::new();
    let mut peak = 0.0_f64;
    for run in 0..settings.warm_up + settings.runs.max(1) {
        if over {
            let start = |index| EpisodeStart {
                seed: Some(seed + index),
                options: ResetOptions::default(),
            };
            envs.reset(&(0..batch as u64).map(|index| Some(start(index))).collect::<Vec<_>>())?;
            seed += batch as u64;
        }
        let space = envs.spec().action_space.clone();
        let chunks: Vec<ActionChunk> = (0..batch)
            .map(|_| (0..length).map(|_| space.sample(&mut rng)).collect())
            .collect();
        let once = TimingSettings {
            warm_up: 0,
            runs: 1,
            ..settings
        };
        let timing = Timing::measure("closed_loop_chunk", once, || {
            let steps = envs.step_chunk(&chunks)?;
            frames = steps.iter().map(Vec::len).sum();
            over = steps
                .iter()
                .any(|steps| steps.last().is_none_or(worldloop_envs::Step::is_last));
            Ok::<_, BenchmarkError>(())
        })?;
        // An episode that ended within the chunk did less work.
        if run >= settings.warm_up && frames == batch * length {
            times.push(timing.median_ms);
        }
        peak = peak.max(timing.peak_mib);
    }
    Ok(Timing::of_runs(&format!("closed_loop_chunk_batch{batch}"), times, peak).with_frames(batch, batch * length))
}
