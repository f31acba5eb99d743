//! The closed loop: encode, sample, decode, and start the next chunk from the last frame.
//!
//! Source: `cosmos_predict2/action_conditioned.py@687da63` (`inference`).
//! Differs: see [`Seam::Fixed`]; the other seams keep what the scripts do.

use std::ops::ControlFlow;
use std::time::Instant;

use burn::tensor::{Tensor, TensorData};
use image::RgbImage;
use worldloop_world_model::diffusion::NumpyRandom;
use worldloop_world_model::pipeline::{ChunkInput, Feedback, Predict};
use worldloop_world_model::video::{clips_to_tensor, tensor_to_clips};
use worldloop_world_model::{Frame, WorldModel};

use super::error::ActionRolloutError;
use super::recorded_clip::RecordedClip;
use super::seam::{PlannedChunk, Seam};

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayProgress {
    /// Chunks that are done.
    pub chunks_done: usize,
    /// Chunks in all.
    pub chunks: usize,
    /// Denoising steps done in the chunk that is under way.
    pub steps_done: usize,
    /// Denoising steps of a chunk.
    pub num_steps: usize,
}

/// What came out of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayedActions {
    /// All frames, the first one included.
    pub frames: Vec<RgbImage>,
    /// How many of them are not predictions: 1 where the observed frame comes first.
    pub observed: usize,
    /// Time of each chunk in seconds.
    pub chunk_secs: Vec<f64>,
}

/// Plays the actions of a recording from its first frame on.
///
/// The noise of a chunk is seeded with the index of its first action in the recording. `on_step` is called before a
/// chunk, and after each of its steps; where it breaks, the rollout ends with nothing.
///
/// # Errors
/// [`ActionRolloutError::FrameSize`], [`ActionRolloutError::ActionSize`], [`ActionRolloutError::NoWholeChunk`] and
/// [`ActionRolloutError::NotFinite`].
pub fn play_actions(
    model: &Predict,
    clip: &RecordedClip,
    seam: Seam,
    single_chunk: bool,
    mut on_step: impl FnMut(PlayProgress) -> ControlFlow<()>,
) -> Result<Option<PlayedActions>, ActionRolloutError> {
    check(model, clip)?;
    let chunk_length = model.spec().chunk_length;
    let plan = seam.plan(clip.actions.len(), chunk_length, single_chunk);
    if plan.is_empty() {
        return Err(ActionRolloutError::NoWholeChunk {
            annotation: clip.annotation.clone(),
            actions: clip.actions.len(),
            chunk: chunk_length,
        });
    }
    let observed = usize::from(seam.starts_observed());
    let mut played = PlayedActions {
        frames: clip.frames[..observed].to_vec(),
        observed,
        chunk_secs: Vec::new(),
    };
    let mut given = to_frame(&clip.frames[0]);
    for (index, chunk) in plan.iter().enumerate() {
        let mut progress = PlayProgress {
            chunks_done: index,
            chunks: plan.len(),
            steps_done: 0,
            num_steps: model.config().sampler.num_steps,
        };
        if on_step(progress).is_break() {
            return Ok(None);
        }
        let started = Instant::now();
        let input = chunk_input(model, clip, seam, chunk, &given);
        let output = model.predict_chunk_with(input, |step| {
            progress.steps_done = step.step + 1;
            on_step(progress)
        });
        let Some(output) = output else {
            return Ok(None);
        };
        let mut frames = tensor_to_clips(output.video).remove(0);
        if frames
            .iter()
            .any(|frame| frame.values.iter().any(|value| !value.is_finite()))
        {
            return Err(not_finite(model, clip, index));
        }
        played
            .frames
            .extend(frames[chunk.kept.clone()].iter().filter_map(to_image));
        let last = frames.swap_remove(chunk.actions.len());
        given = fed_back(model, last);
        played.chunk_secs.push(started.elapsed().as_secs_f64());
    }
    Ok(Some(played))
}

/// Returns the last frame of a chunk as the next one gets it.
pub(super) fn fed_back(model: &Predict, last: Frame) -> Frame {
    match model.config().feedback {
        Feedback::Rgb8 => last.through_rgb8(),
        Feedback::Float => last.clamped(),
    }
}

pub(super) fn not_finite(model: &Predict, clip: &RecordedClip, chunk: usize) -> ActionRolloutError {
    ActionRolloutError::NotFinite {
        model: model.spec().name.clone(),
        annotation: clip.annotation.clone(),
        chunk,
    }
}

pub(super) fn check(model: &Predict, clip: &RecordedClip) -> Result<(), ActionRolloutError> {
    let spec = model.spec();
    if clip.size() != [spec.height, spec.width] {
        let [height, width] = clip.size();
        return Err(ActionRolloutError::FrameSize {
            annotation: clip.annotation.clone(),
            width: spec.width,
            height: spec.height,
            found_width: width as u32,
            found_height: height as u32,
        });
    }
    match clip.actions.iter().find(|action| action.len() != spec.action_dim()) {
        None => Ok(()),
        Some(action) => Err(ActionRolloutError::ActionSize {
            model: spec.name.clone(),
            expected: spec.action_dim(),
            annotation: clip.annotation.clone(),
            found: action.len(),
        }),
    }
}

fn chunk_input(model: &Predict, clip: &RecordedClip, seam: Seam, chunk: &PlannedChunk, given: &Frame) -> ChunkInput {
    let device = model.networks().dit.x_embedder.proj.weight.device();
    let config = model.config();
    let (length, dimensions) = (config.spec.chunk_length, config.spec.action_dim());
    let mut actions = clip.actions[chunk.actions.clone()].to_vec();
    let padding = match (seam, actions.last()) {
        (Seam::Fixed, Some(last)) => last.clone(),
        _ => vec![0.0; dimensions],
    };
    actions.resize(length, padding);
    let actions = TensorData::new::<f32, _>(actions.concat(), [1, length, dimensions]);
    let [channels, frames, height, width] = config.latent_shape();
    let seed = (clip.start + chunk.actions.start) as u32;
    let noise = NumpyRandom::new(seed).standard_normals(channels * frames * height * width);
    let noise = TensorData::new::<f32, _>(noise, [1, channels, frames, height, width]);
    ChunkInput {
        frames: clips_to_tensor(&[std::slice::from_ref(given)], &device),
        actions: Tensor::from_data(actions, &device),
        noise: Tensor::from_data(noise, &device),
    }
}

pub(super) fn to_frame(image: &RgbImage) -> Frame {
    let (width, height) = image.dimensions();
    let frame = Frame::from_rgb8(height as usize, width as usize, image.as_raw());
    frame.expect("an image has three bytes per pixel")
}

pub(super) fn to_image(frame: &Frame) -> Option<RgbImage> {
    RgbImage::from_raw(frame.width as u32, frame.height as u32, frame.to_rgb8())
}
