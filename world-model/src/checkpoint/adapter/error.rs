//! What can be wrong with an adapter.

use std::path::PathBuf;

use crate::checkpoint::CheckpointError;

/// Why an adapter was not merged; the module is unchanged then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// There are no factors in the file.
    #[error(
        "{location} is not a low-rank adapter: none of its {tensors} tensors ends in `.lora_A.weight`; pass the file that \
         peft or diffusers saved (adapter_model.safetensors, pytorch_lora_weights.safetensors)"
    )]
    NotAnAdapter {
        /// The file.
        location: String,
        /// Tensors in it.
        tensors: usize,
    },
    /// One factor lacks the other, or belongs to no layer of the network.
    #[error("`{key}` of the adapter {location} {problem}; check that it was trained for this network")]
    Factor {
        /// The file.
        location: String,
        /// The factor.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The factors do not multiply to the shape of the layer.
    #[error(
        "the adapter {location} has factors of {up:?} and {down:?} for `{layer}`, which is {layer_shape:?}; it was trained \
         for another network"
    )]
    Shape {
        /// The file.
        location: String,
        /// The layer.
        layer: String,
        /// Outputs and inputs of the layer.
        layer_shape: [usize; 2],
        /// Shape of the factor on the output side.
        up: Vec<usize>,
        /// Shape of the factor on the input side.
        down: Vec<usize>,
    },
    /// A tensor is no part of a pair of factors.
    #[error(
        "`{key}` of the adapter {location} belongs to no pair of `lora_A` and `lora_B`, so the adapter is more than low-rank \
         factors (DoRA keeps magnitudes, others biases or whole layers); merge it with the tool that trained it, and load the \
         merged weights"
    )]
    Leftover {
        /// The file.
        location: String,
        /// The tensor.
        key: String,
    },
    /// One layer has two pairs of factors.
    #[error(
        "`{first}` and `{second}` of the adapter {location} are for the same layer; save one adapter to a file, and merge them \
         one after the other"
    )]
    Twice {
        /// The file.
        location: String,
        /// The factor seen first.
        first: String,
        /// The factor seen second.
        second: String,
    },
    /// The file says itself how strong a layer's adapter is, and that is not what was asked for.
    #[error(
        "`{key}` of the adapter {location} is {alpha}, with rank {rank} a scale of {}, expected {scale}; ask for that scale",
        alpha / *rank as f64
    )]
    Alpha {
        /// The file.
        location: String,
        /// The tensor with alpha.
        key: String,
        /// Its value.
        alpha: f64,
        /// Rank of the factors.
        rank: usize,
        /// The scale that was asked for.
        scale: f64,
    },
    /// The scale is no number to multiply by.
    #[error("an adapter can't be merged with a scale of {scale}; expected a finite number, alpha over rank")]
    Scale {
        /// The scale.
        scale: f64,
    },
    /// There are infinities in it, or values that are not numbers.
    #[error("{what} of the adapter {location} holds values that are not finite; {next}")]
    NotFinite {
        /// The file.
        location: String,
        /// The factor, or the sum.
        what: String,
        /// What to do about it.
        next: &'static str,
    },
    /// The `adapter_config.json` beside the adapter says nothing usable.
    #[error("{} is no config of a low-rank adapter: {source}; fetch it again", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The `adapter_config.json` beside the adapter gives no one scale.
    #[error("{} {problem}; merge the adapter with the tool that trained it, and load the merged weights", path.display())]
    ConfigScale {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// No weight is another one with the adapter.
    #[error(
        "the adapter {location} changes none of the {layers} layers that it names: it was saved before its training, or its \
         changes vanish in {dtype}; try float32 weights or another file"
    )]
    ChangesNothing {
        /// The file.
        location: String,
        /// Layers that it names.
        layers: usize,
        /// Precision of the weights.
        dtype: String,
    },
    /// The file could not be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
