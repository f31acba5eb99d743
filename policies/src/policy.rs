//! The policy contract.

use worldloop_envs::{ActionChunk, EnvSpec, Observation};

use crate::error::PolicyError;

/// Decides what a robot does.
///
/// The order of calls is `reset` at the start of each episode, then `act` whenever new actions are needed. The same
/// seed and the same observations give the same actions.
pub trait Policy: Send {
    /// Returns the name that appears in reports, for example `cloned:7`.
    fn name(&self) -> &str;

    /// Prepares for an episode in an env with this spec.
    ///
    /// # Errors
    /// [`PolicyError`] if the policy can't act in such an env; the message says why.
    fn reset(&mut self, spec: &EnvSpec, seed: u64) -> Result<(), PolicyError>;

    /// Returns the next actions, at least one.
    ///
    /// # Errors
    /// [`PolicyError`] if the observation lacks what the policy needs.
    fn act(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError>;
}

impl<P: Policy + ?Sized> Policy for Box<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn reset(&mut self, spec: &EnvSpec, seed: u64) -> Result<(), PolicyError> {
        (**self).reset(spec, seed)
    }

    fn act(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError> {
        (**self).act(observation)
    }
}
