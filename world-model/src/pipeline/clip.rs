//! One clip: text, given frames and actions in, frames out, as tensors.
//!
//! Source: `cosmos_predict2/_src/predict2/models/video2world_model_rectified_flow.py@50369b8`.
//! Differs: only the given frames are encoded, not the black ones behind them, which a causal VAE never looks at.

use burn::tensor::{DType, Tensor};

use crate::diffusion::{Branch, ConditionFrames, SamplerConfig, SamplerProgress, TrigFlow, sample};
use crate::dit::{Context, Dit, DitInput, FrameCondition};
use crate::layers::RotaryTable;
use crate::vae::WanVae;

/// What one clip starts from.
#[derive(Debug, Clone)]
pub struct ClipInput<'a> {
    /// Given frames, `[batch, 3, given_frames, height, width]`, RGB in `[-1, 1]`; none for a clip from text alone.
    pub given: Option<Tensor<5>>,
    /// Noise, `[batch, z_dim, latent_frames, latent_height, latent_width]`, which tells the clip's size.
    pub noise: Tensor<5>,
    /// Projected text.
    pub context: &'a Context,
    /// Projected negative text, where it differs; without it there is no guidance.
    pub negative: Option<&'a Context>,
    /// Actions, `[batch, actions, action_dim]`, for a network that takes them.
    pub action: Option<Tensor<3>>,
    /// Rotary positions of the clip's tokens, where they are kept; none builds them anew.
    pub rope: Option<&'a RotaryTable>,
}

/// A clip and what it was made from.
#[derive(Debug, Clone)]
pub struct ClipOutput {
    /// Latents of the given frames, `[batch, z_dim, given_latents, latent_height, latent_width]`, if there are any.
    pub given_latents: Option<Tensor<5>>,
    /// Sampled latents with the given ones in front, as the sampler left them.
    pub latents: Tensor<5>,
    /// Decoded latents, `[batch, 3, frames, height, width]`, not clamped.
    pub video: Tensor<5>,
}

/// Samples one clip.
///
/// # Panics
/// If the given frames do not fit the VAE's compression in time, or their latents not the noise.
pub fn sample_clip(
    sampler: &SamplerConfig,
    vae: &WanVae,
    dit: &Dit,
    input: ClipInput<'_>,
    progress: impl FnMut(SamplerProgress<'_>),
) -> ClipOutput {
    let device = input.noise.device();
    let [batch, channels, frames, height, width] = input.noise.dims();
    let given_latents = input.given.map(|frames| vae.encode_latents(frames));
    let given = given_latents.as_ref().map_or(0, |latents| latents.dims()[2]);
    let blank = |frames: usize| Tensor::zeros([batch, channels, frames, height, width], &device);
    let latents = match (&given_latents, frames - given) {
        (Some(latents), 0) => latents.clone(),
        (Some(latents), free) => Tensor::cat(vec![latents.clone(), blank(free)], 2),
        (None, _) => blank(frames),
    };
    let condition = FrameCondition::first_frames(given, [batch, frames, height, width], &device);
    let network = |latents: Tensor<5>, timesteps: Tensor<2>, branch: Branch| {
        let context = match (branch, input.negative) {
            (Branch::Unconditional, Some(negative)) => negative,
            _ => input.context,
        };
        dit.forward(&DitInput {
            action: input.action.clone(),
            rope: input.rope,
            ..DitInput::new(latents, timesteps, context, &condition)
        })
    };
    let given_frames = ConditionFrames {
        latents,
        counts: vec![given; batch],
    };
    let guided = input.negative.is_some();
    let latents = sample(sampler, input.noise, &given_frames, guided, network, progress);
    let video = vae.decode_latents(latents.clone());
    ClipOutput {
        given_latents,
        latents,
        video,
    }
}

/// Samples one clip with a distilled model, which starts from text and knows no guidance. `progress` is told after
/// every evaluation of the network.
///
/// # Panics
/// If there are given frames.
pub fn sample_clip_in_few_steps(
    flow: &TrigFlow,
    vae: &WanVae,
    dit: &Dit,
    input: ClipInput<'_>,
    mut progress: impl FnMut(),
) -> ClipOutput {
    assert!(input.given.is_none(), "distilled models start from text alone");
    let device = input.noise.device();
    let [batch, _, frames, height, width] = input.noise.dims();
    let condition = FrameCondition::first_frames(0, [batch, frames, height, width], &device);
    let network = |latents: Tensor<5>, time: f64| {
        let timesteps = Tensor::full([batch, 1], time, &device);
        let velocity = dit.forward(&DitInput {
            action: input.action.clone(),
            rope: input.rope,
            ..DitInput::new(latents, timesteps, input.context, &condition)
        });
        progress();
        velocity
    };
    let mut steps = flow.sample(input.noise, network);
    let last = steps.pop().expect("there is at least one angle");
    let latents = last.clean.cast(DType::F32);
    let video = vae.decode_latents(latents.clone());
    ClipOutput {
        given_latents: None,
        latents,
        video,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::dit::{ConditioningConfig, DitConfig};
    use crate::vae::WanVaeConfig;

    #[test]
    fn a_distilled_clip_takes_one_evaluation_per_angle() {
        let device = Device::flex();
        let vae = WanVaeConfig::tiny().init(&device);
        let dit = DitConfig {
            in_channels: 8,
            out_channels: 8,
            timestep_scale: 1.0,
            ..DitConfig::tiny().with_conditioning(ConditioningConfig::new())
        }
        .init(&device);
        let context = dit.project_context(Tensor::random([1, 4, 40], Distribution::Default, &device));
        let noise = Tensor::<5>::random([1, 8, 2, 4, 4], Distribution::Normal(0.0, 1.0), &device);
        let input = ClipInput {
            given: None,
            noise,
            context: &context,
            negative: None,
            action: None,
            rope: None,
        };
        let mut evaluations = 0;
        let output = sample_clip_in_few_steps(&TrigFlow::four_steps(), &vae, &dit, input, || evaluations += 1);
        assert_eq!(evaluations, 4);
        assert_eq!(output.latents.dims(), [1, 8, 2, 4, 4]);
        assert_eq!(output.video.dims(), [1, 3, 5, 16, 16]);
        let largest: f32 = output.video.abs().max().into_scalar();
        assert!(largest.is_finite() && largest > 0.0, "{largest}");
    }
}
