//! Training of the VAE: reconstruct clips through a small latent.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use worldloop_world_model::checkpoint::{CheckpointWriter, KeyMap, SaveDtype};
use worldloop_world_model::pipeline::{Predict, PredictConfig};
use worldloop_world_model::vae::{Posterior, WanVae, WanVaeConfig};
use worldloop_world_model_data::{Episode, Window};

use crate::config::{TrainerConfig, require};
use crate::error::TrainingError;
use crate::image_error::{moving_psnr, psnr};
use crate::objective::{Evaluation, Objective};
use crate::parameters::{Parameters, Which, to_vec};
use crate::picture::{ClipView, draw_comparison};
use crate::random::StepRandom;
use crate::recordings::{Crop, Recordings};

/// Clips that an evaluation looks at.
const EVALUATION_CLIPS: usize = 16;

/// Clips whose pictures are drawn.
const PICTURED_CLIPS: usize = 4;

/// Clips from which the statistics of the latents are taken.
const STATISTICS_CLIPS: usize = 64;

/// Everything about the training of a VAE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VaeTrainingConfig {
    /// How long, how often, how fast.
    pub trainer: TrainerConfig,
    /// Folders of recordings.
    pub datasets: Vec<PathBuf>,
    /// Camera that is learned.
    pub camera: String,
    /// Sizes of the network; the latent statistics are filled in by the training.
    pub vae: WanVaeConfig,
    /// Weights to start from instead of random ones.
    pub initial: Option<PathBuf>,
    /// Whether only the decoder learns, so that latents stay as they are; needs `initial`.
    pub freeze_encoder: bool,
    /// Actions per clip: a clip has one frame more.
    pub chunk: usize,
    /// Clips per step.
    pub batch_size: usize,
    /// Height and width of the square part of the frames that a step sees, in pixels.
    pub crop_px: usize,
    /// Squares that are drawn for each one that is taken: the one in which most moves.
    pub crop_candidates: usize,
    /// Share of steps that see whole frames; they cost as much more as the frames are larger.
    pub whole_frame_share: f32,
    /// Weight of the mean absolute error.
    pub l1_weight: f64,
    /// Weight of the mean squared error.
    pub mse_weight: f64,
    /// Weight of the distance to the standard normal distribution, per latent value.
    pub kl_weight: f64,
    /// Additional weight of pixels that differ from the clip's first frame.
    pub motion_weight: f64,
}

impl Default for VaeTrainingConfig {
    fn default() -> Self {
        Self {
            trainer: TrainerConfig::default(),
            datasets: Vec::new(),
            camera: "third_person".into(),
            vae: WanVaeConfig::new(16, vec![1, 2, 4], 16, vec![true, true], vec![0.0; 16], vec![1.0; 16])
                .with_num_res_blocks(1),
            initial: None,
            freeze_encoder: false,
            chunk: 8,
            batch_size: 4,
            crop_px: 32,
            crop_candidates: 4,
            whole_frame_share: 0.1,
            l1_weight: 1.0,
            mse_weight: 4.0,
            kl_weight: 1e-4,
            motion_weight: 4.0,
        }
    }
}

impl VaeTrainingConfig {
    /// Checks values that come from outside.
    ///
    /// # Errors
    /// [`TrainingError::Config`] names the first value that makes no sense.
    pub fn validate(&self) -> Result<(), TrainingError> {
        self.trainer.validate()?;
        if let Err(error) = self.vae.validate() {
            return require("vae", false, || "a valid network".into(), error);
        }
        let (space, time) = (self.vae.spatial_compression(), self.vae.temporal_compression());
        require(
            "chunk",
            self.chunk > 0 && self.chunk.is_multiple_of(time),
            || format!("a multiple of {time}"),
            self.chunk,
        )?;
        require(
            "batch_size",
            self.batch_size > 0,
            || "at least 1".into(),
            self.batch_size,
        )?;
        let fits = !self.freeze_encoder || self.initial.is_some();
        require(
            "freeze_encoder",
            fits,
            || "false without `initial`".into(),
            self.freeze_encoder,
        )?;
        let fits = self.crop_px > 0 && self.crop_px.is_multiple_of(space);
        require("crop_px", fits, || format!("a multiple of {space}"), self.crop_px)
    }
}

/// Reconstruction of recorded clips.
#[derive(Debug)]
pub struct VaeObjective {
    config: VaeTrainingConfig,
    initial: Option<WanVae>,
    recordings: Recordings,
    windows: Vec<Window>,
    validation: Vec<Window>,
}

impl VaeObjective {
    /// Reads the recordings, and the initial weights if there are any; these bring their own sizes.
    ///
    /// # Errors
    /// [`TrainingError::Config`], those of [`Recordings::load`] and of [`load_vae`].
    pub fn new(mut config: VaeTrainingConfig, device: &Device) -> Result<Self, TrainingError> {
        config.validate()?;
        let mut initial = None;
        if let Some(path) = &config.initial {
            let (sizes, network) = load_vae(path, device)?;
            config.vae = sizes;
            initial = Some(network);
        }
        let recordings = Recordings::load(&config.datasets, &config.camera)?;
        let windows = recordings.windows(&recordings.training, config.chunk, 1)?;
        let validation = recordings.windows(&recordings.validation, config.chunk, config.chunk)?;
        Ok(Self {
            config,
            initial,
            recordings,
            windows,
            validation,
        })
    }

    fn batch(&self, step: u64, device: &Device) -> Tensor<5> {
        let mut random = StepRandom::new(self.config.trainer.seed, step, 0);
        let whole = random.chance(self.config.whole_frame_share);
        let grid = self.config.vae.spatial_compression();
        let sources: Vec<(&Episode, Window, Crop)> = (0..self.config.batch_size)
            .map(|_| {
                let window = self.windows[random.index(self.windows.len())];
                let episode = &self.recordings.training[window.episode];
                if whole {
                    return (episode, window, self.recordings.whole());
                }
                let candidates = (0..self.config.crop_candidates.max(1))
                    .map(|_| self.recordings.random_crop(self.config.crop_px, grid, &mut random));
                let liveliest = candidates.max_by_key(|crop| self.recordings.motion(episode, window, *crop));
                (episode, window, liveliest.unwrap_or_else(|| self.recordings.whole()))
            })
            .collect();
        self.recordings.clips(&sources, self.config.chunk + 1, device)
    }

    /// Builds clips of validation episodes, spread evenly over them.
    fn validation_clips(&self, count: usize, device: &Device) -> Tensor<5> {
        let count = count.min(self.validation.len());
        let chosen = (0..count).map(|place| self.validation[place * self.validation.len() / count]);
        let sources: Vec<(&Episode, Window, Crop)> = chosen
            .map(|window| {
                (
                    &self.recordings.validation[window.episode],
                    window,
                    self.recordings.whole(),
                )
            })
            .collect();
        self.recordings.clips(&sources, self.config.chunk + 1, device)
    }

    /// Returns the config with mean and deviation of this network's latents.
    fn with_latent_statistics(&self, network: &WanVae) -> WanVaeConfig {
        if self.config.freeze_encoder {
            return self.config.vae.clone();
        }
        let device = device_of(network);
        let mut random = StepRandom::new(self.config.trainer.seed, 0, 1);
        let channels = self.config.vae.z_dim;
        let mut sums = vec![(0.0_f64, 0.0_f64, 0.0_f64); channels];
        for _ in 0..STATISTICS_CLIPS / 8 {
            let sources: Vec<(&Episode, Window, Crop)> = (0..8)
                .map(|_| self.windows[random.index(self.windows.len())])
                .map(|window| {
                    (
                        &self.recordings.training[window.episode],
                        window,
                        self.recordings.whole(),
                    )
                })
                .collect();
            let mean = network
                .encode(self.recordings.clips(&sources, self.config.chunk + 1, &device))
                .mean;
            let [_, _, frames, height, width] = mean.dims();
            for (place, plane) in to_vec(mean).chunks_exact(frames * height * width).enumerate() {
                let sums = &mut sums[place % channels];
                for &value in plane {
                    sums.0 += 1.0;
                    sums.1 += f64::from(value);
                    sums.2 += f64::from(value) * f64::from(value);
                }
            }
        }
        let mean = |(count, sum, _): &(f64, f64, f64)| sum / count;
        let std = |sums: &(f64, f64, f64)| (sums.2 / sums.0 - mean(sums).powi(2)).max(1e-6).sqrt();
        WanVaeConfig {
            latents_mean: sums.iter().map(|sums| mean(sums) as f32).collect(),
            latents_std: sums.iter().map(|sums| std(sums) as f32).collect(),
            ..self.config.vae.clone()
        }
    }
}

impl Objective for VaeObjective {
    type Network = WanVae;

    fn name(&self) -> &'static str {
        "vae"
    }

    fn network(&self, device: &Device) -> WanVae {
        let network = self.config.vae.init(device);
        match &self.initial {
            Some(initial) => Parameters::collect(initial).install(network, Which::Latest),
            None => network,
        }
    }

    fn batch_size(&self) -> usize {
        self.config.batch_size
    }

    fn loss(&self, network: &WanVae, step: u64) -> Tensor<1> {
        let device = device_of(network);
        let clips = self.batch(step, &device);
        let posterior = network.encode(clips.clone());
        let latents = sample(&posterior, self.config.trainer.seed, step);
        let latents = if self.config.freeze_encoder {
            latents.detach()
        } else {
            latents
        };
        let difference = network.decode(latents) - clips.clone();
        let weights = motion_weights(clips, self.config.motion_weight);
        let l1 = (difference.clone().abs() * weights.clone()).mean();
        let mse = (difference.clone() * difference * weights).mean();
        let Posterior { mean, logvar } = posterior;
        let reconstruction = l1.mul_scalar(self.config.l1_weight) + mse.mul_scalar(self.config.mse_weight);
        if self.config.freeze_encoder {
            return reconstruction;
        }
        let kl = (mean.clone() * mean + logvar.clone().exp() - logvar - 1.0)
            .mean()
            .mul_scalar(0.5);
        reconstruction + kl.mul_scalar(self.config.kl_weight)
    }

    fn evaluate(&self, network: &WanVae, picture: &Path) -> Result<Evaluation, TrainingError> {
        let clips = self.validation_clips(EVALUATION_CLIPS, &device_of(network));
        let [count, _, frames, height, width] = clips.dims();
        let decoded = network.decode(network.encode(clips.clone()).mean);
        let (truth, decoded) = (to_vec(clips), to_vec(decoded));
        let view = |values| ClipView {
            values,
            frames,
            height,
            width,
        };
        let size = 3 * frames * height * width;
        let pairs: Vec<_> = truth
            .chunks_exact(size)
            .zip(decoded.chunks_exact(size))
            .map(|(a, b)| (view(a), view(b)))
            .collect();
        draw_comparison(&pairs[..PICTURED_CLIPS.min(count)], picture)?;
        Ok(Evaluation::default()
            .with("psnr_db", psnr(&pairs))
            .with("psnr_moving_db", moving_psnr(&pairs)))
    }

    fn export(&self, network: &WanVae, path: &Path) -> Result<(), TrainingError> {
        let config = self.with_latent_statistics(network);
        let text = serde_json::to_string(&config).map_err(|source| TrainingError::Json {
            path: path.to_path_buf(),
            what: "VAE config",
            source,
        })?;
        let writer = CheckpointWriter::new(SaveDtype::F32).with_module("", network, &KeyMap::identity());
        Ok(writer.with_metadata("config", text).save(path)?)
    }
}

/// Reads an exported VAE with its config, or takes the one of an exported world model.
///
/// # Errors
/// [`TrainingError::Checkpoint`] or [`TrainingError::Json`].
pub fn load_vae(path: &Path, device: &Device) -> Result<(WanVaeConfig, WanVae), TrainingError> {
    let source = worldloop_world_model::checkpoint::CheckpointSource::open(path)?;
    let text = source.metadata().get("config").map_or("", String::as_str);
    if serde_json::from_str::<PredictConfig>(text).is_ok() {
        let model = Predict::load(&source, device)?;
        return Ok((model.config().vae.clone(), model.networks().vae.clone()));
    }
    let config: WanVaeConfig = serde_json::from_str(text).map_err(|source| TrainingError::Json {
        path: path.to_path_buf(),
        what: "VAE config",
        source,
    })?;
    if let Err(error) = config.validate() {
        require("vae", false, || "a valid network".into(), &error)?;
    }
    let mut network = config.init(device).no_grad();
    worldloop_world_model::checkpoint::load_into(&mut network, &source, &KeyMap::identity())?;
    Ok((config, network))
}

/// Returns the device of a module's parameters.
pub(crate) fn device_of<M: Module>(network: &M) -> Device {
    network.devices().into_iter().next().unwrap_or_default()
}

/// Draws latents from the posterior.
fn sample(posterior: &Posterior, seed: u64, step: u64) -> Tensor<5> {
    let shape = posterior.mean.dims();
    let noise = StepRandom::new(seed, step, 2).normals(shape.iter().product());
    let noise = Tensor::from_data(TensorData::new(noise, shape), &posterior.mean.device());
    let deviation = posterior.logvar.clone().clamp(-20.0, 10.0).mul_scalar(0.5).exp();
    posterior.mean.clone() + deviation * noise
}

/// Weighs pixels that differ from the clip's first frame; the weights' mean is 1.
fn motion_weights(clips: Tensor<5>, motion_weight: f64) -> Tensor<5> {
    let first = clips.clone().narrow(2, 0, 1);
    let moved = (clips - first).abs().max_dim(1).greater_elem(0.06).float();
    let weights = moved.mul_scalar(motion_weight) + 1.0;
    let mean = weights.clone().mean().reshape([1, 1, 1, 1, 1]);
    weights / mean
}
