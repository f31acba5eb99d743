//! A checkpoint in the released layout, in memory and ready to sample.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{DType, Device};

use super::action_reference::ActionReference;
use super::autoregressive::Predict;
use super::checkpoint_folder::{CheckpointFolder, FoundTransformer};
use super::config::{Feedback, NoiseSeed, PredictConfig, PredictNetworks};
use super::released_error::ReleasedError;
use crate::catalog::{SamplerPreset, Transformer};
use crate::checkpoint::{AdapterError, CheckpointSource, KeyMap, load_as, merge_adapter};
use crate::diffusion::SamplerConfig;
use crate::dit::Dit;
use crate::text_encoder::{CONTEXT_TOKENS, TextEmbedding};
use crate::vae::{WanVae, WanVaeConfig};
use crate::world_model::{ActionDimension, WorldModelSpec};

/// Latent frames of a chunk where the release does not say: one given, three sampled.
const CHUNK_LATENTS: usize = 4;

/// Numbers of an action of Bridge, with their units.
const BRIDGE_ACTION: [(&str, &str); 7] = [
    ("delta_x", "m"),
    ("delta_y", "m"),
    ("delta_z", "m"),
    ("roll", "rad"),
    ("pitch", "rad"),
    ("yaw", "rad"),
    ("gripper", "1"),
];

/// Factor of translations and rotations in the released training.
const MOTION_SCALE: f32 = 20.0;

/// The networks of a checkpoint with what is needed to sample them.
#[derive(Debug)]
pub struct ReleasedCheckpoint {
    /// The transformer's file, or the folder of its shards.
    pub path: PathBuf,
    /// What the transformer was recognised as.
    pub transformer: Transformer,
    /// Latents to velocities, in the element type that was asked for.
    pub dit: Dit,
    /// Sizes of the VAE. Its constants are those of NVIDIA's code, rounded to bfloat16.
    pub vae_config: WanVaeConfig,
    /// Frames to latents and back, in float32.
    pub vae: WanVae,
    /// How the released pipeline samples. Where several models have tensors of these shapes, that of the first.
    pub sampler: SamplerPreset,
    /// The embedding of the empty prompt, if the folder has one.
    pub empty_prompt: Option<TextEmbedding>,
    /// Whether the weights were drawn, not trained: what they predict means nothing.
    pub is_random: bool,
}

/// What a rollout of actions adds to a checkpoint.
#[derive(Debug, Clone)]
pub struct ActionRolloutOptions {
    /// Height of the frames in pixels.
    pub height: usize,
    /// Width of the frames in pixels.
    pub width: usize,
    /// Actions per chunk; none takes the released number.
    pub chunk_length: Option<usize>,
    /// Denoising steps; none takes the released number.
    pub num_steps: Option<usize>,
    /// Frames, and actions, per second.
    pub frame_rate_hz: f32,
    /// How the last frame of a chunk becomes the first of the next.
    pub feedback: Feedback,
    /// Text embedding in place of the folder's own.
    pub text: Option<TextEmbedding>,
    /// Whether zeros stand in where there is no embedding of the empty prompt.
    pub zero_text: bool,
}

impl ReleasedCheckpoint {
    /// Loads a transformer of a folder, with the folder's VAE and embedding of the empty prompt.
    ///
    /// Every key has to fit.
    ///
    /// # Errors
    /// [`ReleasedError`] that names the file.
    pub fn load(
        folder: &CheckpointFolder,
        found: &FoundTransformer,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ReleasedError> {
        let transformer = found.transformer.clone();
        // What is quick to refuse comes before the large file.
        let (vae_path, vae_config) = folder.vae()?;
        let vae_config = vae_config.clone().with_latents_bf16(true);
        let empty_prompt = match folder.empty_prompt() {
            Some(path) => Some(TextEmbedding::load(path, transformer.config.text_channels(), device)?),
            None => None,
        };
        let vae = load(vae_config.init(device).no_grad(), vae_path, KeyMap::vae, DType::F32)?;
        let dit = load(
            transformer.config.init(device).no_grad(),
            &found.path,
            KeyMap::dit,
            dtype,
        )?;
        let released = transformer.released.first().map(|model| model.sampler.clone());
        Ok(Self {
            path: found.path.clone(),
            dit,
            vae_config,
            vae,
            sampler: released.unwrap_or_else(|| SamplerPreset::Flow(SamplerConfig::default())),
            empty_prompt,
            is_random: folder.is_random(),
            transformer,
        })
    }

    /// Adds a low-rank adapter to the transformer, `scale` being its alpha over its rank; returns the number of layers.
    ///
    /// # Errors
    /// [`AdapterError`]; an adapter that changes nothing is one.
    pub fn merge_adapter(&mut self, path: &Path, scale: f64) -> Result<usize, AdapterError> {
        let source = CheckpointSource::open(path)?;
        let is_diffusers = source.keys().any(|key| key.contains("transformer_blocks."));
        let key_map = if is_diffusers {
            KeyMap::dit_diffusers()
        } else {
            KeyMap::dit_nvidia()
        };
        merge_adapter(&mut self.dit, &source, &key_map, scale)
    }

    /// Returns the name of the released model, or of the file where it is none.
    pub fn name(&self) -> String {
        let released = self.transformer.released.first().map(|model| model.name.to_owned());
        let file = || self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        released.unwrap_or_else(file)
    }

    /// Returns the model that plays actions, sampled and seeded as the released pipeline does it.
    ///
    /// # Errors
    /// [`ReleasedError::NotActionConditioned`], [`ReleasedError::NoEmptyPrompt`], and
    /// [`ReleasedError::Pipeline`] where the options do not fit the networks.
    pub fn into_predict(self, options: ActionRolloutOptions, device: &Device) -> Result<Predict, ReleasedError> {
        let name = self.name();
        let Some(action) = &self.transformer.config.conditioning.action else {
            return Err(ReleasedError::NotActionConditioned {
                path: self.path,
                found: name,
            });
        };
        let sampler = match self.sampler {
            SamplerPreset::Flow(sampler) => sampler,
            // A stream brings its own steps.
            SamplerPreset::TrigFlow(_) | SamplerPreset::Stream(_) => SamplerConfig::default(),
        };
        let text = match options.text.or(self.empty_prompt) {
            Some(embedding) => Some(embedding.text()),
            None if options.zero_text => None,
            None => return Err(ReleasedError::NoEmptyPrompt { path: self.path }),
        };
        let latents = self
            .transformer
            .released
            .first()
            .map_or(CHUNK_LATENTS, |model| model.latent_frames);
        let chunk = (latents - 1) * self.vae_config.temporal_compression();
        let config = PredictConfig {
            spec: WorldModelSpec {
                name,
                cameras: vec!["camera".to_owned()],
                height: options.height,
                width: options.width,
                action: dimensions(action.action_dim),
                action_frame: action_frame(action.action_dim).to_owned(),
                chunk_length: options.chunk_length.unwrap_or(chunk),
                context_frames: 1,
                frame_rate_hz: options.frame_rate_hz,
            },
            vae: self.vae_config,
            dit: self.transformer.config,
            sampler: SamplerConfig {
                num_steps: options.num_steps.unwrap_or(sampler.num_steps),
                ..sampler
            },
            feedback: options.feedback,
            noise_seed: NoiseSeed::FirstAction,
            action_reference: ActionReference::default(),
            text_tokens: CONTEXT_TOKENS,
        };
        let networks = PredictNetworks {
            vae: self.vae,
            dit: self.dit,
        };
        Ok(Predict::new(config, networks, text, None, device)?)
    }
}

fn load<M: Module>(
    mut module: M,
    path: &Path,
    key_map: impl FnOnce(&CheckpointSource) -> KeyMap,
    dtype: DType,
) -> Result<M, ReleasedError> {
    let source = CheckpointSource::open(path)?;
    load_as(&mut module, &source, &key_map(&source), dtype)?;
    Ok(module)
}

/// Returns the dimensions of actions: those of Bridge where there are as many, otherwise numbers that the network takes as they
/// are. Statistics were not published: bounds are those of the scaled values.
fn dimensions(count: usize) -> Vec<ActionDimension> {
    let dimension = |(name, unit, scale): (String, &str, f32)| ActionDimension {
        name,
        unit: unit.to_owned(),
        low: -1.0 / scale,
        high: 1.0 / scale,
        mean: 0.0,
        std: 1.0 / scale,
        scale,
    };
    if count != BRIDGE_ACTION.len() {
        let plain = |index| (format!("action_{index}"), "1", 1.0);
        return (0..count).map(plain).map(dimension).collect();
    }
    let named = BRIDGE_ACTION.map(|(name, unit)| {
        let scale = if unit == "1" { 1.0 } else { MOTION_SCALE };
        (name.to_owned(), unit, scale)
    });
    named.map(dimension).to_vec()
}

fn action_frame(count: usize) -> &'static str {
    if count == BRIDGE_ACTION.len() {
        "gripper before the action"
    } else {
        "that of the recordings"
    }
}
