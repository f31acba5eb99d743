//! How well a world model predicts recorded episodes, open loop from their first frame.

use std::ops::ControlFlow;

use image::RgbImage;
use serde::{Deserialize, Serialize};
use worldloop_envs::learned::{frame_from_image, image_from_frame};
use worldloop_world_model::{PredictionRequest, WorldModel, WorldState};

use super::error::EvaluationError;
use super::image_error::{SquaredError, moving_pixels};
use crate::rollout::PlayedEpisode;

/// A pixel moves when a channel changes by more than this, of 255.
const MOTION_THRESHOLD: u8 = 10;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FidelitySettings {
    /// Chunks to predict one after the other, each from the model's own last frame.
    pub chunks: usize,
    /// Episodes per model call.
    pub batch_size: usize,
}

impl Default for FidelitySettings {
    fn default() -> Self {
        Self {
            chunks: 4,
            batch_size: 8,
        }
    }
}

/// The quality of one chunk's frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkFidelity {
    /// Which chunk, from 1.
    pub chunk: usize,
    /// Frames that were compared.
    pub frames: usize,
    /// Mean over the frames of the PSNR in dB.
    pub psnr: f64,
    /// The same for the episode's first frame, held still.
    pub baseline_psnr: f64,
}

/// How well a world model predicts.
///
/// PSNR is taken per frame on 8-bit RGB, at most 60 dB, and averaged over frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Episodes that were predicted.
    pub episodes: usize,
    /// Quality chunk by chunk.
    pub chunks: Vec<ChunkFidelity>,
    /// Frame by frame: mean PSNR in dB of the prediction and of the first frame held still.
    pub frames: Vec<(f64, f64)>,
    /// By how many dB the first chunk beats the first frame held still, on the pixels that move (squared errors pooled over
    /// all of them); `None` if nothing moved.
    pub gain_moving_db: Option<f64>,
    /// Squared error of the first chunk with another episode's actions, over that with its own; `None` with fewer than
    /// two episodes that fill a chunk.
    pub shuffled_error_ratio: Option<f64>,
}

impl Fidelity {
    /// Returns the PSNR of a chunk, counted from 1.
    pub fn psnr_of_chunk(&self, chunk: usize) -> Option<f64> {
        self.chunks
            .iter()
            .find(|each| each.chunk == chunk && each.frames > 0)
            .map(|each| each.psnr)
    }
}

/// An episode as the model's camera saw it.
struct Recording<'a> {
    seed: u64,
    proprioception: &'a [f32],
    frames: Vec<&'a RgbImage>,
    actions: Vec<Vec<f32>>,
}

/// Sums over frames of the same number.
#[derive(Debug, Clone, Copy, Default)]
struct FrameSum {
    frames: usize,
    psnr: f64,
    baseline: f64,
}

#[derive(Debug, Default)]
struct Tally {
    frames: Vec<FrameSum>,
    moving: SquaredError,
    moving_baseline: SquaredError,
    own: SquaredError,
    shuffled: SquaredError,
}

/// Predicts recorded episodes from their first frame and compares; `None` if the observer breaks.
///
/// The observer is told the number of episodes done.
///
/// # Errors
/// [`EvaluationError::Fidelity`] if an episode lacks the model's camera or size, and the model's own errors.
pub fn measure_fidelity(
    model: &dyn WorldModel,
    episodes: &[PlayedEpisode],
    settings: FidelitySettings,
    observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Fidelity>, EvaluationError> {
    let recordings = episodes
        .iter()
        .map(|each| Recording::of(each, model))
        .collect::<Result<Vec<_>, _>>()?;
    let length = model.spec().chunk_length;
    let mut tally = Tally {
        frames: vec![FrameSum::default(); settings.chunks * length],
        ..Tally::default()
    };
    let mut done = 0;
    for batch in recordings.chunks(settings.batch_size.max(1)) {
        tally.predict_batch(model, batch, settings.chunks)?;
        done += batch.len();
        if observer(done).is_break() {
            return Ok(None);
        }
    }
    let full: Vec<&Recording<'_>> = recordings.iter().filter(|each| each.actions.len() >= length).collect();
    if full.len() >= 2 {
        let partners: Vec<_> = full.iter().copied().zip(full.iter().copied().cycle().skip(1)).collect();
        for batch in partners.chunks(settings.batch_size.max(1)) {
            tally.predict_shuffled(model, batch)?;
        }
    }
    Ok(Some(tally.finish(episodes.len(), length)))
}

impl<'a> Recording<'a> {
    fn of(played: &'a PlayedEpisode, model: &dyn WorldModel) -> Result<Self, EvaluationError> {
        let spec = model.spec();
        let camera = spec.cameras.first().map_or("", String::as_str);
        let steps = played.episode.steps.iter();
        let observations =
            std::iter::once(&played.episode.first_observation).chain(steps.clone().map(|each| &each.step.observation));
        let image = |images: &'a std::collections::BTreeMap<String, RgbImage>| {
            let image = images.get(camera).ok_or_else(|| EvaluationError::Fidelity {
                what: "the recorded camera",
                expected: camera.to_owned(),
                found: images.keys().cloned().collect::<Vec<_>>().join(", "),
            })?;
            let (width, height) = image.dimensions();
            if (width as usize, height as usize) == (spec.width, spec.height) {
                return Ok(image);
            }
            Err(EvaluationError::Fidelity {
                what: "the recorded image size",
                expected: format!("{}x{}", spec.width, spec.height),
                found: format!("{width}x{height}"),
            })
        };
        Ok(Self {
            seed: played.request.seed,
            proprioception: &played.episode.first_observation.proprioception,
            frames: observations
                .map(|each| image(&each.images))
                .collect::<Result<_, EvaluationError>>()?,
            actions: steps.map(|each| each.action.0.clone()).collect(),
        })
    }

    fn start(&self, model: &dyn WorldModel) -> Result<WorldState, EvaluationError> {
        let first = frame_from_image(self.frames[0]);
        Ok(model.start(
            vec![vec![first; model.spec().context_frames]; model.spec().cameras.len()],
            self.proprioception,
            self.seed,
        )?)
    }
}

impl Tally {
    fn predict_batch(
        &mut self,
        model: &dyn WorldModel,
        batch: &[Recording<'_>],
        chunks: usize,
    ) -> Result<(), EvaluationError> {
        let length = model.spec().chunk_length;
        let mut states = batch
            .iter()
            .map(|each| each.start(model))
            .collect::<Result<Vec<_>, _>>()?;
        for chunk in 0..chunks {
            let first = chunk * length;
            let active: Vec<usize> = (0..batch.len())
                .filter(|&index| batch[index].actions.len() > first)
                .collect();
            if active.is_empty() {
                break;
            }
            let actions = |index: usize| {
                let actions = &batch[index].actions;
                &actions[first..(first + length).min(actions.len())]
            };
            let requests: Vec<_> = active
                .iter()
                .map(|&index| PredictionRequest {
                    state: &states[index],
                    actions: actions(index),
                })
                .collect();
            let predictions = model.predict(&requests)?;
            for (&index, prediction) in active.iter().zip(predictions) {
                let images = prediction.frames.first().into_iter().flatten().map(image_from_frame);
                for (offset, image) in images.enumerate() {
                    self.compare(&batch[index], first + offset, &image, chunk == 0);
                }
                states[index] = prediction.next_state;
            }
        }
        Ok(())
    }

    /// Compares the prediction of the frame after action `step` with the recording.
    fn compare(&mut self, recording: &Recording<'_>, step: usize, predicted: &RgbImage, first_chunk: bool) {
        let (still, real) = (recording.frames[0], recording.frames[step + 1]);
        let sum = &mut self.frames[step];
        sum.frames += 1;
        sum.psnr += SquaredError::of(predicted, real).psnr();
        sum.baseline += SquaredError::of(still, real).psnr();
        if first_chunk {
            let moving = moving_pixels(still, real, MOTION_THRESHOLD);
            self.moving
                .add(SquaredError::where_(predicted, real, |index| moving[index]));
            self.moving_baseline
                .add(SquaredError::where_(still, real, |index| moving[index]));
        }
    }

    /// Predicts the first chunk with the episodes' own actions and with those of their partners.
    fn predict_shuffled(
        &mut self,
        model: &dyn WorldModel,
        batch: &[(&Recording<'_>, &Recording<'_>)],
    ) -> Result<(), EvaluationError> {
        let length = model.spec().chunk_length;
        let states = batch
            .iter()
            .map(|(own, _)| own.start(model))
            .collect::<Result<Vec<_>, _>>()?;
        for shuffled in [false, true] {
            let actors = batch
                .iter()
                .map(|(own, partner)| if shuffled { *partner } else { *own });
            let requests: Vec<_> = actors
                .zip(&states)
                .map(|(actor, state)| PredictionRequest {
                    state,
                    actions: &actor.actions[..length],
                })
                .collect();
            let total = if shuffled { &mut self.shuffled } else { &mut self.own };
            for ((own, _), prediction) in batch.iter().zip(model.predict(&requests)?) {
                let images = prediction.frames.first().into_iter().flatten().map(image_from_frame);
                images
                    .zip(&own.frames[1..])
                    .for_each(|(image, real)| total.add(SquaredError::of(&image, real)));
            }
        }
        Ok(())
    }

    fn finish(self, episodes: usize, length: usize) -> Fidelity {
        let mean = |sum: f64, count: usize| if count == 0 { 0.0 } else { sum / count as f64 };
        let chunk = |(index, sums): (usize, &[FrameSum])| {
            let frames = sums.iter().map(|sum| sum.frames).sum();
            ChunkFidelity {
                chunk: index + 1,
                frames,
                psnr: mean(sums.iter().map(|sum| sum.psnr).sum(), frames),
                baseline_psnr: mean(sums.iter().map(|sum| sum.baseline).sum(), frames),
            }
        };
        let compared = self.frames.iter().filter(|sum| sum.frames > 0);
        // The tiny floor keeps a perfect prediction from an infinite figure, which JSON has no word for.
        let ratio = |over: SquaredError, under: SquaredError| over.mean() / under.mean().max(1e-6);
        Fidelity {
            episodes,
            chunks: self.frames.chunks(length.max(1)).enumerate().map(chunk).collect(),
            frames: compared
                .map(|sum| (mean(sum.psnr, sum.frames), mean(sum.baseline, sum.frames)))
                .collect(),
            gain_moving_db: (self.moving.values > 0).then(|| 10.0 * ratio(self.moving_baseline, self.moving).log10()),
            shuffled_error_ratio: (self.own.values > 0).then(|| ratio(self.shuffled, self.own)),
        }
    }
}
