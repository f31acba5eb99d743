//! Behaviour cloning: action chunks from camera images of an expert's episodes.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use image::{RgbImage, imageops};
use serde::{Deserialize, Serialize};
use worldloop_policies::Task;
use worldloop_policies::cloned::{ClonedNetwork, ClonedNetworkConfig, images_tensor, tasks_tensor};
use worldloop_world_model_data::{Episode, Window, hold_still};
use worldloop_world_model_training::{
    Evaluation, Objective, OptimizerConfig, Recordings, StepRandom, Trace, TrainerConfig, TrainingError, draw_traces,
};

/// Windows that an evaluation looks at.
const EVALUATION_WINDOWS: usize = 512;

/// Windows per network call in an evaluation.
const EVALUATION_BATCH: usize = 64;

/// Validation episodes whose actions are drawn.
const PICTURED_EPISODES: usize = 4;

/// Values of an action that move the gripper, and are drawn.
const TRANSLATION_VALUES: usize = 3;

/// Deviation below which a blur changes nothing, in pixels.
const MIN_BLUR: f32 = 0.1;

/// Everything about the training of a behaviour-cloned policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClonedTrainingConfig {
    /// How long, how often, how fast.
    pub trainer: TrainerConfig,
    /// Folders of recordings.
    pub datasets: Vec<PathBuf>,
    /// Camera that the policy sees.
    pub camera: String,
    /// Policies whose actions are imitated; empty imitates all that ended in success.
    pub experts: Vec<String>,
    /// Sizes of the network.
    pub network: ClonedNetworkConfig,
    /// Windows per step.
    pub batch_size: usize,
    /// Largest shift of the image in each direction, in pixels.
    pub shift_px: usize,
    /// Largest deviation of noise on the pixels, of a range of 255.
    pub pixel_noise: f32,
    /// Largest deviation of the blur on half of the images, in pixels: pictures of a learned world are softer than a camera's.
    pub blur_px: f32,
    /// Weight of the gripper's error over that of a motion.
    pub gripper_weight: f32,
}

impl Default for ClonedTrainingConfig {
    fn default() -> Self {
        Self {
            trainer: TrainerConfig {
                steps: 8_000,
                evaluate_every: 500,
                keep_every_evaluation: true,
                optimizer: OptimizerConfig {
                    learning_rate: 1e-3,
                    ..OptimizerConfig::default()
                },
                ..TrainerConfig::default()
            },
            datasets: Vec::new(),
            camera: worldloop_policies::cloned::CAMERA.into(),
            experts: vec!["expert".into()],
            network: ClonedNetworkConfig::new(),
            batch_size: 64,
            shift_px: 2,
            pixel_noise: 6.0,
            blur_px: 1.0,
            gripper_weight: 1.0,
        }
    }
}

/// Imitation of recorded actions.
#[derive(Debug)]
pub struct ClonedObjective {
    config: ClonedTrainingConfig,
    recordings: Recordings,
    windows: Vec<(Window, Task)>,
    validation: Vec<(Window, Task)>,
}

impl ClonedObjective {
    /// Reads the recordings and chooses the episodes to imitate.
    ///
    /// # Errors
    /// [`TrainingError::Config`] for sizes that do not fit, [`TrainingError::TooLittleData`] if no episode qualifies.
    pub fn new(config: ClonedTrainingConfig) -> Result<Self, TrainingError> {
        config.trainer.validate()?;
        let refuse = |key, expected: String, found: String| Err(TrainingError::Config { key, expected, found });
        if let Err(error) = config.network.check() {
            return refuse("network", "sizes of a network".into(), error.to_string());
        }
        if config.batch_size == 0 {
            return refuse("batch_size", "at least 1".into(), "0".into());
        }
        let recordings = Recordings::load(&config.datasets, &config.camera)?;
        let (size, actions) = (config.network.image_size, recordings.info().actions.len());
        if recordings.size() != [size, size] {
            return refuse(
                "network.image_size",
                format!("{:?}, the recorded size", recordings.size()),
                size.to_string(),
            );
        }
        if config.network.action_size != actions {
            let found = config.network.action_size.to_string();
            return refuse("network.action_size", format!("{actions}, the recorded values"), found);
        }
        let windows = imitated(&config, &recordings.training);
        let validation = imitated(&config, &recordings.validation);
        if windows.is_empty() || validation.is_empty() {
            let (path, what) = (
                recordings.path().to_path_buf(),
                "successful episodes of the experts to train and validate on",
            );
            return Err(TrainingError::TooLittleData {
                path,
                what,
                expected: 2,
                found: 0,
            });
        }
        Ok(Self {
            config,
            recordings,
            windows,
            validation,
        })
    }

    /// Returns images, tasks, actions and weights as tensors: weights are 0 beyond an episode's end.
    fn batch(&self, chosen: &[(&Episode, Window, Task)], random: Option<&mut StepRandom>, device: &Device) -> Batch {
        let (horizon, size) = (self.config.network.horizon, self.config.network.action_size);
        let images: Vec<&RgbImage> = chosen
            .iter()
            .map(|(episode, window, _)| &self.recordings.frames(episode)[window.start])
            .collect();
        let images = match random {
            None => images_tensor(&images, device),
            Some(random) => {
                let changed: Vec<RgbImage> = images.into_iter().map(|image| self.augmented(image, random)).collect();
                images_tensor(&changed, device)
            }
        };
        let tasks: Vec<Task> = chosen.iter().map(|(_, _, task)| *task).collect();
        let (mut actions, mut weights) = (Vec::new(), Vec::new());
        for (episode, window, _) in chosen {
            let taken = &episode.actions[window.start..window.start + window.actions];
            for place in 0..horizon {
                let within = place < taken.len();
                let action = if within {
                    taken[place].clone()
                } else {
                    hold_still(&taken[taken.len() - 1])
                };
                actions.extend(action);
                weights.extend((0..size).map(|value| match (within, value + 1 == size) {
                    (false, _) => 0.0,
                    (true, true) => self.config.gripper_weight,
                    (true, false) => 1.0,
                }));
            }
        }
        let shape = [chosen.len(), horizon, size];
        Batch {
            images,
            tasks: tasks_tensor(&tasks, device),
            actions: Tensor::from_data(TensorData::new(actions, shape), device),
            weights: Tensor::from_data(TensorData::new(weights, shape), device),
        }
    }

    /// Shifts an image by a few pixels, its border repeated, blurs it or not, and adds noise.
    fn augmented(&self, image: &RgbImage, random: &mut StepRandom) -> RgbImage {
        let deviation = self.config.blur_px * random.uniform();
        let blurred = (random.chance(0.5) && deviation > MIN_BLUR).then(|| imageops::blur(image, deviation));
        let image = blurred.as_ref().unwrap_or(image);
        let reach = self.config.shift_px as i64;
        let mut shift = || random.index(2 * self.config.shift_px + 1) as i64 - reach;
        let (right, down) = (shift(), shift());
        let deviation = self.config.pixel_noise * random.uniform();
        let noise = random.normals(image.as_raw().len());
        let (width, height) = image.dimensions();
        let inside =
            |place: u32, shift: i64, size: u32| (i64::from(place) + shift).clamp(0, i64::from(size) - 1) as u32;
        RgbImage::from_fn(width, height, |x, y| {
            let mut pixel = *image.get_pixel(inside(x, right, width), inside(y, down, height));
            let start = 3 * (y * width + x) as usize;
            for (value, noise) in pixel.0.iter_mut().zip(&noise[start..start + 3]) {
                *value = (f32::from(*value) + deviation * noise).round().clamp(0.0, 255.0) as u8;
            }
            pixel
        })
    }
}

/// What one step trains on.
#[derive(Debug)]
struct Batch {
    images: Tensor<4>,
    tasks: Tensor<2>,
    actions: Tensor<3>,
    weights: Tensor<3>,
}

impl Batch {
    /// Returns the weighted mean of absolute and squared errors, `[1]`.
    fn error(self, network: &ClonedNetwork) -> Tensor<1> {
        let difference = network.forward(self.images, self.tasks) - self.actions;
        let errors = difference.clone().abs() + difference.clone() * difference;
        (errors * self.weights.clone()).sum() / self.weights.sum()
    }
}

impl Objective for ClonedObjective {
    type Network = ClonedNetwork;

    fn name(&self) -> &'static str {
        "cloned"
    }

    fn network(&self, device: &Device) -> ClonedNetwork {
        self.config.network.init(device)
    }

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn loss(&self, network: &ClonedNetwork, step: u64) -> Tensor<1> {
        let mut random = StepRandom::new(self.config.trainer.seed, step, 0);
        let chosen: Vec<(&Episode, Window, Task)> = (0..self.config.batch_size)
            .map(|_| self.windows[random.index(self.windows.len())])
            .map(|(window, task)| (&self.recordings.training[window.episode], window, task))
            .collect();
        self.batch(&chosen, Some(&mut random), &network.conv1.weight.device())
            .error(network)
    }

    fn evaluate(&self, network: &ClonedNetwork, picture: &Path) -> Result<Evaluation, TrainingError> {
        let count = EVALUATION_WINDOWS.min(self.validation.len());
        let chosen: Vec<(&Episode, Window, Task)> = (0..count)
            .map(|place| self.validation[place * self.validation.len() / count])
            .map(|(window, task)| (&self.recordings.validation[window.episode], window, task))
            .collect();
        let (mut sum, mut batches) = (0.0, 0.0);
        for chosen in chosen.chunks(EVALUATION_BATCH) {
            let error = self.batch(chosen, None, &network.conv1.weight.device()).error(network);
            sum += f64::from(error.into_scalar::<f32>()) * chosen.len() as f64;
            batches += chosen.len() as f64;
        }
        draw_traces(&self.traces(network), picture)?;
        Ok(Evaluation::default().with("validation_error", sum / batches))
    }

    fn export(&self, network: &ClonedNetwork, path: &Path) -> Result<(), TrainingError> {
        let bytes = match network.to_safetensors(&self.config.network) {
            Ok(bytes) => bytes,
            Err(error) => {
                let source = std::io::Error::other(error);
                return Err(TrainingError::Write {
                    path: path.to_path_buf(),
                    source,
                });
            }
        };
        std::fs::write(path, bytes).map_err(|source| TrainingError::Write {
            path: path.to_path_buf(),
            source,
        })
    }
}

impl ClonedObjective {
    /// Returns, for some validation episodes, the translation along each axis as the expert and the network have it.
    fn traces(&self, network: &ClonedNetwork) -> Vec<Trace> {
        let mut places: Vec<usize> = self.validation.iter().map(|(window, _)| window.episode).collect();
        places.dedup();
        let apart = places.len().div_ceil(PICTURED_EPISODES).max(1);
        let mut traces = Vec::new();
        for place in places.into_iter().step_by(apart) {
            let of_episode = self.validation.iter().filter(|(window, _)| window.episode == place);
            let chosen: Vec<(&Episode, Window, Task)> = of_episode
                .map(|&(window, task)| (&self.recordings.validation[place], window, task))
                .collect();
            let Batch {
                images, tasks, actions, ..
            } = self.batch(&chosen, None, &network.conv1.weight.device());
            let first =
                |actions: Tensor<3>| -> Vec<f32> { actions.narrow(1, 0, 1).into_data().iter::<f32>().collect() };
            let (truth, answer) = (first(actions), first(network.forward(images, tasks)));
            let size = self.config.network.action_size;
            traces.extend((0..size.min(TRANSLATION_VALUES)).map(|axis| Trace {
                truth: truth.iter().skip(axis).step_by(size).copied().collect(),
                answer: answer.iter().skip(axis).step_by(size).copied().collect(),
            }));
        }
        traces
    }
}

/// Lists every start in the episodes to imitate, with the episode's task.
fn imitated(config: &ClonedTrainingConfig, episodes: &[Episode]) -> Vec<(Window, Task)> {
    let mut found = Vec::new();
    for (place, episode) in episodes.iter().enumerate() {
        let by_expert = config.experts.is_empty() || config.experts.contains(&episode.info.policy);
        let Some(task) = Task::from_name(&episode.info.task).filter(|_| by_expert && episode.info.success) else {
            continue;
        };
        let horizon = config.network.horizon;
        found.extend((0..episode.len()).map(|start| {
            (
                Window {
                    episode: place,
                    start,
                    actions: horizon.min(episode.len() - start),
                },
                task,
            )
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::ControlFlow;

    use image::Rgb;
    use worldloop_policies::cloned::CAMERA;
    use worldloop_world_model_data::{ActionInfo, CameraInfo, DatasetInfo, EpisodeInfo, EpisodeWriter, FORMAT_VERSION};
    use worldloop_world_model_training::{RunFolder, Trainer};

    use super::*;

    /// The expert moves towards the bright half of the image.
    fn episode(seed: u64, policy: &str) -> Episode {
        let bright_left = seed.is_multiple_of(2);
        let frame = RgbImage::from_fn(16, 16, |x, _| {
            if (x < 8) == bright_left {
                Rgb([240; 3])
            } else {
                Rgb([10; 3])
            }
        });
        let action = vec![if bright_left { -0.8 } else { 0.8 }, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        Episode {
            info: EpisodeInfo {
                seed,
                task: "reach".into(),
                instruction: "reach".into(),
                policy: policy.into(),
                env: "physics/reach".into(),
                success: true,
            },
            frames: BTreeMap::from([(CAMERA.to_string(), vec![frame; 6])]),
            actions: vec![action; 5],
            proprioception: Vec::new(),
            rewards: vec![0.0; 5],
            successes: vec![false; 6],
            progress: vec![0.0; 6],
        }
    }

    fn config(folder: &Path, policy: &str) -> ClonedTrainingConfig {
        let action = |name: usize| ActionInfo {
            name: name.to_string(),
            unit: "1".into(),
            low: -1.0,
            high: 1.0,
            scale: 1.0,
        };
        let info = DatasetInfo {
            version: FORMAT_VERSION,
            cameras: vec![CameraInfo {
                name: CAMERA.into(),
                width: 16,
                height: 16,
            }],
            actions: (0..7).map(action).collect(),
            proprioception: Vec::new(),
            action_frame: "gripper".into(),
            frame_rate_hz: 5.0,
        };
        let data = folder.join("data");
        let mut writer = EpisodeWriter::open(&data, info).expect("a writable folder");
        for seed in 0..8 {
            writer.write(seed, &episode(seed as u64, policy)).expect("written");
        }
        let optimizer = OptimizerConfig {
            learning_rate: 3e-3,
            warmup_steps: 5,
            ..OptimizerConfig::default()
        };
        ClonedTrainingConfig {
            trainer: TrainerConfig {
                steps: 400,
                evaluate_every: 200,
                optimizer,
                ..ClonedTrainingConfig::default().trainer
            },
            datasets: vec![data],
            network: ClonedNetworkConfig::new()
                .with_image_size(16)
                .with_channels([4, 6, 8])
                .with_d_hidden(16),
            batch_size: 8,
            ..ClonedTrainingConfig::default()
        }
    }

    #[test]
    fn cloning_finds_what_the_expert_looks_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), "expert");
        let run = RunFolder::create(folder.path().join("run"), &config).expect("a folder");
        let objective = ClonedObjective::new(config.clone()).expect("recordings");
        let mut trainer = Trainer::new(objective, config.trainer, run, false, &Device::flex()).expect("a trainer");
        let summary = trainer.run(|_| ControlFlow::Continue(())).expect("training works");
        assert!(summary.evaluation.metrics["validation_error"] < 0.2, "{summary:?}");
        for file in [
            "cloned-000200.safetensors",
            "cloned-000400.safetensors",
            "cloned.safetensors",
        ] {
            let bytes = std::fs::read(folder.path().join("run").join(file)).expect(file);
            ClonedNetwork::from_safetensors(&bytes, &Device::flex()).expect("a network");
        }
    }

    #[test]
    fn episodes_of_others_are_not_imitated() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = ClonedObjective::new(config(folder.path(), "random"))
            .expect_err("no expert")
            .to_string();
        assert!(error.contains("episodes of the experts"), "{error}");
    }
}
