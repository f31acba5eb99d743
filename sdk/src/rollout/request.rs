//! What is to be played, and what was played.

use serde::{Deserialize, Serialize};
use worldloop_envs::wrappers::{RecordedEpisode, RecordedStep};
use worldloop_envs::{Action, ActionChunk};

/// One episode that is to be played.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpisodeRequest {
    /// Name of the policy.
    pub policy: String,
    /// Seed of the env and of the policy.
    pub seed: u64,
}

/// One episode that was played to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayedEpisode {
    /// What was asked for.
    pub request: EpisodeRequest,
    /// Observations, actions and answers.
    pub episode: RecordedEpisode,
    /// Wall-clock time from the reset to the last step, shared with the episodes that ran beside it.
    pub wall_secs: f64,
}

impl PlayedEpisode {
    /// Returns whether the task was solved; `false` where nothing judged it.
    pub fn success(&self) -> bool {
        self.episode.success().unwrap_or(false)
    }

    /// Returns all actions in order.
    pub fn actions(&self) -> ActionChunk {
        self.episode
            .steps
            .iter()
            .map(|recorded| recorded.action.clone())
            .collect()
    }

    /// Returns the largest progress that any state reached, if the env tells.
    pub fn best_progress(&self) -> Option<f64> {
        let progress = |recorded: &RecordedStep| recorded.step.info.metrics.get("progress").copied();
        self.episode.steps.iter().filter_map(progress).reduce(f64::max)
    }
}

impl EpisodeRequest {
    /// Lists `episodes` seeds from `first_seed` on for each policy, seed after seed.
    pub fn grid(policies: &[String], first_seed: u64, episodes: usize) -> Vec<Self> {
        let seeds = (0..episodes as u64).map(|index| first_seed.wrapping_add(index));
        seeds
            .flat_map(|seed| {
                policies.iter().map(move |policy| Self {
                    policy: policy.clone(),
                    seed,
                })
            })
            .collect()
    }
}

/// Joins actions with the steps that answered them; answers end early where the episode did.
pub(super) fn recorded(actions: Vec<Action>, steps: Vec<worldloop_envs::Step>) -> impl Iterator<Item = RecordedStep> {
    actions
        .into_iter()
        .zip(steps)
        .map(|(action, step)| RecordedStep { action, step })
}
