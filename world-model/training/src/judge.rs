//! Training of the judge: success and progress from a frame and the first one of its episode.
//!
//! Beside recorded frames the judge sees the same moments as a world model predicts them, so that it does not stumble
//! over predicted pictures. If that model is told where the gripper is, so is the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use worldloop_world_model::GripperPose;
use worldloop_world_model::checkpoint::{CheckpointWriter, KeyMap, SaveDtype};
use worldloop_world_model::judge::{JudgeNetwork, JudgeNetworkConfig};
use worldloop_world_model_data::Episode;

use crate::config::{TrainerConfig, require};
use crate::error::TrainingError;
use crate::frame_pool::FramePool;
use crate::judge_scores::{Scores, matching_offset};
use crate::objective::{Evaluation, Objective};
use crate::parameters::to_vec;
use crate::poses::known_poses;
use crate::predicted_frames::{PredictedFrame, predict_frames};
use crate::preparation::Preparation;
use crate::random::StepRandom;
use crate::recordings::Recordings;
use crate::traces::{Trace, draw_traces};
use crate::vae::device_of;
use crate::world::load_world;

/// Frames per network call in an evaluation.
const EVALUATION_BATCH: usize = 128;

/// Validation episodes whose progress is drawn.
const PICTURED_EPISODES: usize = 12;

/// Most predicted stretches of validation episodes whose frames the offset of success is chosen on.
const HELD_OUT_STRETCHES: usize = 384;

/// Points in space whose distances a judge that sees poses takes.
const POINTS: usize = 8;

/// Place of the training episodes in a pair.
const TRAINING: usize = 0;
/// Place of the validation episodes in a pair.
const VALIDATION: usize = 1;

/// Everything about the training of a judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JudgeTrainingConfig {
    /// How long, how often, how fast.
    pub trainer: TrainerConfig,
    /// Folders of recordings.
    pub datasets: Vec<PathBuf>,
    /// Camera that is judged.
    pub camera: String,
    /// Weights of the world model whose predictions are judged too; none trains on recorded frames alone.
    pub world: Option<PathBuf>,
    /// Stretches of up to four chunks that the world model predicts before training.
    pub predicted_stretches: usize,
    /// Share of predicted frames in a batch.
    pub predicted_share: f32,
    /// Share of frames that show success in a batch.
    pub success_share: f32,
    /// Share of near misses among the frames of a batch that do not show success: they are the hard ones.
    pub near_miss_share: f32,
    /// Share of frames of which the judge does not know where the gripper is, if the world model is told.
    pub unknown_pose_share: f32,
    /// Share of frames that are hidden, so that the judge learns what the gripper's pose and the first frame say alone: predicted frames
    /// blur where gripper and object meet.
    pub hidden_frame_share: f32,
    /// Width of the network's fully connected layers.
    pub d_hidden: usize,
    /// Frames per step.
    pub batch_size: usize,
    /// Largest shift of brightness, of a range of 2.
    pub brightness: f32,
    /// Largest deviation of noise on the pixels, of a range of 2.
    pub pixel_noise: f32,
}

impl Default for JudgeTrainingConfig {
    fn default() -> Self {
        Self {
            trainer: TrainerConfig {
                steps: 4_000,
                evaluate_every: 500,
                ..TrainerConfig::default()
            },
            datasets: Vec::new(),
            camera: "third_person".into(),
            world: None,
            predicted_stretches: 256,
            predicted_share: 0.4,
            success_share: 0.3,
            near_miss_share: 0.4,
            unknown_pose_share: 0.1,
            hidden_frame_share: 0.0,
            d_hidden: 128,
            batch_size: 64,
            brightness: 0.03,
            pixel_noise: 0.04,
        }
    }
}

/// A recorded frame: position of the episode, index of the frame.
type Moment = (usize, usize);

/// Lists the recorded frames that show success, and those that don't.
fn moments(recordings: &Recordings) -> Result<(Vec<Moment>, Vec<Moment>), TrainingError> {
    let episodes = recordings.training.iter().enumerate();
    let moments = episodes.flat_map(|(place, episode)| (0..episode.successes.len()).map(move |frame| (place, frame)));
    let (solved, unsolved): (Vec<Moment>, Vec<Moment>) =
        moments.partition(|&(place, frame)| recordings.training[place].successes[frame]);
    for (what, found) in [
        ("frames with success", solved.len()),
        ("frames without success", unsolved.len()),
    ] {
        if found == 0 {
            return Err(TrainingError::TooLittleData {
                path: recordings.path().to_path_buf(),
                what,
                expected: 1,
                found,
            });
        }
    }
    Ok((solved, unsolved))
}

/// Success and progress of recorded and predicted frames.
#[derive(Debug)]
pub struct JudgeObjective {
    config: JudgeTrainingConfig,
    network: JudgeNetworkConfig,
    recordings: Recordings,
    /// Where the gripper is in each frame of the training and of the validation episodes; empty for a judge that sees
    /// frames alone.
    poses: [Vec<Vec<Option<GripperPose>>>; 2],
    solved: FramePool<Moment>,
    unsolved: FramePool<Moment>,
    predicted_solved: FramePool<PredictedFrame>,
    predicted_unsolved: FramePool<PredictedFrame>,
    /// Predictions of validation episodes.
    held_out: Vec<PredictedFrame>,
}

impl JudgeObjective {
    /// Reads the recordings, and lets the world model predict frames if there is one.
    ///
    /// # Errors
    /// [`TrainingError::TooLittleData`] without a success or without a failure, [`TrainingError::Stopped`], and those of reading.
    pub fn new(
        config: JudgeTrainingConfig,
        preparation: &mut Preparation<'_>,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        config.trainer.validate()?;
        require(
            "batch_size",
            config.batch_size > 0,
            || "at least 1".into(),
            config.batch_size,
        )?;
        let recordings = Recordings::load(&config.datasets, &config.camera)?;
        let tasks: BTreeSet<&str> = recordings
            .training
            .iter()
            .map(|episode| episode.info.task.as_str())
            .collect();
        let tasks = tasks.into_iter().map(str::to_string).collect();
        let [height, width] = recordings.size();
        let mut network = JudgeNetworkConfig::new(tasks, height, width)
            .with_d_hidden(config.d_hidden)
            .with_points(Some(POINTS));
        require(
            "datasets",
            network.is_valid(),
            || "frames with sides that are multiples of 16".into(),
            width,
        )?;
        let (solved, unsolved) = moments(&recordings)?;
        let (mut predicted, mut held_out) = (Vec::new(), Vec::new());
        let mut poses = [Vec::new(), Vec::new()];
        if let Some(path) = &config.world {
            let model = load_world(path, device)?;
            network.poses = model.config().action_reference.pose_limits();
            if network.poses.is_some() {
                poses = [
                    known_poses(&recordings.training, model.config())?,
                    known_poses(&recordings.validation, model.config())?,
                ];
            }
            let (count, seed) = (config.predicted_stretches, config.trainer.seed);
            let mut predict =
                |episodes: &[Episode], count| predict_frames(&recordings, episodes, &model, count, seed, preparation);
            predicted = predict(&recordings.training, count)?;
            held_out = predict(&recordings.validation, HELD_OUT_STRETCHES.min(count))?;
        }
        let (predicted_solved, predicted_unsolved): (Vec<PredictedFrame>, Vec<PredictedFrame>) =
            predicted.into_iter().partition(|frame| frame.success);
        let progress = |&(place, frame): &Moment| {
            let episode = &recordings.training[place];
            (episode.info.task.clone(), episode.progress[frame])
        };
        let unsolved = FramePool::with_near_misses(unsolved, progress);
        Ok(Self {
            config,
            network,
            recordings,
            poses,
            solved: FramePool::new(solved),
            unsolved,
            predicted_solved: FramePool::new(predicted_solved),
            predicted_unsolved: FramePool::with_near_misses(predicted_unsolved, |frame| {
                (frame.task.clone(), frame.progress)
            }),
            held_out,
        })
    }

    /// Draws a batch: pixels, conditions, and for each frame success and progress.
    fn batch(&self, step: u64) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let mut random = StepRandom::new(self.config.trainer.seed, step, 0);
        // Of their own, so that a judge that sees poses is trained on the same frames as one that does not.
        let [mut unknown, mut earlier, mut hiding] =
            [1, 2, 3].map(|stream| StepRandom::new(self.config.trainer.seed, step, stream));
        let (mut pixels, mut conditions, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let near_misses = self.config.near_miss_share;
        for _ in 0..self.config.batch_size {
            let solved = random.chance(self.config.success_share);
            let (recorded, predicted) = if solved {
                (&self.solved, &self.predicted_solved)
            } else {
                (&self.unsolved, &self.predicted_unsolved)
            };
            let start = pixels.len();
            let without_pose = unknown.chance(self.config.unknown_pose_share);
            let wants_predicted = random.chance(self.config.predicted_share);
            let predicted = wants_predicted
                .then(|| predicted.draw(near_misses, &mut random))
                .flatten();
            if let Some(frame) = predicted {
                pixels.extend(self.predicted_picture(TRAINING, frame));
                conditions.extend(self.condition(&frame.task, frame.pose.filter(|_| !without_pose)));
                labels.extend([f32::from(u8::from(frame.success)), frame.progress]);
            } else if let Some(&(place, frame)) = recorded.draw(near_misses, &mut random) {
                let episode = &self.recordings.training[place];
                // Half of the time the episode begins at a later frame, as episodes from anywhere do.
                let first = if earlier.chance(0.5) {
                    0
                } else {
                    earlier.index(frame + 1)
                };
                pixels.extend(self.picture(episode, frame, first));
                let pose = self.pose(TRAINING, place, frame).filter(|_| !without_pose);
                conditions.extend(self.condition(&episode.info.task, pose));
                labels.extend([f32::from(u8::from(episode.successes[frame])), episode.progress[frame]]);
            }
            if hiding.chance(self.config.hidden_frame_share) {
                let shown = (pixels.len() - start) / 2;
                pixels[start..start + shown].fill(0.0);
            }
            let shift = self.config.brightness * (2.0 * random.uniform() - 1.0);
            let deviation = self.config.pixel_noise * random.uniform();
            let noise = random.normals(pixels.len() - start);
            for (pixel, noise) in pixels[start..].iter_mut().zip(noise) {
                *pixel = (*pixel + shift + deviation * noise).clamp(-1.0, 1.0);
            }
        }
        (pixels, conditions, labels)
    }

    /// Returns a frame's pixels, channels first, in `[-1, 1]`.
    fn pixels<'a>(&self, episode: &'a Episode, frame: usize) -> impl Iterator<Item = f32> + use<'a> {
        let bytes = self.recordings.frames(episode)[frame].as_raw();
        (0..3).flat_map(move |channel| {
            bytes
                .iter()
                .skip(channel)
                .step_by(3)
                .map(|&byte| f32::from(byte) / 127.5 - 1.0)
        })
    }

    /// Returns what the judge sees of a recorded frame, if the episode began with the frame of index `first`.
    fn picture<'a>(&self, episode: &'a Episode, frame: usize, first: usize) -> impl Iterator<Item = f32> + use<'a> {
        self.pixels(episode, frame).chain(self.pixels(episode, first))
    }

    /// Returns what the judge sees of a frame that was predicted from the training or the validation episodes.
    fn predicted_picture<'a>(&'a self, set: usize, frame: &'a PredictedFrame) -> impl Iterator<Item = f32> + use<'a> {
        let episodes = [&self.recordings.training, &self.recordings.validation][set];
        let pixels = frame.pixels.iter().map(|&byte| f32::from(byte) / 127.5 - 1.0);
        pixels.chain(self.pixels(&episodes[frame.episode], 0))
    }

    /// Returns where the gripper is in a frame of the training or the validation episodes.
    fn pose(&self, set: usize, episode: usize, frame: usize) -> Option<GripperPose> {
        self.poses[set].get(episode).and_then(|poses| poses[frame])
    }

    /// Returns what the judge sees beside a frame.
    fn condition(&self, task: &str, pose: Option<GripperPose>) -> Vec<f32> {
        let known = self.network.tasks.iter().position(|known| known == task);
        // Every task of the recordings is known.
        self.network.condition(known.unwrap_or_default(), pose)
    }

    fn logits(&self, network: &JudgeNetwork, pixels: Vec<f32>, conditions: Vec<f32>) -> Tensor<2> {
        let device = device_of(network);
        let batch = conditions.len() / self.network.conditions();
        let shape = [batch, 6, self.network.height, self.network.width];
        let pictures = TensorData::new(pixels, shape);
        let conditions = TensorData::new(conditions, [batch, self.network.conditions()]);
        network.forward(
            Tensor::from_data(pictures, &device),
            Tensor::from_data(conditions, &device),
        )
    }
}

impl Objective for JudgeObjective {
    type Network = JudgeNetwork;

    fn name(&self) -> &'static str {
        "judge"
    }

    fn network(&self, device: &Device) -> JudgeNetwork {
        self.network.init(device)
    }

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn loss(&self, network: &JudgeNetwork, step: u64) -> Tensor<1> {
        let (pixels, conditions, labels) = self.batch(step);
        let logits = self.logits(network, pixels, conditions);
        let [batch, _] = logits.dims();
        let labels = Tensor::<2>::from_data(TensorData::new(labels, [batch, 2]), &logits.device());
        // Binary cross-entropy for both: progress is a number between 0 and 1, too.
        let likelihood =
            labels.clone() * log_sigmoid(logits.clone()) + (labels.neg() + 1.0) * log_sigmoid(logits.neg());
        likelihood.mean().neg()
    }

    fn evaluate(&self, network: &JudgeNetwork, picture: &Path) -> Result<Evaluation, TrainingError> {
        let held_out = self.held_out_logits(network);
        let offsets: Vec<f32> = held_out.iter().map(|frames| matching_offset(frames)).collect();
        let mut found = Scores::default();
        for (frames, offset) in held_out.iter().zip(&offsets) {
            for (solved, logit) in frames {
                found.add_call(*solved, logit > offset);
            }
        }
        let mut scores = Scores::default();
        // Progress of some of the episodes, as it was and as it is judged.
        let mut traces = Vec::new();
        let apart = self.recordings.validation.len().div_ceil(PICTURED_EPISODES).max(1);
        for (place, episode) in self.recordings.validation.iter().enumerate() {
            let task = self.network.tasks.iter().position(|known| *known == episode.info.task);
            let offset = task.map_or(0.0, |task| offsets[task]);
            let mut trace = Trace::default();
            let labels = episode.successes.iter().zip(&episode.progress);
            for (logits, (&solved, &truth)) in self.recorded_logits(network, place).into_iter().zip(labels) {
                let progress = 1.0 / (1.0 + (-logits[1]).exp());
                trace.truth.push(truth);
                trace.answer.push(progress);
                scores.add_call(solved, logits[0] > offset);
                scores.progress_error += f64::from((truth - progress).abs());
            }
            if place.is_multiple_of(apart) {
                traces.push(trace);
            }
        }
        draw_traces(&traces, picture)?;
        Ok(scores.evaluation().with("held_out_success_recall", found.recall()))
    }

    fn export(&self, network: &JudgeNetwork, path: &Path) -> Result<(), TrainingError> {
        let held_out = self.held_out_logits(network);
        let offsets = held_out.iter().map(|frames| matching_offset(frames)).collect();
        let config = self.network.clone().with_success_offsets(offsets);
        let text = serde_json::to_string(&config).map_err(|source| TrainingError::Json {
            path: path.to_path_buf(),
            what: "judge config",
            source,
        })?;
        let writer = CheckpointWriter::new(SaveDtype::F16).with_module("", network, &KeyMap::identity());
        Ok(writer.with_metadata("config", text).save(path)?)
    }
}

impl JudgeObjective {
    /// Returns by task, for each held-out frame, whether it shows success and its success logit.
    ///
    /// Held-out frames are predicted ones where there is a world model, else recorded ones.
    fn held_out_logits(&self, network: &JudgeNetwork) -> Vec<Vec<(bool, f32)>> {
        let mut by_task: BTreeMap<&str, Vec<(bool, f32)>> = BTreeMap::new();
        for frames in self.held_out.chunks(EVALUATION_BATCH) {
            let pictures = frames
                .iter()
                .flat_map(|frame| self.predicted_picture(VALIDATION, frame))
                .collect();
            let conditions = frames
                .iter()
                .flat_map(|frame| self.condition(&frame.task, frame.pose))
                .collect();
            let logits = to_vec(self.logits(network, pictures, conditions));
            for (frame, logits) in frames.iter().zip(logits.chunks_exact(2)) {
                let of_task = by_task.entry(frame.task.as_str()).or_default();
                of_task.push((frame.success, logits[0]));
            }
        }
        if self.held_out.is_empty() {
            for (place, episode) in self.recordings.validation.iter().enumerate() {
                let logits = self
                    .recorded_logits(network, place)
                    .into_iter()
                    .map(|[success, _]| success);
                let of_task = by_task.entry(episode.info.task.as_str()).or_default();
                of_task.extend(episode.successes.iter().copied().zip(logits));
            }
        }
        let tasks = self.network.tasks.iter();
        tasks
            .map(|task| by_task.remove(task.as_str()).unwrap_or_default())
            .collect()
    }

    /// Returns the logits of success and progress of each frame of a validation episode.
    fn recorded_logits(&self, network: &JudgeNetwork, place: usize) -> Vec<[f32; 2]> {
        let episode = &self.recordings.validation[place];
        let frames: Vec<usize> = (0..episode.successes.len()).collect();
        let mut found = Vec::with_capacity(frames.len());
        for frames in frames.chunks(EVALUATION_BATCH) {
            let pictures = frames
                .iter()
                .flat_map(|&frame| self.picture(episode, frame, 0))
                .collect();
            let condition = |&frame: &usize| self.condition(&episode.info.task, self.pose(VALIDATION, place, frame));
            let conditions = frames.iter().flat_map(condition).collect();
            let logits = to_vec(self.logits(network, pictures, conditions));
            found.extend(logits.chunks_exact(2).map(|logits| [logits[0], logits[1]]));
        }
        found
    }
}
