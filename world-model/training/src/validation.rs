//! Looking at a world model: how well it predicts, how far, and whether it obeys actions.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use worldloop_world_model::GripperPose;
use worldloop_world_model::pipeline::{Predict, PredictConfig, PredictNetworks};
use worldloop_world_model_data::{Episode, Window};

use crate::chunk_input::chunk_input;
use crate::error::TrainingError;
use crate::image_error::{decibels, mean_squared_error, moving_psnr, psnr};
use crate::objective::Evaluation;
use crate::parameters::to_vec;
use crate::picture::{ClipView, draw_comparison};
use crate::poses::recorded_pose;
use crate::random::StepRandom;
use crate::recordings::{Crop, Recordings};
use crate::vae::device_of;
use crate::world::idle_actions;

/// Windows that an evaluation predicts.
const WINDOWS: usize = 16;

/// Chunks of a long prediction.
const CHUNKS: usize = 4;

/// Long predictions per evaluation.
const LONG_WINDOWS: usize = 8;

/// Predictions whose pictures are drawn.
const PICTURED: usize = 3;

/// Shuffled actions must raise the error at least by this factor, or the model ignores them.
const LEAST_SENSITIVITY: f64 = 1.1;

/// Windows of validation episodes that every evaluation looks at.
#[derive(Debug)]
pub(crate) struct WorldValidation {
    short: Vec<Window>,
    long: Vec<Window>,
    chunk: usize,
}

impl WorldValidation {
    /// Chooses windows spread evenly over the validation episodes.
    pub(crate) fn new(recordings: &Recordings, chunk: usize) -> Result<Self, TrainingError> {
        let short = spread(&recordings.windows(&recordings.validation, chunk, 1)?, WINDOWS);
        // Episodes may be too short for long predictions; these are then left out.
        let long = recordings
            .windows(&recordings.validation, CHUNKS * chunk, 1)
            .unwrap_or_default();
        Ok(Self {
            short,
            long: spread(&long, LONG_WINDOWS),
            chunk,
        })
    }

    /// Measures a model and draws predictions.
    pub(crate) fn evaluate(
        &self,
        recordings: &Recordings,
        config: &PredictConfig,
        networks: PredictNetworks,
        picture: &Path,
    ) -> Result<Evaluation, TrainingError> {
        let device = device_of(&networks);
        let model = match Predict::new(config.clone(), networks, None, None, &device) {
            Ok(model) => model,
            Err(error) => {
                let (key, expected) = ("dit", "sizes that fit VAE and recordings".to_string());
                return Err(TrainingError::Config {
                    key,
                    expected,
                    found: error.to_string(),
                });
            }
        };
        let short = Batch::new(recordings, config, &self.short, self.chunk, &device)?;
        let mut evaluation = self.short_predictions(&model, &short, picture)?;
        self.action_sensitivity(&model, &short, &mut evaluation);
        if !self.long.is_empty() {
            let long = Batch::new(recordings, config, &self.long, CHUNKS * self.chunk, &device)?;
            let predicted = long.predict(&model, &long.actions, CHUNKS);
            let last = (CHUNKS - 1) * self.chunk;
            let error = long.last_chunk_error(&predicted, last);
            evaluation.metrics.insert("psnr_chunk4_db".into(), decibels(error));
        }
        Ok(evaluation)
    }

    fn short_predictions(&self, model: &Predict, batch: &Batch, picture: &Path) -> Result<Evaluation, TrainingError> {
        let predicted = batch.predict(model, &batch.actions, 1);
        let still = batch.repeated_first_frame();
        let (pairs, still) = (batch.pairs(&predicted), batch.pairs(&still));
        draw_comparison(&pairs[..PICTURED.min(pairs.len())], picture)?;
        Ok(Evaluation::default()
            .with("psnr_chunk1_db", psnr(&pairs))
            .with("psnr_still_db", psnr(&still))
            .with("psnr_moving_db", moving_psnr(&pairs))
            .with("gain_moving_db", moving_psnr(&pairs) - moving_psnr(&still)))
    }

    /// Compares the error with true actions to that with wrong ones.
    fn action_sensitivity(&self, model: &Predict, batch: &Batch, evaluation: &mut Evaluation) {
        let order = StepRandom::new(0, 0, 5).permutation(batch.actions.len());
        let flipped = |action: &Vec<f32>| {
            let gripper = action.len().saturating_sub(1);
            let flip = |(place, &value): (usize, &f32)| if place == gripper { 1.0 - value } else { -value };
            action.iter().enumerate().map(flip).collect::<Vec<f32>>()
        };
        let variants: [(&str, Vec<Vec<Vec<f32>>>); 3] = [
            (
                "zeroed",
                batch.actions.iter().map(|actions| idle_actions(actions)).collect(),
            ),
            (
                "shuffled",
                order.iter().map(|&other| batch.actions[other].clone()).collect(),
            ),
            (
                "flipped",
                batch
                    .actions
                    .iter()
                    .map(|actions| actions.iter().map(flipped).collect())
                    .collect(),
            ),
        ];
        let error = |actions: &[Vec<Vec<f32>>]| {
            let predicted = batch.predict(model, actions, 1);
            mean_squared_error(&batch.pairs(&predicted), |_, _| true)
        };
        let truth = error(&batch.actions).max(1e-12);
        evaluation.metrics.insert("error_true_actions".into(), truth);
        for (name, actions) in variants {
            let ratio = error(&actions) / truth;
            evaluation.metrics.insert(format!("{name}_error_ratio"), ratio);
            if ratio < LEAST_SENSITIVITY {
                evaluation.warnings.push(format!(
                    "THE MODEL HARDLY REACTS TO ACTIONS: with {name} actions its error is {ratio:.2} times that with the \
                     true ones (at least {LEAST_SENSITIVITY} is wanted); train longer before trusting it"
                ));
            }
        }
    }
}

/// Takes `count` windows at equal distances.
fn spread(windows: &[Window], count: usize) -> Vec<Window> {
    let count = count.min(windows.len());
    (0..count).map(|place| windows[place * windows.len() / count]).collect()
}

/// True clips and actions of windows of one length.
#[derive(Debug)]
struct Batch {
    truth: Vec<f32>,
    actions: Vec<Vec<Vec<f32>>>,
    /// Where the gripper is in each clip's first frame.
    poses: Vec<Option<GripperPose>>,
    frames: usize,
    size: [usize; 2],
    device: Device,
}

impl Batch {
    fn new(
        recordings: &Recordings,
        config: &PredictConfig,
        windows: &[Window],
        actions: usize,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        let sources: Vec<(&Episode, Window, Crop)> = windows
            .iter()
            .map(|window| (&recordings.validation[window.episode], *window, recordings.whole()))
            .collect();
        let taken = sources
            .iter()
            .map(|(episode, window, _)| episode.actions[window.start..][..actions].to_vec());
        let poses = sources
            .iter()
            .map(|(episode, window, _)| recorded_pose(config, episode, window.start));
        Ok(Self {
            truth: to_vec(recordings.clips(&sources, actions + 1, device)),
            actions: taken.collect(),
            poses: poses.collect::<Result<_, _>>()?,
            frames: actions + 1,
            size: recordings.size(),
            device: device.clone(),
        })
    }

    fn shape(&self) -> [usize; 5] {
        [self.actions.len(), 3, self.frames, self.size[0], self.size[1]]
    }

    /// Predicts chunk after chunk from the first frames; returns clips like the truth.
    fn predict(&self, model: &Predict, actions: &[Vec<Vec<f32>>], chunks: usize) -> Vec<f32> {
        let config = model.config();
        let chunk = config.spec.chunk_length;
        let truth = Tensor::<5>::from_data(TensorData::new(self.truth.clone(), self.shape()), &self.device);
        let mut clips = vec![truth.narrow(2, 0, 1)];
        let mut poses = self.poses.clone();
        for index in 0..chunks {
            let frames = clips[index].clone();
            let [_, _, count, _, _] = frames.dims();
            let last = frames.narrow(2, count - 1, 1).clamp(-1.0, 1.0);
            let taken = actions.iter().zip(&mut poses).flat_map(|(actions, pose)| {
                let actions = &actions[index * chunk..][..chunk];
                let seen = config.network_actions(actions, *pose);
                *pose = config.pose_after(*pose, actions);
                seen
            });
            let mut random = StepRandom::new(0, index as u64, 4);
            let input = chunk_input(model, last, taken.collect(), &mut random);
            clips.push(model.predict_chunk(input).video.narrow(2, 1, chunk).clamp(-1.0, 1.0));
        }
        to_vec(Tensor::cat(clips, 2))
    }

    fn repeated_first_frame(&self) -> Vec<f32> {
        let plane = self.size[0] * self.size[1];
        let channels = self.truth.chunks_exact(self.frames * plane);
        channels
            .flat_map(|channel| channel[..plane].repeat(self.frames))
            .collect()
    }

    fn pairs<'a>(&'a self, predicted: &'a [f32]) -> Vec<(ClipView<'a>, ClipView<'a>)> {
        let [_, channels, frames, height, width] = self.shape();
        let size = channels * frames * height * width;
        let view = |values: &'a [f32]| ClipView {
            values,
            frames,
            height,
            width,
        };
        let pairs = self.truth.chunks_exact(size).zip(predicted.chunks_exact(size));
        pairs.map(|(truth, predicted)| (view(truth), view(predicted))).collect()
    }

    /// Returns the mean squared error over the frames after `first`.
    fn last_chunk_error(&self, predicted: &[f32], first: usize) -> f64 {
        let plane = self.size[0] * self.size[1];
        let (mut sum, mut count) = (0.0, 0);
        let channels = self
            .truth
            .chunks_exact(self.frames * plane)
            .zip(predicted.chunks_exact(self.frames * plane));
        for (truth, predicted) in channels {
            let values = truth[(first + 1) * plane..]
                .iter()
                .zip(&predicted[(first + 1) * plane..]);
            sum += values
                .map(|(truth, predicted)| f64::from(truth - predicted).powi(2))
                .sum::<f64>();
            count += (self.frames - first - 1) * plane;
        }
        sum / f64::from(count.max(1) as u32)
    }
}
