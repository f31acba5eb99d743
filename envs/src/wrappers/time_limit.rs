//! Episodes that are cut off after a number of steps.

use super::Wrapper;
use crate::action::ActionChunk;
use crate::env::{Env, EnvSpec, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Truncates an episode after a number of steps.
#[derive(Debug, Clone)]
pub struct TimeLimit {
    max_steps: Option<usize>,
    elapsed: usize,
}

impl TimeLimit {
    /// Makes a limit of `max_steps` steps, at least one.
    pub fn new(max_steps: usize) -> Self {
        Self {
            max_steps: Some(max_steps),
            elapsed: 0,
        }
    }

    /// Makes the limit that the spec of the env names for the task being played.
    pub fn usual() -> Self {
        Self {
            max_steps: None,
            elapsed: 0,
        }
    }

    fn limit(&self, inner: &EnvSpec) -> usize {
        self.max_steps.unwrap_or(inner.max_episode_steps)
    }
}

impl Wrapper for TimeLimit {
    fn adapt_spec(&self, inner: &EnvSpec) -> Result<EnvSpec, EnvError> {
        let max_episode_steps = self.limit(inner);
        if max_episode_steps == 0 {
            return Err(EnvError::Setting {
                env: inner.name.clone(),
                setting: "the time limit",
                expected: "at least 1".into(),
                found: "0".into(),
            });
        }
        Ok(EnvSpec {
            max_episode_steps,
            ..inner.clone()
        })
    }

    fn reset(
        &mut self,
        env: &mut dyn Env,
        seed: Option<u64>,
        options: &ResetOptions,
    ) -> Result<(Observation, Info), EnvError> {
        let answer = env.reset(seed, options)?;
        self.elapsed = 0;
        Ok(answer)
    }

    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        let limit = self.limit(env.spec());
        let left = limit.saturating_sub(self.elapsed);
        if left == 0 {
            let env = env.spec().name.clone();
            return Err(EnvError::ResetNeeded {
                env,
                call: "step",
                when: "after the time limit",
            });
        }
        let mut steps = if actions.len() > left {
            env.step_chunk(&ActionChunk(actions.0[..left].to_vec()))?
        } else {
            env.step_chunk(actions)?
        };
        self.elapsed += steps.len();
        if self.elapsed >= limit
            && let Some(step) = steps.last_mut()
        {
            step.truncated = true;
        }
        Ok(steps)
    }

    fn close(&mut self, env: &mut dyn Env) -> Result<(), EnvError> {
        // The env inside must be the one to say that it is closed.
        self.elapsed = 0;
        env.close()
    }
}
