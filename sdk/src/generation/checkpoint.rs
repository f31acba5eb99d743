//! A base model on disk, before and after its weights are read.

use std::path::{Path, PathBuf};

use worldloop_world_model::catalog::{Given, ReleasedModel};
use worldloop_world_model::pipeline::{CheckpointFolder, FoundTransformer, ReleasedCheckpoint};
use worldloop_world_model::vae::LatentStats;

use super::error::GenerationError;
use super::generator::Generator;
use super::plan::{ModelLimits, needs_actions};
use crate::device::{DType, Device};

/// A checkpoint that videos can be generated with; no weight is read yet.
#[derive(Debug)]
pub struct BaseCheckpoint {
    folder: CheckpointFolder,
    found: FoundTransformer,
    limits: ModelLimits,
    latents_bf16: bool,
    /// Other released models whose weights have the same shapes, if none was asked for by name.
    pub alternatives: Vec<&'static str>,
}

impl BaseCheckpoint {
    /// Opens a transformer with its VAE. `model` tells apart released models whose weights have the same shapes; without
    /// it, it is the first of them.
    ///
    /// # Errors
    /// [`GenerationError::Released`] that says what is there instead, [`GenerationError::OtherModel`], [`GenerationError::Unable`] for
    /// a model that takes actions, and those of
    /// [`ModelLimits::new`].
    pub fn new(folder: CheckpointFolder, model: Option<&ReleasedModel>) -> Result<Self, GenerationError> {
        let path = folder.path().to_owned();
        let mut found = folder.transformer("diffusion transformer", |_| true)?.clone();
        let (_, vae) = folder.vae()?;
        let fitting = &found.transformer.released;
        let released = match model {
            None => fitting.first().cloned(),
            Some(model) if model.given.contains(&Given::Actions) => return Err(needs_actions(model.name)),
            Some(model) => Some(chosen(model, fitting, &path)?),
        };
        let location = path.display().to_string();
        let name = released.as_ref().map_or(location.as_str(), |model| model.name);
        let others = fitting.iter().map(|model| model.name);
        let alternatives = others.filter(|other| model.is_none() && *other != name).collect();
        if let Some(model) = &released {
            found.transformer.config = model.network.clone();
        }
        let limits = ModelLimits::new(name, &found.transformer.config, vae, released)?;
        Ok(Self {
            folder,
            found,
            limits,
            latents_bf16: true,
            alternatives,
        })
    }

    /// Computes and samples as diffusers' pipeline does: see [`ReleasedModel::with_diffusers_numerics`]. The constants of the
    /// VAE are not rounded then.
    #[must_use]
    pub fn with_diffusers_numerics(mut self) -> Self {
        self.latents_bf16 = false;
        self.found.transformer.config = self.found.transformer.config.with_diffusers_numerics();
        self.limits.released = self.limits.released.map(ReleasedModel::with_diffusers_numerics);
        self.limits.sampler = self.limits.sampler.with_diffusers_numerics();
        self
    }

    /// Returns what decides which requests can be answered.
    pub fn limits(&self) -> &ModelLimits {
        &self.limits
    }

    /// Returns the text embeddings beside the transformer.
    pub fn embeddings(&self) -> &[PathBuf] {
        self.folder.embeddings()
    }

    /// Returns whether the weights are marked as drawn, not trained.
    pub fn is_random(&self) -> bool {
        self.folder.is_random()
    }

    /// Reads the weights, those of the transformer in `dtype` and with an adapter of the given scale.
    ///
    /// # Errors
    /// [`GenerationError::Released`] if they are incomplete or damaged, [`GenerationError::Adapter`].
    pub fn load(
        &self,
        adapter: Option<(&Path, f64)>,
        dtype: DType,
        device: &Device,
    ) -> Result<Generator, GenerationError> {
        let mut checkpoint = ReleasedCheckpoint::load(&self.folder, &self.found, dtype, device)?;
        if let Some((path, scale)) = adapter {
            checkpoint.merge_adapter(path, scale)?;
        }
        let constants = checkpoint.vae_config.with_latents_bf16(self.latents_bf16);
        let mut vae = checkpoint.vae;
        vae.stats = LatentStats::new(&constants);
        Ok(Generator {
            dit: checkpoint.dit,
            vae,
            device: device.clone(),
        })
    }
}

/// Returns the model that was asked for if the weights can be its.
fn chosen(model: &ReleasedModel, fitting: &[ReleasedModel], path: &Path) -> Result<ReleasedModel, GenerationError> {
    let found = fitting.iter().find(|fits| fits.name == model.name);
    found.cloned().ok_or_else(|| GenerationError::OtherModel {
        path: path.to_owned(),
        model: model.name,
        fitting: fitting.iter().map(|model| model.name).collect(),
    })
}
