//! Actions drawn at random.

use rand::RngExt;
use worldloop_envs::seeding::{self, Rng};
use worldloop_envs::{Action, ActionChunk, ContinuousSpace, EnvSpec, Observation};

use crate::error::PolicyError;
use crate::policy::Policy;

/// Stream of the seed that this policy draws from.
const STREAM: u64 = 0x7261_6e64;

/// Draws actions uniformly from the action space.
///
/// With a persistence above zero each value is kept from one step to the next with that probability, so that the
/// gripper wanders further than independent draws would take it.
#[derive(Debug)]
pub struct RandomPolicy {
    name: String,
    persistence: f32,
    chunk_length: usize,
    episode: Option<Episode>,
}

#[derive(Debug)]
struct Episode {
    space: ContinuousSpace,
    rng: Rng,
    last: Action,
}

impl RandomPolicy {
    /// Makes a policy whose actions are independent of each other.
    pub fn new() -> Self {
        Self {
            name: "random".to_owned(),
            persistence: 0.0,
            chunk_length: 1,
            episode: None,
        }
    }

    /// Makes a policy that keeps each value for five steps on average.
    pub fn wandering() -> Self {
        Self {
            name: "wander".to_owned(),
            persistence: 0.8,
            ..Self::new()
        }
    }

    /// Sets how many actions each call returns; 0 is taken as 1.
    pub fn with_chunk_length(mut self, chunk_length: usize) -> Self {
        self.chunk_length = chunk_length.max(1);
        self
    }
}

impl Default for RandomPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy for RandomPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self, spec: &EnvSpec, seed: u64) -> Result<(), PolicyError> {
        let mut rng = seeding::rng(seed, STREAM);
        let last = spec.action_space.sample(&mut rng);
        self.episode = Some(Episode {
            space: spec.action_space.clone(),
            rng,
            last,
        });
        Ok(())
    }

    fn act(&mut self, _observation: &Observation) -> Result<ActionChunk, PolicyError> {
        let Some(episode) = &mut self.episode else {
            return Err(PolicyError::not_reset(&self.name));
        };
        Ok((0..self.chunk_length).map(|_| episode.next(self.persistence)).collect())
    }
}

impl Episode {
    fn next(&mut self, persistence: f32) -> Action {
        let fresh = self.space.sample(&mut self.rng);
        for (kept, value) in self.last.0.iter_mut().zip(fresh.0) {
            if self.rng.random::<f32>() >= persistence {
                *kept = value;
            }
        }
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{blank_observation, spec};

    fn episode(mut policy: RandomPolicy, seed: u64) -> Vec<Action> {
        policy.reset(&spec("reach"), seed).expect("any env suits");
        (0..20)
            .flat_map(|_| policy.act(&blank_observation()).expect("an action").0)
            .collect()
    }

    #[test]
    fn same_seed_same_actions() {
        assert_eq!(episode(RandomPolicy::new(), 7), episode(RandomPolicy::new(), 7));
        assert_ne!(episode(RandomPolicy::new(), 7), episode(RandomPolicy::new(), 8));
    }

    #[test]
    fn actions_are_in_the_action_space() {
        for policy in [RandomPolicy::new(), RandomPolicy::wandering()] {
            assert!(
                episode(policy, 1)
                    .iter()
                    .all(|action| spec("reach").action_space.contains(&action.0))
            );
        }
    }

    #[test]
    fn wandering_keeps_most_values() {
        let kept = |actions: &[Action]| {
            actions
                .windows(2)
                .flat_map(|pair| pair[0].0.iter().zip(&pair[1].0))
                .filter(|(a, b)| a == b)
                .count()
        };
        assert_eq!(kept(&episode(RandomPolicy::new(), 3)), 0);
        assert!(kept(&episode(RandomPolicy::wandering(), 3)) > 19 * 7 / 2);
    }

    #[test]
    fn act_before_reset_is_an_error() {
        let error = RandomPolicy::new().act(&blank_observation()).expect_err("no episode");
        assert!(error.to_string().contains("call `reset` first"), "{error}");
    }
}
