//! What a world model predicts a chunk from, with noise that depends on a seed alone.

use burn::tensor::{Tensor, TensorData};
use worldloop_world_model::pipeline::{ChunkInput, Predict};

use crate::random::StepRandom;

/// Joins frames, scaled actions of all clips one after the other, and fresh noise.
///
/// # Shapes
/// - frames: `[batch, 3, 1, height, width]`
/// - actions: `batch * chunk_length * action_dim` values
pub(crate) fn chunk_input(
    model: &Predict,
    frames: Tensor<5>,
    actions: Vec<f32>,
    random: &mut StepRandom,
) -> ChunkInput {
    let device = frames.device();
    let [batch, _, _, _, _] = frames.dims();
    let spec = &model.config().spec;
    let [channels, latent_frames, height, width] = model.config().latent_shape();
    let noise = random.normals(batch * channels * latent_frames * height * width);
    let actions = TensorData::new(actions, [batch, spec.chunk_length, model.config().network_action_dim()]);
    let noise = TensorData::new(noise, [batch, channels, latent_frames, height, width]);
    ChunkInput {
        frames,
        actions: Tensor::from_data(actions, &device),
        noise: Tensor::from_data(noise, &device),
    }
}
