//! Networks that answer requests with frames.
//!
//! Source: `cosmos_predict2/_src/predict2/inference/video2world.py@fc646ba` (`generate_vid2world`,
//! `generate_autoregressive_from_batch`).
//! Differs: a distilled model draws its noise as the others do, not from a CUDA generator.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use image::{Rgb, RgbImage};
use worldloop_world_model::Frame;
use worldloop_world_model::catalog::SamplerPreset;
use worldloop_world_model::diffusion::NumpyRandom;
use worldloop_world_model::dit::{Context, Dit};
use worldloop_world_model::pipeline::{ClipInput, ClipOutput, sample_clip, sample_clip_in_few_steps};
use worldloop_world_model::vae::WanVae;
use worldloop_world_model::video::{clips_to_tensor, tensor_to_clips};

use super::chunks::Chunk;
use super::plan::GenerationPlan;
use super::request::InferenceType;
use crate::device::Device;

/// Frames of every view of a video; there is one where there is one camera.
pub type Videos = Vec<Vec<RgbImage>>;

/// A transformer with its VAE.
#[derive(Debug)]
pub struct Generator {
    /// The transformer.
    pub dit: Dit,
    /// The VAE.
    pub vae: WanVae,
    /// Where both are.
    pub device: Device,
}

/// What is generated, beside its plan.
#[derive(Debug, Clone, Copy)]
pub struct GenerationInput<'a> {
    /// What the video starts from.
    pub inference_type: InferenceType,
    /// As many frames as the plan has given ones, at the plan's size.
    pub given: &'a [RgbImage],
    /// Seed of the noise.
    pub seed: u32,
    /// Projected prompt.
    pub context: &'a Context,
    /// Projected negative prompt; none turns the guidance off.
    pub negative: Option<&'a Context>,
}

impl Generator {
    /// Returns the text that stood in for a left out one in training: zeros, `[1, tokens, width]`.
    pub fn left_out_text(&self, tokens: usize, width: usize) -> Tensor<3> {
        Tensor::zeros([1, tokens, width], &self.device)
    }

    /// Generates the frames of one video, chunk after chunk.
    ///
    /// `progress` is told after every denoising step, and may stop the work before the last one; then there is no video.
    ///
    /// # Panics
    /// If the given frames do not fit the plan, or the plan is for another model.
    pub fn generate(
        &self,
        plan: &GenerationPlan,
        input: GenerationInput<'_>,
        mut progress: impl FnMut() -> ControlFlow<()>,
    ) -> Option<Vec<RgbImage>> {
        assert_eq!(
            input.given.len(),
            plan.given,
            "the plan has another number of given frames"
        );
        let mut video: Vec<RgbImage> = Vec::with_capacity(plan.frames);
        for chunk in &plan.chunks {
            let given = given_frames(*chunk, &video, input);
            let mut flow = ControlFlow::Continue(());
            let frames = self.sample(plan, *chunk, &given, input, || {
                flow = progress();
                flow
            })?;
            video.extend(frames.into_iter().take(chunk.frames).skip(chunk.overlap));
            if flow.is_break() && video.len() < plan.frames {
                return None;
            }
        }
        Some(video)
    }

    /// Samples one clip.
    fn sample(
        &self,
        plan: &GenerationPlan,
        chunk: Chunk,
        given: &[RgbImage],
        input: GenerationInput<'_>,
        progress: impl FnMut() -> ControlFlow<()>,
    ) -> Option<Vec<RgbImage>> {
        let [height, width] = plan.size.map(|side| side / self.vae.spatial_compression);
        let mut random = NumpyRandom::new(input.seed.wrapping_add(chunk.index));
        let given: Vec<Frame> = given.iter().map(to_frame).collect();
        let noise = random.standard_normal_tensor([1, self.vae.z_dim, plan.latent_frames, height, width], &self.device);
        let clip = ClipInput {
            given: (!given.is_empty()).then(|| clips_to_tensor(&[&given], &self.device)),
            negative: input.negative,
            ..ClipInput::new(noise, input.context)
        };
        let views = self.sample_clip(&self.dit, plan, clip, progress)?;
        Some(views.into_iter().flatten().collect())
    }

    /// Samples the views of a clip with the plan's sampler, unless `progress` stops it.
    pub(super) fn sample_clip(
        &self,
        dit: &Dit,
        plan: &GenerationPlan,
        clip: ClipInput<'_>,
        mut progress: impl FnMut() -> ControlFlow<()>,
    ) -> Option<Videos> {
        let ClipOutput { video, .. } = match &plan.sampler {
            SamplerPreset::Flow(config) => sample_clip(config, &self.vae, dit, clip, |_| progress()),
            SamplerPreset::TrigFlow(flow) | SamplerPreset::Stream(flow) => {
                sample_clip_in_few_steps(flow, &self.vae, dit, clip, progress)
            }
        }?;
        let images = |view: &Vec<Frame>| view.iter().map(to_image).collect();
        Some(tensor_to_clips(video).iter().map(images).collect())
    }
}

/// Returns the frames that a chunk starts from: those of the request, or the last ones made.
fn given_frames(chunk: Chunk, video: &[RgbImage], input: GenerationInput<'_>) -> Vec<RgbImage> {
    if chunk.index == 0 {
        return input.given.to_vec();
    }
    let mut given = video[video.len() - chunk.overlap..].to_vec();
    let fill = match (input.inference_type, input.given.last(), given.last()) {
        (InferenceType::Video2World, Some(last), _) => last.clone(),
        (_, _, Some(frame)) => RgbImage::from_pixel(frame.width(), frame.height(), Rgb([0; 3])),
        (_, _, None) => return given,
    };
    given.resize(chunk.given, fill);
    given
}

pub(super) fn to_frame(image: &RgbImage) -> Frame {
    let (width, height) = image.dimensions();
    let frame = Frame::from_rgb8(height as usize, width as usize, image.as_raw());
    frame.expect("an image has as many pixels as its sides say")
}

fn to_image(frame: &Frame) -> RgbImage {
    let image = RgbImage::from_raw(frame.width as u32, frame.height as u32, frame.to_rgb8());
    image.expect("a frame has as many pixels as its sides say")
}
