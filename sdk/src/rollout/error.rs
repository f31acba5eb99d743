//! What can go wrong while episodes are played.

use worldloop_envs::EnvError;
use worldloop_policies::PolicyError;

/// Why a rollout stopped before its end. Episodes that had ended before are not touched by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RolloutError {
    /// A policy failed, at the start of an episode or within it.
    #[error("`{policy}` failed in `{env}` at step {step} of the episode with seed {seed}: {source}")]
    Policy {
        /// Name of the policy.
        policy: String,
        /// Name of the env.
        env: String,
        /// Seed of the episode.
        seed: u64,
        /// Steps played before.
        step: usize,
        /// What the policy said.
        source: Box<PolicyError>,
    },
    /// An env refused an action, or failed.
    #[error("`{env}` failed at step {step} of the episode with seed {seed} played by `{policy}`: {source}")]
    Episode {
        /// Name of the env.
        env: String,
        /// Name of the policy.
        policy: String,
        /// Seed of the episode.
        seed: u64,
        /// Steps played before.
        step: usize,
        /// What the env said.
        source: Box<EnvError>,
    },
    /// An env could not be made or failed as a whole.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// A batch of envs answered fewer steps or resets than it was asked for.
    #[error(
        "`{env}` answered nothing to {call} of the episode with seed {seed}: this is a fault of its implementation"
    )]
    NoAnswer {
        /// Name of the env.
        env: String,
        /// What was called.
        call: &'static str,
        /// Seed of the episode.
        seed: u64,
    },
}
