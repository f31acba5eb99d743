//! Training of the diffusion transformer: flow matching on the VAE's latents.
//!
//! Source: `predict2/models/video2world_model_rectified_flow.py` of cosmos-transfer2.5@2ff49d0 (`denoise`, `forward`).
//! Differs:
//! - the mean is over generated frames only, which scales the loss by a constant
//! - latents that differ from the given frame may weigh more
//! - latent channels may weigh as much as the decoder makes of them
//! - the given frame may be a predicted one, or carry noise: what a later chunk starts from

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use worldloop_world_model::checkpoint::{CheckpointSource, CheckpointWriter, KeyMap, SaveDtype};
use worldloop_world_model::diffusion::{
    FlowStart, NetworkTime, SamplerConfig, SchedulerKind, SigmaTable, add_noise, velocity,
};
use worldloop_world_model::dit::{
    ActionConfig, ActionGrouping, ActionMapConfig, ConditioningConfig, Dit, DitConfig, DitInput, FrameCondition,
};
use worldloop_world_model::pipeline::{ActionReference, Feedback, NoiseSeed, Predict, PredictConfig, PredictNetworks};
use worldloop_world_model::vae::{WanVae, WanVaeConfig};
use worldloop_world_model::{ActionDimension, GripperPose, WorldModelSpec};
use worldloop_world_model_data::{action_statistics, hold_still};

use crate::config::{TrainerConfig, require};
use crate::error::TrainingError;
use crate::flow_time::FlowTimes;
use crate::growth::grow;
use crate::latents::LatentStore;
use crate::loss_weights::{channel_sensitivities, motion_weights};
use crate::objective::{Evaluation, Objective};
use crate::parameters::{Parameters, Which};
use crate::poses::starting_pose;
use crate::predicted_contexts::PredictedContexts;
use crate::preparation::Preparation;
use crate::random::StepRandom;
use crate::recordings::Recordings;
use crate::vae::{device_of, load_vae};
use crate::validation::WorldValidation;

/// Everything about the training of a world model's transformer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldTrainingConfig {
    /// How long, how often, how fast.
    pub trainer: TrainerConfig,
    /// Folders of recordings.
    pub datasets: Vec<PathBuf>,
    /// Camera that is learned.
    pub camera: String,
    /// Weights of the trained VAE, or a world model whose VAE it is.
    pub vae: PathBuf,
    /// World model whose transformer the training starts from, with its sizes, instead of random weights.
    pub initial: Option<PathBuf>,
    /// Blocks of the initial transformer behind which a new one is put that changes nothing yet; twice for two.
    pub new_blocks_after: Vec<usize>,
    /// Name of the model in reports.
    pub name: String,
    /// Sizes of the network.
    pub dit: DitConfig,
    /// How latents are sampled in evaluation and use.
    pub sampler: SamplerConfig,
    /// What the network is told of a motion.
    pub action_reference: ActionReference,
    /// What actions add to each token by its place in the frame, for a network that is to have it.
    pub action_map: Option<ActionMapConfig>,
    /// Tokens of the all-zero text.
    pub text_tokens: usize,
    /// Actions per chunk.
    pub chunk: usize,
    /// Windows start at every frame that is a multiple of this.
    pub window_stride: usize,
    /// Windows per step.
    pub batch_size: usize,
    /// Times of the flow.
    pub times: FlowTimes,
    /// Whether each latent channel weighs as much as the decoded frames change with it; else all weigh the same.
    pub weigh_channels: bool,
    /// Additional weight of latents that differ from the given frame.
    pub motion_weight: f64,
    /// Windows whose first frame the initial model predicts before training, as it comes to later chunks.
    pub predicted_contexts: usize,
    /// Share of samples that start from such a frame.
    pub predicted_share: f32,
    /// Share of samples that do not know where the gripper is in the world, for `action_reference` `world`.
    pub unknown_pose_share: f32,
    /// Largest deviation of the noise on the given latents.
    pub context_noise: f32,
}

impl Default for WorldTrainingConfig {
    fn default() -> Self {
        Self {
            trainer: TrainerConfig::default(),
            datasets: Vec::new(),
            camera: "third_person".into(),
            vae: PathBuf::new(),
            initial: None,
            new_blocks_after: Vec::new(),
            name: "embedded".into(),
            dit: embedded_dit(),
            sampler: SamplerConfig {
                // One step scored higher than two on the embedded world (21.7 against 21.3 dB), at half the time.
                num_steps: 1,
                sigmas: SigmaTable::Uniform { shift: 3.0 },
                scheduler: SchedulerKind::Euler,
                network_time: NetworkTime::Exact,
                ..SamplerConfig::default()
            },
            action_reference: ActionReference::default(),
            action_map: None,
            text_tokens: 1,
            chunk: 8,
            window_stride: 1,
            batch_size: 8,
            times: FlowTimes::default(),
            weigh_channels: true,
            motion_weight: 4.0,
            predicted_contexts: 0,
            predicted_share: 0.4,
            unknown_pose_share: 0.1,
            context_noise: 0.05,
        }
    }
}

impl WorldTrainingConfig {
    /// Checks values that come from outside.
    ///
    /// # Errors
    /// [`TrainingError::Config`] names the first value that makes no sense.
    pub fn validate(&self) -> Result<(), TrainingError> {
        self.trainer.validate()?;
        let (size, contexts) = (self.batch_size, self.predicted_contexts);
        require("batch_size", size > 0, || "at least 1".into(), size)?;
        let predicts = contexts == 0 || self.initial.is_some();
        let expected = || "0 without `initial`, the model that predicts them".into();
        require("predicted_contexts", predicts, expected, contexts)?;
        let grows = self.new_blocks_after.is_empty() || self.initial.is_some();
        let expected = || "empty without `initial`, the model that grows".into();
        require(
            "new_blocks_after",
            grows,
            expected,
            format!("{:?}", self.new_blocks_after),
        )
    }

    /// Takes the sizes of the initial model, with the blocks and the values per action that are new.
    fn grow_from(&mut self, initial: &PredictConfig) -> Result<(), TrainingError> {
        self.dit = initial.dit.clone();
        let blocks = self.dit.num_blocks;
        let unknown = self.new_blocks_after.iter().find(|&&block| block >= blocks);
        require(
            "new_blocks_after",
            unknown.is_none(),
            || format!("blocks of the initial transformer, 0 to {}", blocks - 1),
            unknown.copied().unwrap_or_default(),
        )?;
        self.dit.num_blocks += self.new_blocks_after.len();
        let dimensions = self.action_reference.network_dimensions(initial.spec.action_dim());
        require(
            "action_reference",
            dimensions >= initial.network_action_dim(),
            || "given_frame, as the initial model has it".into(),
            "previous_frame",
        )?;
        if let Some(action) = &mut self.dit.conditioning.action {
            action.action_dim = dimensions;
        }
        Ok(())
    }

    /// Describes the world model that the training makes.
    fn predict(&self, vae: WanVaeConfig, recordings: &Recordings) -> Result<PredictConfig, TrainingError> {
        let predict = PredictConfig {
            spec: describe(self, recordings, recordings.size()),
            vae,
            dit: self.dit.clone(),
            sampler: self.sampler.clone(),
            feedback: Feedback::Float,
            noise_seed: NoiseSeed::EpisodeAndChunk,
            action_reference: self.action_reference,
            text_tokens: self.text_tokens,
        };
        if let Err(error) = predict.validate() {
            return Err(TrainingError::Config {
                key: "dit",
                expected: "sizes that fit VAE and recordings".into(),
                found: error.to_string(),
            });
        }
        Ok(predict)
    }
}

/// Returns the sizes of the embedded world's transformer.
fn embedded_dit() -> DitConfig {
    let action = ActionConfig::new(
        7,
        ActionGrouping::PerLatentFrame {
            temporal_compression_ratio: 4,
        },
    )
    .with_hidden_dim_in_action_embedder(Some(256));
    DitConfig::new(192, 6, 4)
        .with_in_channels(16)
        .with_out_channels(16)
        .with_adaln_lora_dim(48)
        .with_crossattn_emb_channels(32)
        .with_crossattn_proj_in_channels(16)
        .with_rope_h_extrapolation_ratio(1.0)
        .with_rope_w_extrapolation_ratio(1.0)
        .with_conditioning(ConditioningConfig::new().with_action(Some(action)))
}

/// Flow matching on recorded windows.
#[derive(Debug)]
pub struct WorldObjective {
    config: WorldTrainingConfig,
    predict: PredictConfig,
    vae: WanVae,
    initial: Option<Dit>,
    /// Weight of each latent channel in the loss, mean 1.
    channel_weights: Vec<f32>,
    recordings: Recordings,
    store: LatentStore,
    /// Where the gripper is at the start of each window, as far as it can be known in an episode that began earlier.
    poses: Vec<Option<GripperPose>>,
    contexts: PredictedContexts,
    validation: WorldValidation,
}

impl WorldObjective {
    /// Reads recordings and VAE, and encodes all windows.
    ///
    /// # Errors
    /// [`TrainingError::Config`], [`TrainingError::Stopped`], and those of reading.
    pub fn new(
        mut config: WorldTrainingConfig,
        preparation: &mut Preparation<'_>,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        config.validate()?;
        let recordings = Recordings::load(&config.datasets, &config.camera)?;
        let (vae_config, vae) = load_vae(&config.vae, device)?;
        let mut initial = None;
        if let Some(path) = config.initial.clone() {
            let model = load_world(&path, device)?;
            config.grow_from(model.config())?;
            initial = Some((model, path));
        }
        if let (Some(map), Some(action)) = (config.action_map, &mut config.dit.conditioning.action) {
            action.map = Some(map);
        }
        let predict = config.predict(vae_config, &recordings)?;
        let windows = recordings.windows(&recordings.training, config.chunk, config.window_stride)?;
        let poses = windows
            .iter()
            .map(|window| starting_pose(&predict, &recordings.training[window.episode], window.start))
            .collect::<Result<Vec<_>, _>>()?;
        let store = LatentStore::encode(&recordings, &vae, &config.vae, windows, preparation)?;
        let validation = WorldValidation::new(&recordings, config.chunk)?;
        let contexts = match &initial {
            Some((model, path)) => {
                let count = config.predicted_contexts;
                PredictedContexts::predict(&recordings, &store, (model, path), count, preparation)?
            }
            None => PredictedContexts::default(),
        };
        let channel_weights = if config.weigh_channels {
            channel_sensitivities(&vae, &store, device)
        } else {
            vec![1.0; store.latents.shape[0]]
        };
        let initial = initial.map(|(model, _)| {
            let small = &model.networks().dit;
            grow(small, &config.dit, &config.new_blocks_after, device)
        });
        Ok(Self {
            config,
            predict,
            vae,
            initial,
            channel_weights,
            recordings,
            store,
            poses,
            contexts,
            validation,
        })
    }

    /// Returns the number of windows that are trained on.
    pub fn windows(&self) -> usize {
        self.store.windows.len()
    }

    /// Draws a batch: latents, noise, and times; actions; latents of the given frame as the network gets them.
    fn batch(&self, step: u64, device: &Device) -> Batch {
        let mut random = StepRandom::new(self.config.trainer.seed, step, 0);
        // Of their own, so that a world that is told poses sees the same samples as one that is not.
        let mut unknown = StepRandom::new(self.config.trainer.seed, step, 9);
        let size = self.config.batch_size;
        let [channels, frames, height, width] = self.store.latents.shape;
        let (plane, one) = (height * width, channels * frames * height * width);
        let (mut clean, mut given, mut actions, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..size {
            let predicted = random.chance(self.config.predicted_share);
            let drawn = if predicted {
                self.contexts.draw(&mut random)
            } else {
                None
            };
            let position = drawn.map_or_else(|| random.index(self.store.windows.len()), |(position, _)| position);
            let window = self.store.windows[position];
            let latents = self.store.latents.clip(position);
            let deviation = self.config.context_noise * random.uniform();
            for channel in 0..channels {
                let first = match drawn {
                    Some((_, context)) => &context[channel * plane..][..plane],
                    None => &latents[channel * frames * plane..][..plane],
                };
                let noise = random.normals(plane);
                given.extend(
                    first
                        .iter()
                        .zip(noise)
                        .map(|(value, noise)| value.to_f32() + deviation * noise),
                );
            }
            clean.extend(latents.iter().map(|value| value.to_f32()));
            let episode = &self.recordings.training[window.episode];
            let pose = self.poses[position].filter(|_| !unknown.chance(self.config.unknown_pose_share));
            let taken = &episode.actions[window.start..window.start + window.actions];
            actions.extend(self.predict.network_actions(taken, pose));
            times.push(self.config.times.sample(&mut random));
        }
        let noise = random.normals(size * one);
        let shape = [size, channels, frames, height, width];
        let tensor =
            |values: Vec<f32>, shape: [usize; 5]| Tensor::<5>::from_data(TensorData::new(values, shape), device);
        let action_shape = [size, self.config.chunk, self.predict.network_action_dim()];
        Batch {
            clean: tensor(clean, shape),
            given: tensor(given, [size, channels, 1, height, width]),
            noise: tensor(noise, shape),
            times: tensor(times, [size, 1, 1, 1, 1]),
            actions: Tensor::from_data(TensorData::new(actions, action_shape), device),
        }
    }
}

/// What one step trains on.
#[derive(Debug)]
struct Batch {
    clean: Tensor<5>,
    given: Tensor<5>,
    noise: Tensor<5>,
    times: Tensor<5>,
    actions: Tensor<3>,
}

impl Objective for WorldObjective {
    type Network = Dit;

    fn name(&self) -> &'static str {
        "world"
    }

    fn network(&self, device: &Device) -> Dit {
        let network = self.config.dit.init(device);
        match &self.initial {
            Some(initial) => Parameters::collect(initial).install(network, Which::Latest),
            None => network,
        }
    }

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn loss(&self, network: &Dit, step: u64) -> Tensor<1> {
        let device = device_of(network);
        let batch = self.batch(step, &device);
        let [size, _, frames, height, width] = batch.clean.dims();
        let condition = FrameCondition::first_frames(1, [size, frames, height, width], &device);
        let start = match self.config.sampler.start {
            FlowStart::Noise => batch.noise,
            FlowStart::GivenFrame => batch.given.clone().repeat_dim(2, frames),
        };
        let noisy = add_noise(batch.clean.clone(), start.clone(), batch.times.clone());
        let latents = Tensor::cat(vec![batch.given, noisy.narrow(2, 1, frames - 1)], 2);
        let text = Tensor::zeros([1, self.config.text_tokens, self.config.dit.text_channels()], &device);
        let predicted = network.forward(&DitInput {
            action: Some(batch.actions),
            ..DitInput::new(
                latents,
                batch.times.reshape([size, 1]).mul_scalar(1000.0),
                &network.project_context(text),
                &condition,
            )
        });
        let generated = |latents: Tensor<5>| latents.narrow(2, 1, frames - 1);
        let target = generated(velocity(batch.clean.clone(), start));
        let channel_weights = Tensor::<1>::from_floats(self.channel_weights.as_slice(), &device);
        let weights =
            motion_weights(batch.clean, self.config.motion_weight) * channel_weights.reshape([1, -1, 1, 1, 1]);
        let difference = generated(predicted) - target;
        (difference.clone() * difference * weights).mean()
    }

    fn evaluate(&self, network: &Dit, picture: &Path) -> Result<Evaluation, TrainingError> {
        let networks = PredictNetworks {
            vae: self.vae.clone(),
            dit: network.clone(),
        };
        self.validation
            .evaluate(&self.recordings, &self.predict, networks, picture)
    }

    fn export(&self, network: &Dit, path: &Path) -> Result<(), TrainingError> {
        let text = serde_json::to_string(&self.predict).map_err(|source| TrainingError::Json {
            path: path.to_path_buf(),
            what: "world model config",
            source,
        })?;
        let networks = PredictNetworks {
            vae: self.vae.clone(),
            dit: network.clone(),
        };
        let writer = CheckpointWriter::new(SaveDtype::F16).with_module("", &networks, &KeyMap::identity());
        Ok(writer.with_metadata("config", text).save(path)?)
    }
}

/// Reads an exported world model.
///
/// # Errors
/// [`TrainingError::Checkpoint`] or [`TrainingError::World`].
pub fn load_world(path: &Path, device: &Device) -> Result<Predict, TrainingError> {
    Ok(Predict::load(&CheckpointSource::open(path)?, device)?)
}

/// Describes the world model that comes out of a training.
fn describe(config: &WorldTrainingConfig, recordings: &Recordings, [height, width]: [usize; 2]) -> WorldModelSpec {
    let info = recordings.info();
    let statistics = action_statistics(&recordings.training);
    let action = info
        .actions
        .iter()
        .zip(&statistics)
        .map(|(action, statistics)| ActionDimension {
            name: action.name.clone(),
            unit: action.unit.clone(),
            low: action.low,
            high: action.high,
            mean: statistics.mean,
            std: statistics.std,
            scale: 1.0,
        });
    WorldModelSpec {
        name: config.name.clone(),
        cameras: vec![recordings.camera().to_string()],
        height,
        width,
        action: action.collect(),
        action_frame: info.action_frame.clone(),
        chunk_length: config.chunk,
        context_frames: 1,
        frame_rate_hz: info.frame_rate_hz,
    }
}

/// Returns actions that do nothing: motion zero, gripper as it was.
pub(crate) fn idle_actions(actions: &[Vec<f32>]) -> Vec<Vec<f32>> {
    actions.iter().map(|action| hold_still(action)).collect()
}
