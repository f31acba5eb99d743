//! Actions in other bounds than the env's.

use super::Wrapper;
use crate::action::{Action, ActionChunk};
use crate::env::{Env, EnvSpec};
use crate::error::EnvError;
use crate::step::Step;

/// Takes actions between `low` and `high` and maps them linearly onto the bounds of the env.
#[derive(Debug, Clone, Copy)]
pub struct RescaleAction {
    low: f32,
    high: f32,
}

impl RescaleAction {
    /// Makes a wrapper that takes actions between `low` and `high`, two different finite numbers.
    pub fn new(low: f32, high: f32) -> Self {
        Self { low, high }
    }
}

impl Wrapper for RescaleAction {
    fn adapt_spec(&self, inner: &EnvSpec) -> Result<EnvSpec, EnvError> {
        if !(self.low.is_finite() && self.high.is_finite() && self.low < self.high) {
            return Err(EnvError::Setting {
                env: inner.name.clone(),
                setting: "bounds of RescaleAction",
                expected: "two finite numbers, the smaller first".into(),
                found: format!("{} and {}", self.low, self.high),
            });
        }
        let mut spec = inner.clone();
        for dimension in &mut spec.action_space.dimensions {
            dimension.scale *= (dimension.high - dimension.low) / (self.high - self.low);
            (dimension.low, dimension.high) = (self.low, self.high);
        }
        Ok(spec)
    }

    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        let dimensions = &env.spec().action_space.dimensions;
        let rescale = |action: &Action| {
            let values = action.0.iter().zip(dimensions).map(|(value, dimension)| {
                let share = (value - self.low) / (self.high - self.low);
                dimension.low + share * (dimension.high - dimension.low)
            });
            Action(values.collect())
        };
        let rescaled = actions.0.iter().map(rescale).collect();
        env.step_chunk(&rescaled)
    }
}
