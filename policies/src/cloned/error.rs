//! Everything that can go wrong with the weights of the cloned policy.

use burn_store::SafetensorsStoreError;
use safetensors::SafeTensorError;

/// Why weights of a [`ClonedNetwork`](super::ClonedNetwork) can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClonedWeightsError {
    /// The bytes are not a safetensors file.
    #[error(
        "the weights of the cloned policy are no safetensors file, or a damaged one: {source}; copy or train them again"
    )]
    Container {
        /// What went wrong.
        source: SafeTensorError,
    },
    /// The tensors can't be read or written.
    #[error("the weights of the cloned policy can't be {what}: {source}")]
    Tensors {
        /// What was tried: `read` or `written`.
        what: &'static str,
        /// What went wrong.
        source: SafetensorsStoreError,
    },
    /// The file says nothing about the network's configuration.
    #[error(
        "the weights of the cloned policy have no `{key}` in their metadata: this is another network's checkpoint, or it \
         was not written by this project"
    )]
    ConfigMissing {
        /// Key of the metadata.
        key: &'static str,
    },
    /// The configuration is not one.
    #[error("the configuration in the weights of the cloned policy is invalid: {source}")]
    ConfigFormat {
        /// What went wrong.
        source: serde_json::Error,
    },
    /// The configuration has a value that no network can have.
    #[error("`{field}` of the cloned policy's configuration is {found}, expected {expected}")]
    ConfigValue {
        /// Field of the configuration.
        field: &'static str,
        /// Values that are possible.
        expected: &'static str,
        /// Value that was found.
        found: usize,
    },
    /// Tensors are missing, left over or of another shape.
    #[error(
        "the weights of the cloned policy do not fit its configuration: missing [{missing}], unused [{unused}], \
         wrong [{wrong}]; train them again with this version"
    )]
    Mismatch {
        /// Parameters without a tensor.
        missing: String,
        /// Tensors without a parameter.
        unused: String,
        /// Tensors of another shape or dtype, with what was expected and found.
        wrong: String,
    },
}
