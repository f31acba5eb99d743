//! Names and checkpoints that are not known.

use crate::dit::DitConfigError;
use crate::pipeline::PipelineError;
use crate::text_encoder::TextEncoderConfigError;
use crate::vae::VaeConfigError;

/// A name that no released model has.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("there is no model `{name}`, expected one of: {}", known.join(", "))]
pub struct UnknownModel {
    /// The name that was given.
    pub name: String,
    /// The names that there are.
    pub known: Vec<&'static str>,
}

/// A model whose weights nobody can fetch by name.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error(
    "there is no public file with the weights of `{model}`: NVIDIA's list of checkpoints names none. If you have them, pass \
     their path (--checkpoint)"
)]
pub struct NoPublicWeights {
    /// Name of the model.
    pub model: &'static str,
}

/// Why a checkpoint was not recognised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecognizeError {
    /// The tensors belong to something else.
    #[error(
        "{location} holds no network that is known here: expected a Predict2.5 or Transfer2.5 transformer, its VAE, its \
         text encoder or a world of Worldloop, found {tensors} tensors{}; check that it is the file you meant",
        examples(found)
    )]
    Unknown {
        /// The checkpoint.
        location: String,
        /// How many tensors it has.
        tensors: usize,
        /// A few of their names.
        found: Vec<String>,
    },
    /// A tensor is not there that the network can't do without.
    #[error("{location} looks like a {network} but has no tensor `{tensor}`; fetch the whole checkpoint again")]
    Missing {
        /// The checkpoint.
        location: String,
        /// What it looks like.
        network: &'static str,
        /// The tensor, under the name that the file would have for it.
        tensor: String,
    },
    /// A tensor has a shape that the network can't have.
    #[error(
        "{location} looks like a {network} but `{tensor}` has shape {found:?}, expected {expected}; fetch it again"
    )]
    Shape {
        /// The checkpoint.
        location: String,
        /// What it looks like.
        network: &'static str,
        /// The tensor, under the name that the file has for it.
        tensor: String,
        /// What was expected.
        expected: &'static str,
        /// The shape that it has.
        found: Vec<usize>,
    },
    /// No transformer has these sizes.
    #[error("{location} looks like a diffusion transformer that can't be built: {source}")]
    Transformer {
        /// The checkpoint.
        location: String,
        /// What is wrong with the sizes.
        source: DitConfigError,
    },
    /// No VAE has these sizes.
    #[error("{location} looks like a video VAE that can't be built: {source}")]
    Vae {
        /// The checkpoint.
        location: String,
        /// What is wrong with the sizes.
        source: VaeConfigError,
    },
    /// No text encoder has these sizes.
    #[error("{location} looks like a text encoder that can't be built: {source}")]
    TextEncoder {
        /// The checkpoint.
        location: String,
        /// What is wrong with the sizes.
        source: TextEncoderConfigError,
    },
    /// The config in a world's metadata is contradictory.
    #[error("{location} looks like a world of Worldloop that can't be built: {source}")]
    World {
        /// The checkpoint.
        location: String,
        /// What is wrong with the config.
        source: Box<PipelineError>,
    },
}

impl RecognizeError {
    /// Returns whether the checkpoint is a network that is known, but not whole or not possible.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Unknown { .. })
    }
}

fn examples(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(" such as {}", found.join(", "))
    }
}
