//! The closed loop of a causal model: frames come as soon as the actions that lead to them are known.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use burn::tensor::{Tensor, TensorData};
use image::RgbImage;
use worldloop_world_model::WorldModel;
use worldloop_world_model::diffusion::{NumpyRandom, TrigFlow};
use worldloop_world_model::dit::ActionGrouping;
use worldloop_world_model::pipeline::{Predict, VideoStream};
use worldloop_world_model::video::{clips_to_tensor, tensor_to_clips};

use super::error::ActionRolloutError;
use super::play::{PlayedActions, check, fed_back, not_finite, to_frame, to_image};
use super::recorded_clip::RecordedClip;
use super::seam::Seam;

/// Frames that have just been made.
#[derive(Debug, Clone, Copy)]
pub struct StreamProgress<'a> {
    /// The frames, one per action.
    pub frames: &'a [RgbImage],
    /// Actions that are played, those of these frames included.
    pub actions_done: usize,
    /// Actions in all.
    pub actions: usize,
    /// Time that these frames took.
    pub elapsed: Duration,
}

/// Plays the actions of a recording from its first frame on, one latent frame after the other.
///
/// After a chunk the stream starts anew from its last frame, with nothing remembered. The noise of a latent frame is seeded
/// with the index of its first action in the recording, and one more. `on_frames` gets frames as they come; where it breaks,
/// the rollout ends with nothing.
///
/// # Errors
/// [`ActionRolloutError::FrameSize`], [`ActionRolloutError::ActionSize`], [`ActionRolloutError::NotStreaming`] and
/// [`ActionRolloutError::NotFinite`].
pub fn stream_actions(
    model: &Predict,
    flow: &TrigFlow,
    clip: &RecordedClip,
    mut on_frames: impl FnMut(StreamProgress<'_>) -> ControlFlow<()>,
) -> Result<Option<PlayedActions>, ActionRolloutError> {
    check(model, clip)?;
    let at_once = actions_at_once(model)?;
    let device = model.networks().dit.x_embedder.proj.weight.device();
    let mut played = PlayedActions {
        frames: clip.frames[..1].to_vec(),
        observed: 1,
        chunk_secs: Vec::new(),
    };
    let mut given = to_frame(&clip.frames[0]);
    let plan = Seam::Fixed.plan(clip.actions.len(), model.spec().chunk_length, false);
    for (index, chunk) in plan.iter().enumerate() {
        let chunk_started = Instant::now();
        let mut started = chunk_started;
        let mut stream = VideoStream::start(model, flow, clips_to_tensor(&[std::slice::from_ref(&given)], &device));
        for first in chunk.actions.clone().step_by(at_once) {
            let actions = &clip.actions[first..chunk.actions.end.min(first + at_once)];
            let [actions_in, noise] = [padded(actions, at_once), noise(model, clip.start + first + 1)];
            let video = stream.play(
                Tensor::from_data(actions_in, &device),
                Tensor::from_data(noise, &device),
            );
            let mut made = tensor_to_clips(video).remove(0);
            made.truncate(actions.len());
            if made
                .iter()
                .any(|frame| frame.values.iter().any(|value| !value.is_finite()))
            {
                return Err(not_finite(model, clip, index));
            }
            played.frames.extend(made.iter().filter_map(to_image));
            if let Some(last) = made.pop() {
                given = fed_back(model, last);
            }
            let progress = StreamProgress {
                frames: &played.frames[played.frames.len() - actions.len()..],
                actions_done: first + actions.len(),
                actions: clip.actions.len(),
                elapsed: started.elapsed(),
            };
            if on_frames(progress).is_break() {
                return Ok(None);
            }
            started = Instant::now();
        }
        played.chunk_secs.push(chunk_started.elapsed().as_secs_f64());
    }
    Ok(Some(played))
}

/// Returns the actions of one latent frame, if the network takes just these at a time.
fn actions_at_once(model: &Predict) -> Result<usize, ActionRolloutError> {
    let config = model.config();
    let at_once = config.vae.temporal_compression();
    let fits = config.dit.conditioning.action.as_ref().is_some_and(|action| {
        let temporal_compression_ratio = at_once;
        action.grouping
            == ActionGrouping::PerLatentFrame {
                temporal_compression_ratio,
            }
            && action.injection.is_none()
    });
    if fits {
        return Ok(at_once);
    }
    Err(ActionRolloutError::NotStreaming {
        model: model.spec().name.clone(),
        expected: at_once,
    })
}

/// Fills up the actions of a latent frame by repeating the last one.
fn padded(actions: &[Vec<f32>], at_once: usize) -> TensorData {
    let dimensions = actions.first().map_or(0, Vec::len);
    let filled = actions.iter().chain(actions.last().into_iter().cycle());
    let values: Vec<f32> = filled.take(at_once).flatten().copied().collect();
    TensorData::new(values, [1, at_once, dimensions])
}

/// Draws the noise of one latent frame.
fn noise(model: &Predict, seed: usize) -> TensorData {
    let [channels, _, height, width] = model.config().latent_shape();
    let values = NumpyRandom::new(seed as u32).standard_normals(channels * height * width);
    TensorData::new(values, [1, channels, 1, height, width])
}
