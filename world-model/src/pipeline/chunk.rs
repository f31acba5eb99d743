//! One chunk: frames and actions in, frames out, as tensors.
//!
//! Source: `cosmos_predict2/action_conditioned.py@687da63` and
//! `cosmos_predict2/_src/predict2/models/video2world_model_rectified_flow.py@50369b8`.
//! Differs: only the given frames are encoded, not the black ones behind them, which a causal VAE never looks at.

use burn::tensor::Tensor;

use super::config::{PredictConfig, PredictNetworks};
use crate::diffusion::{Branch, ConditionFrames, SamplerProgress, sample};
use crate::dit::{Context, DitInput, FrameCondition};
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

/// Samples one chunk.
pub(super) fn predict_chunk(
    config: &PredictConfig,
    networks: &PredictNetworks,
    constants: &ChunkConstants,
    input: ChunkInput,
    progress: impl FnMut(SamplerProgress<'_>),
) -> ChunkOutput {
    let device = input.noise.device();
    let [batch, channels, frames, height, width] = input.noise.dims();
    let given = config.given_latents();
    let given_latents = networks.vae.encode_latents(input.frames);
    let latents = match frames - given {
        0 => given_latents.clone(),
        free => {
            let blank = Tensor::zeros([batch, channels, free, height, width], &device);
            Tensor::cat(vec![given_latents.clone(), blank], 2)
        }
    };
    let condition = FrameCondition::first_frames(given, [batch, frames, height, width], &device);
    let actions = with_past_actions(input.actions, config);
    let network = |latents: Tensor<5>, timesteps: Tensor<2>, branch: Branch| {
        let context = match (branch, &constants.negative) {
            (Branch::Unconditional, Some(negative)) => negative,
            _ => &constants.context,
        };
        networks.dit.forward(&DitInput {
            latents,
            timesteps,
            context,
            condition: &condition,
            padding_mask: None,
            view_ids: None,
            camera: None,
            action: Some(actions.clone()),
            rope: Some(&constants.rope),
        })
    };
    let given_frames = ConditionFrames {
        latents,
        counts: vec![given; batch],
    };
    let guided = constants.negative.is_some();
    let latents = sample(&config.sampler, input.noise, &given_frames, guided, network, progress);
    let video = networks.vae.decode_latents(latents.clone());
    ChunkOutput {
        given_latents,
        latents,
        video,
    }
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
