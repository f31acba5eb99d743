//! Success rates per policy and world.

use serde::Serialize;

use super::confidence::{Interval, Z_95, wilson_interval};
use super::journal::EpisodeRecord;

/// How often a policy succeeded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuccessRate {
    /// Episodes that succeeded.
    pub successes: usize,
    /// Episodes that were played.
    pub episodes: usize,
    /// `successes / episodes`; 0 without episodes.
    pub rate: f64,
    /// The 95 % Wilson interval of the rate.
    pub interval: Interval,
    /// Mean number of steps of an episode; 0 without episodes.
    pub mean_steps: f64,
}

impl SuccessRate {
    /// Counts the episodes of one policy in one world.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a EpisodeRecord>, world: &str, policy: &str) -> Self {
        let own = records
            .into_iter()
            .filter(|record| record.world == world && record.policy == policy);
        let (mut successes, mut episodes, mut steps) = (0, 0, 0);
        for record in own {
            successes += usize::from(record.success);
            episodes += 1;
            steps += record.steps;
        }
        let mean = |total: usize| {
            if episodes == 0 {
                0.0
            } else {
                total as f64 / episodes as f64
            }
        };
        Self {
            successes,
            episodes,
            rate: mean(successes),
            interval: wilson_interval(successes, episodes, Z_95),
            mean_steps: mean(steps),
        }
    }
}
