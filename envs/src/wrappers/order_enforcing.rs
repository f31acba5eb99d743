//! The order of calls, for envs that do not watch it themselves.

use image::RgbImage;

use super::Wrapper;
use crate::action::ActionChunk;
use crate::env::{Env, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Refuses calls out of order before they reach the env.
#[derive(Debug, Clone, Default)]
pub struct OrderEnforcing {
    stage: Stage,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    New,
    Running,
    Over,
    Closed,
}

impl OrderEnforcing {
    /// Makes a wrapper for an env that has not been reset yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn refuse(&self, env: &dyn Env, call: &'static str) -> Result<(), EnvError> {
        let env = env.spec().name.clone();
        match self.stage {
            Stage::New => Err(EnvError::ResetNeeded {
                env,
                call,
                when: "before the first reset",
            }),
            Stage::Over if call == "step" => Err(EnvError::ResetNeeded {
                env,
                call,
                when: "after the episode ended",
            }),
            Stage::Closed => Err(EnvError::Closed { env }),
            Stage::Running | Stage::Over => Ok(()),
        }
    }
}

impl Wrapper for OrderEnforcing {
    fn reset(
        &mut self,
        env: &mut dyn Env,
        seed: Option<u64>,
        options: &ResetOptions,
    ) -> Result<(Observation, Info), EnvError> {
        if self.stage == Stage::Closed {
            return Err(EnvError::Closed {
                env: env.spec().name.clone(),
            });
        }
        let answer = env.reset(seed, options)?;
        self.stage = Stage::Running;
        Ok(answer)
    }

    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        self.refuse(env, "step")?;
        let steps = env.step_chunk(actions)?;
        if steps.last().is_some_and(Step::is_last) {
            self.stage = Stage::Over;
        }
        Ok(steps)
    }

    fn render(&mut self, env: &mut dyn Env) -> Result<RgbImage, EnvError> {
        self.refuse(env, "render")?;
        env.render()
    }

    fn close(&mut self, env: &mut dyn Env) -> Result<(), EnvError> {
        self.stage = Stage::Closed;
        env.close()
    }
}
