//! Return and length of each episode.

use super::Wrapper;
use crate::action::ActionChunk;
use crate::env::{Env, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Sums of one episode.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct EpisodeSummary {
    /// Sum of the rewards.
    pub episode_return: f64,
    /// Number of steps.
    pub length: usize,
    /// Whether the task was solved in any step; `None` where nothing judges it.
    pub success: Option<bool>,
}

/// Adds `episode_return`, `episode_length` and, where it is judged, `episode_success` to the metrics of a last step.
///
/// Put it outside a time limit, so that it sees the cut. No wall-clock time is added: the same episode must have the
/// same metrics.
#[derive(Debug, Clone, Default)]
pub struct EpisodeStatistics {
    current: EpisodeSummary,
    finished: Option<EpisodeSummary>,
}

impl EpisodeStatistics {
    /// Makes a wrapper without any episode yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the sums of the latest episode that ended.
    pub fn latest(&self) -> Option<EpisodeSummary> {
        self.finished
    }

    fn count(&mut self, step: &mut Step) {
        self.current.episode_return += step.reward;
        self.current.length += 1;
        if let Some(success) = step.info.success {
            self.current.success = Some(success || self.current.success.unwrap_or(false));
        }
        if step.is_last() {
            let EpisodeSummary {
                episode_return,
                length,
                success,
            } = self.current;
            let metrics = &mut step.info.metrics;
            metrics.insert("episode_return".into(), episode_return);
            metrics.insert("episode_length".into(), length as f64);
            if let Some(success) = success {
                metrics.insert("episode_success".into(), f64::from(u8::from(success)));
            }
            self.finished = Some(self.current);
        }
    }
}

impl Wrapper for EpisodeStatistics {
    fn reset(
        &mut self,
        env: &mut dyn Env,
        seed: Option<u64>,
        options: &ResetOptions,
    ) -> Result<(Observation, Info), EnvError> {
        let answer = env.reset(seed, options)?;
        self.current = EpisodeSummary::default();
        Ok(answer)
    }

    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        let mut steps = env.step_chunk(actions)?;
        steps.iter_mut().for_each(|step| self.count(step));
        Ok(steps)
    }
}
