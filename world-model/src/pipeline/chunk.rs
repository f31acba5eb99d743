//! One chunk: frames and actions in, frames out, as tensors.
//!
//! Source: `cosmos_predict2/action_conditioned.py@687da63`.
//! Differs: nothing.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::clip::{ClipInput, sample_clip};
use super::config::{PredictConfig, PredictNetworks};
use crate::diffusion::SamplerProgress;
use crate::dit::Context;
use crate::layers::RotaryTable;

/// What one chunk starts from.
#[derive(Debug, Clone)]
pub struct ChunkInput {
    /// Given frames, `[batch, 3, context_frames, height, width]`, RGB in `[-1, 1]`.
    pub frames: Tensor<5>,
    /// Scaled actions, `[batch, chunk_length, action_dim]`.
    pub actions: Tensor<3>,
    /// Noise, `[batch, z_dim, latent_frames, latent_height, latent_width]`.
    pub noise: Tensor<5>,
}

/// What one chunk leads to.
#[derive(Debug, Clone)]
pub struct ChunkOutput {
    /// Latents of the given frames, `[batch, z_dim, given_latents, latent_height, latent_width]`.
    pub given_latents: Tensor<5>,
    /// Sampled latents with the given ones in front, as the sampler left them.
    pub latents: Tensor<5>,
    /// Decoded latents, `[batch, 3, context_frames + chunk_length, height, width]`, not clamped.
    pub video: Tensor<5>,
}

/// What stays the same for all chunks of a model.
#[derive(Debug, Clone)]
pub(super) struct ChunkConstants {
    /// Projected text.
    pub(super) context: Context,
    /// Projected negative text, where it differs.
    pub(super) negative: Option<Context>,
    /// Rotary positions of a chunk's tokens.
    pub(super) rope: RotaryTable,
}

/// Samples one chunk; nothing if `progress` breaks before the last step.
pub(super) fn predict_chunk(
    config: &PredictConfig,
    networks: &PredictNetworks,
    constants: &ChunkConstants,
    input: ChunkInput,
    progress: impl FnMut(SamplerProgress<'_>) -> ControlFlow<()>,
) -> Option<ChunkOutput> {
    let clip = ClipInput {
        given: Some(input.frames),
        negative: constants.negative.as_ref(),
        action: Some(with_past_actions(input.actions, config)),
        rope: Some(&constants.rope),
        ..ClipInput::new(input.noise, &constants.context)
    };
    let output = sample_clip(&config.sampler, &networks.vae, &networks.dit, clip, progress)?;
    Some(ChunkOutput {
        given_latents: output.given_latents.expect("a chunk starts from frames"),
        latents: output.latents,
        video: output.video,
    })
}

/// Puts zeros where the actions of given frames would be; the network masks them.
fn with_past_actions(actions: Tensor<3>, config: &PredictConfig) -> Tensor<3> {
    let [batch, count, dimensions] = actions.dims();
    let needed = config
        .dit
        .conditioning
        .action
        .as_ref()
        .map_or(count, |action| action.actions_per_clip(config.chunk_latents()));
    match needed.saturating_sub(count) {
        0 => actions,
        past => Tensor::cat(
            vec![Tensor::zeros([batch, past, dimensions], &actions.device()), actions],
            1,
        ),
    }
}
