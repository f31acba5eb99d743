//! The released Predict2.5 models by name, and what a checkpoint holds.
//!
//! [`released_models`] is a table of values: where the weights are, which network they belong to, how it is sampled, and
//! what of that was checked here. [`recognize`] says which network the tensors of a checkpoint make up, from their names
//! and shapes alone; no file name is trusted and no tensor is read.

mod dit;
mod error;
mod model;
mod released;
mod shapes;
#[cfg(test)]
mod tests;
mod text_encoder;
mod vae;
mod variant;

pub use error::{NoPublicWeights, RecognizeError, UnknownModel};
pub use model::{Given, HubFile, ReleasedModel, SamplerPreset, Verification};
pub use released::{
    ACTION_FRAME_RATE_HZ, BASE_FRAME_RATE_HZ, VIEWS_FRAME_RATE_HZ, released_models, text_encoder_weights, vae_weights,
};
pub use variant::{ControlNetwork, Recognized, Transformer, compare_with_closest, recognize};
