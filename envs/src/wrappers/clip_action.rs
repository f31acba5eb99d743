//! Actions cut to the bounds of the action space.

use super::Wrapper;
use crate::action::{Action, ActionChunk};
use crate::env::Env;
use crate::error::EnvError;
use crate::step::Step;

/// Cuts every action value to its bounds before the env sees it.
///
/// Values that are not finite are still refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClipAction;

impl Wrapper for ClipAction {
    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        let dimensions = &env.spec().action_space.dimensions;
        let clip = |action: &Action| {
            let values = action.0.iter().zip(dimensions);
            Action(
                values
                    .map(|(value, dimension)| value.max(dimension.low).min(dimension.high))
                    .collect(),
            )
        };
        let clipped = actions.0.iter().map(clip).collect();
        env.step_chunk(&clipped)
    }
}
