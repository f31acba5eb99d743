//! Why a pipeline cannot be built.

use crate::checkpoint::CheckpointError;
use crate::dit::DitConfigError;
use crate::vae::VaeConfigError;

/// Why a pipeline cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The VAE config describes no network.
    #[error(transparent)]
    Vae(#[from] VaeConfigError),
    /// The DiT config describes no network.
    #[error(transparent)]
    Dit(#[from] DitConfigError),
    /// A checkpoint carries no config of a world model.
    #[error(
        "{location} has no valid world model config in its metadata ({source}): it is another network's checkpoint, or of another version"
    )]
    Config {
        /// The checkpoint.
        location: String,
        /// Why the config can't be parsed; names the key.
        source: serde_json::Error,
    },
    /// The weights are damaged or do not fit their config.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Two parts of the config contradict each other.
    #[error("the world model `{model}` cannot be built: {what} is {found}, {expected} is needed: correct its config")]
    Mismatch {
        /// Name of the model.
        model: String,
        /// What does not fit.
        what: &'static str,
        /// What is needed, and why.
        expected: String,
        /// What was found.
        found: String,
    },
}
