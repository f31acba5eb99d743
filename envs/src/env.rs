//! The environment contract.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::action::{Action, ActionChunk};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::space::{ContinuousSpace, ObservationSpace};
use crate::step::{Info, Step};

/// What an env is, apart from its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvSpec {
    /// Name that appears in reports, for example `physics/reach`.
    pub name: String,
    /// Task name, for example `reach`.
    pub task: String,
    /// What observations look like.
    pub observation_space: ObservationSpace,
    /// What actions look like.
    pub action_space: ContinuousSpace,
    /// Steps per second of simulated time.
    pub control_rate_hz: f32,
    /// Steps after which an episode of this env is usually cut off.
    pub max_episode_steps: usize,
    /// Whether the same seed and actions always give the same episode.
    pub deterministic: bool,
}

/// Choices for one episode beside the seed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResetOptions {
    /// Task to play, where the env has several.
    pub task: Option<String>,
    /// First observation, where the env can start from one (learned worlds).
    pub initial: Option<Observation>,
}

/// A world that a policy acts in.
///
/// The order of calls is `reset`, then `step` until a step is last, then `reset` again. The same seed and the same
/// actions give the same episode.
pub trait Env: Send {
    /// Returns what the env is: spaces, rate, usual episode length.
    fn spec(&self) -> &EnvSpec;

    /// Starts an episode.
    ///
    /// With a seed the episode is fully determined; without one the env continues its own random sequence.
    ///
    /// # Errors
    /// [`EnvError::UnknownName`] or [`EnvError::InitialState`] for options that do not fit.
    fn reset(&mut self, seed: Option<u64>, options: &ResetOptions) -> Result<(Observation, Info), EnvError>;

    /// Advances by one action.
    ///
    /// # Errors
    /// [`EnvError::ActionSize`] and [`EnvError::ActionNotFinite`] for a bad action, [`EnvError::ResetNeeded`] out of order.
    fn step(&mut self, action: &Action) -> Result<Step, EnvError>;

    /// Advances by several actions and stops after a step that is last.
    ///
    /// # Errors
    /// As [`Env::step`], and [`EnvError::EmptyChunk`]. All actions are checked before the first is applied.
    fn step_chunk(&mut self, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        check_chunk(self.spec(), actions)?;
        let mut steps = Vec::with_capacity(actions.len());
        for action in &actions.0 {
            let step = self.step(action)?;
            let last = step.is_last();
            steps.push(step);
            if last {
                break;
            }
        }
        Ok(steps)
    }

    /// Returns a picture of the present state for people.
    ///
    /// # Errors
    /// [`EnvError::ResetNeeded`] before the first `reset`.
    fn render(&mut self) -> Result<RgbImage, EnvError>;

    /// Frees what the env holds; calling it again does nothing.
    ///
    /// # Errors
    /// Only where releasing a resource can fail.
    fn close(&mut self) -> Result<(), EnvError>;
}

impl<E: Env + ?Sized> Env for Box<E> {
    fn spec(&self) -> &EnvSpec {
        (**self).spec()
    }

    fn reset(&mut self, seed: Option<u64>, options: &ResetOptions) -> Result<(Observation, Info), EnvError> {
        (**self).reset(seed, options)
    }

    fn step(&mut self, action: &Action) -> Result<Step, EnvError> {
        (**self).step(action)
    }

    fn step_chunk(&mut self, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        (**self).step_chunk(actions)
    }

    fn render(&mut self) -> Result<RgbImage, EnvError> {
        (**self).render()
    }

    fn close(&mut self) -> Result<(), EnvError> {
        (**self).close()
    }
}

/// Checks the size and finiteness of one action; bounds are not enforced (wrap with `ClipAction` for that).
///
/// # Errors
/// [`EnvError::ActionSize`] or [`EnvError::ActionNotFinite`].
pub fn check_action(spec: &EnvSpec, action: &Action) -> Result<(), EnvError> {
    if action.len() != spec.action_space.len() {
        return Err(EnvError::ActionSize {
            env: spec.name.clone(),
            expected: spec.action_space.len(),
            found: action.len(),
            names: spec.action_space.names(),
        });
    }
    if let Some(index) = action.0.iter().position(|value| !value.is_finite()) {
        return Err(EnvError::ActionNotFinite {
            env: spec.name.clone(),
            index,
            name: spec.action_space.dimensions[index].name.clone(),
            value: action.0[index],
        });
    }
    Ok(())
}

/// Checks every action of a chunk, and that there is one.
///
/// # Errors
/// [`EnvError::EmptyChunk`] and those of [`check_action`].
pub fn check_chunk(spec: &EnvSpec, actions: &ActionChunk) -> Result<(), EnvError> {
    if actions.is_empty() {
        return Err(EnvError::EmptyChunk { env: spec.name.clone() });
    }
    actions.0.iter().try_for_each(|action| check_action(spec, action))
}
