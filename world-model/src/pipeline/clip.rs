//! One clip: text, given frames, actions and cameras in, frames out, as tensors.
//!
//! Source: `cosmos_predict2/_src/predict2/models/video2world_model_rectified_flow.py@50369b8`.
//! Differs: only the given frames are encoded, not the black ones behind them, which a causal VAE never looks at.

use std::ops::ControlFlow;

use burn::tensor::{DType, Tensor};

use super::clip_views::{each_view, join_views, split_views};
use crate::diffusion::{Branch, ConditionFrames, SamplerConfig, SamplerProgress, TrigFlow, sample};
use crate::dit::{Context, Dit, DitInput, FrameCondition};
use crate::layers::RotaryTable;
use crate::vae::WanVae;

/// What one clip starts from.
#[derive(Debug, Clone)]
pub struct ClipInput<'a> {
    /// Given frames of every view, `[batch * views, 3, given_frames, height, width]`, RGB in `[-1, 1]`; none for a clip from
    /// text alone.
    pub given: Option<Tensor<5>>,
    /// Noise, `[batch, z_dim, views * latent_frames, latent_height, latent_width]`, which tells the clip's size.
    pub noise: Tensor<5>,
    /// Projected text.
    pub context: &'a Context,
    /// Projected negative text, where it differs; without it there is no guidance.
    pub negative: Option<&'a Context>,
    /// Actions, `[batch, actions, action_dim]`, for a network that takes them.
    pub action: Option<Tensor<3>>,
    /// Views of the clip, one after the other on the time axis.
    pub views: usize,
    /// Camera of each view, see [`DitInput::view_ids`].
    pub view_ids: Option<&'a [Vec<usize>]>,
    /// Rays of the cameras, see [`DitInput::camera`].
    pub camera: Option<Tensor<5>>,
    /// Rotary positions of the clip's tokens, where they are kept; none builds them anew.
    pub rope: Option<&'a RotaryTable>,
}

impl<'a> ClipInput<'a> {
    /// Creates the input of a clip of one view from noise and a text alone, without guidance.
    pub fn new(noise: Tensor<5>, context: &'a Context) -> Self {
        Self {
            given: None,
            noise,
            context,
            negative: None,
            action: None,
            views: 1,
            view_ids: None,
            camera: None,
            rope: None,
        }
    }
}

/// A clip and what it was made from.
#[derive(Debug, Clone)]
pub struct ClipOutput {
    /// Latents of the given frames, `[batch * views, z_dim, given_latents, latent_height, latent_width]`, if there are any.
    pub given_latents: Option<Tensor<5>>,
    /// Sampled latents with the given ones in front, as the sampler left them; of the noise's shape.
    pub latents: Tensor<5>,
    /// Decoded latents of every view, `[batch * views, 3, frames, height, width]`, not clamped.
    pub video: Tensor<5>,
}

/// Samples one clip, of one view or of several that the network sees together. The VAE sees each view alone. Where
/// `progress` breaks before the last step, the work ends with nothing.
///
/// # Panics
/// If the given frames do not fit the VAE's compression in time, or their latents not the noise.
pub fn sample_clip(
    sampler: &SamplerConfig,
    vae: &WanVae,
    dit: &Dit,
    input: ClipInput<'_>,
    progress: impl FnMut(SamplerProgress<'_>) -> ControlFlow<()>,
) -> Option<ClipOutput> {
    let device = input.noise.device();
    let [batch, _, frames, height, width] = input.noise.dims();
    let views = input.views;
    let given_latents = input
        .given
        .map(|frames| each_view(frames, views, |view| vae.encode_latents(view)));
    let given = given_latents.as_ref().map_or(0, |latents| latents.dims()[2]);
    let condition = FrameCondition::first_frames_of_views(given, views, [batch, frames, height, width], &device);
    let network = |latents: Tensor<5>, timesteps: Tensor<2>, branch: Branch| {
        let context = match (branch, input.negative) {
            (Branch::Unconditional, Some(negative)) => negative,
            _ => input.context,
        };
        dit.forward(&DitInput {
            action: input.action.clone(),
            view_ids: input.view_ids,
            camera: input.camera.clone(),
            rope: input.rope,
            ..DitInput::new(latents, timesteps, context, &condition)
        })
    };
    let given_frames = ConditionFrames {
        latents: clean_latents(given_latents.as_ref(), views, &input.noise),
        counts: vec![given; batch],
        views,
    };
    let guided = input.negative.is_some();
    let latents = sample(sampler, input.noise, &given_frames, guided, network, progress)?;
    let video = each_view(split_views(latents.clone(), views), views, |view| {
        vae.decode_latents(view)
    });
    Some(ClipOutput {
        given_latents,
        latents,
        video,
    })
}

/// Puts given latents at the start of every view, and zeros behind them.
fn clean_latents(given: Option<&Tensor<5>>, views: usize, noise: &Tensor<5>) -> Tensor<5> {
    let [batch, channels, frames, height, width] = noise.dims();
    let blank = |frames: usize| Tensor::zeros([batch * views, channels, frames, height, width], &noise.device());
    let per_view = frames / views;
    let latents = match given {
        None => blank(per_view),
        Some(latents) => match per_view - latents.dims()[2] {
            0 => latents.clone(),
            free => Tensor::cat(vec![latents.clone(), blank(free)], 2),
        },
    };
    join_views(latents, views)
}

/// Samples one clip with a distilled model, which starts from text and knows no guidance. Where `progress` breaks before
/// the last step, the work ends with nothing.
///
/// # Panics
/// If there are given frames or several views.
pub fn sample_clip_in_few_steps(
    flow: &TrigFlow,
    vae: &WanVae,
    dit: &Dit,
    input: ClipInput<'_>,
    progress: impl FnMut() -> ControlFlow<()>,
) -> Option<ClipOutput> {
    assert!(input.given.is_none(), "distilled models start from text alone");
    assert_eq!(input.views, 1, "distilled models make one view");
    let device = input.noise.device();
    let [batch, _, frames, height, width] = input.noise.dims();
    let condition = FrameCondition::first_frames(0, [batch, frames, height, width], &device);
    let network = |latents: Tensor<5>, time: f64| {
        let timesteps = Tensor::full([batch, 1], time, &device);
        dit.forward(&DitInput {
            action: input.action.clone(),
            rope: input.rope,
            ..DitInput::new(latents, timesteps, input.context, &condition)
        })
    };
    let mut steps = flow.sample(input.noise, network, progress)?;
    let last = steps.pop().expect("there is at least one angle");
    let latents = last.clean.cast(DType::F32);
    let video = vae.decode_latents(latents.clone());
    Some(ClipOutput {
        given_latents: None,
        latents,
        video,
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::diffusion::NumpyRandom;
    use crate::dit::{ConditioningConfig, DitConfig, ViewsConfig};
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
        let input = ClipInput::new(noise, &context);
        let mut evaluations = 0;
        let output = sample_clip_in_few_steps(&TrigFlow::four_steps(), &vae, &dit, input, || {
            evaluations += 1;
            ControlFlow::Continue(())
        })
        .expect("nothing stops it");
        assert_eq!(evaluations, 4);
        assert_eq!(output.latents.dims(), [1, 8, 2, 4, 4]);
        assert_eq!(output.video.dims(), [1, 3, 5, 16, 16]);
        let largest: f32 = output.video.abs().max().into_scalar();
        assert!(largest.is_finite() && largest > 0.0, "{largest}");
    }

    #[test]
    fn each_view_starts_from_its_own_frame_and_has_a_video_of_its_own() {
        let device = Device::flex();
        let vae = WanVaeConfig::tiny().init(&device);
        let views = ViewsConfig::new(8, 7).with_view_condition_dim(Some(7));
        let dit = DitConfig {
            in_channels: 8,
            out_channels: 8,
            ..DitConfig::tiny().with_conditioning(ConditioningConfig::new().with_views(Some(views)))
        }
        .init(&device)
        .with_frames_per_view(2);
        let text = |value: f32| dit.project_context(Tensor::full([1, 4, 40], value, &device));
        let context = Context::of_views(&[text(0.5), text(-0.5)]);
        let mut random = NumpyRandom::new(1);
        let noise = random.standard_normal_tensor([1, 8, 4, 4, 4], &device);
        let input = ClipInput {
            given: Some(random.standard_normal_tensor([2, 3, 1, 16, 16], &device)),
            views: 2,
            view_ids: Some(&[vec![0, 3]]),
            ..ClipInput::new(noise, &context)
        };
        let sampler = SamplerConfig {
            num_steps: 2,
            ..SamplerConfig::default()
        };
        let output = sample_clip(&sampler, &vae, &dit, input, |_| ControlFlow::Continue(()));
        let output = output.expect("nothing stops it");
        assert_eq!(output.latents.dims(), [1, 8, 4, 4, 4]);
        assert_eq!(output.video.dims(), [2, 3, 5, 16, 16]);
        // A given frame keeps a fraction of a per mille of its noise.
        let latents = output.given_latents.expect("two frames are given");
        for view in 0..2 {
            let kept = output.latents.clone().narrow(2, 2 * view, 1);
            let far = (kept - latents.clone().narrow(0, view, 1))
                .abs()
                .max()
                .into_scalar::<f32>();
            assert!(far < 1e-2, "view {view} is {far} off");
        }
    }
}
