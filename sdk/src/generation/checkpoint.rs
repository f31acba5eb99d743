//! A transformer and its VAE on disk.

use std::path::{Path, PathBuf};

use worldloop_world_model::catalog::{Recognized, ReleasedModel, recognize};
use worldloop_world_model::checkpoint::{CheckpointSource, KeyMap, load_into};
use worldloop_world_model::dit::DitConfig;
use worldloop_world_model::vae::WanVaeConfig;

use super::error::GenerationError;
use super::generator::Generator;
use super::plan::ModelLimits;
use crate::device::Device;

/// Names of the transformer in a folder of ours or of diffusers.
const TRANSFORMERS: [&str; 2] = ["transformer", "transformer.safetensors"];

/// Names of the VAE: those of NVIDIA's repository, of diffusers, of Wan2.1, and of ours.
const VAES: [&str; 4] = ["tokenizer.pth", "vae", "Wan2.1_VAE.pth", "vae.safetensors"];

/// How many folders above a transformer its VAE may be: NVIDIA's repository has two between them.
const FOLDERS_ABOVE: usize = 3;

/// Folder of text embeddings beside a transformer.
const EMBEDDINGS: &str = "text-embeddings";

/// A checkpoint that videos can be generated with; no weight is read yet.
#[derive(Debug)]
pub struct BaseCheckpoint {
    transformer: CheckpointSource,
    vae: CheckpointSource,
    network: DitConfig,
    vae_config: WanVaeConfig,
    folder: PathBuf,
    limits: ModelLimits,
    /// Other released models whose weights have the same shapes.
    pub alternatives: Vec<&'static str>,
}

impl BaseCheckpoint {
    /// Opens a transformer (a file, or a folder of one) and its VAE, which is looked for beside it and in the folders
    /// above unless it is named. `model` tells apart released models whose weights have the same shapes; without it,
    /// it is the first of them.
    ///
    /// # Errors
    /// [`GenerationError`] that names the file or folder, and what was expected.
    pub fn open(path: &Path, vae: Option<&Path>, model: Option<&ReleasedModel>) -> Result<Self, GenerationError> {
        let inside = TRANSFORMERS.map(|name| path.join(name));
        let transformer_path = inside.iter().find(|inside| inside.exists()).map_or(path, PathBuf::as_path);
        let transformer = CheckpointSource::open(transformer_path)?;
        let Recognized::Transformer(recognized) = recognize(&transformer)? else {
            return Err(GenerationError::NoTransformer { path: path.to_owned() });
        };
        let released = match model {
            None => recognized.released.first().cloned(),
            Some(model) => Some(chosen(model, &recognized.released, path)?),
        };
        let mut folder = transformer_path.parent().unwrap_or(Path::new("")).to_owned();
        if path.is_dir() {
            path.clone_into(&mut folder);
        }
        let vae = CheckpointSource::open(match vae {
            Some(vae) => vae.to_owned(),
            None => find_vae(&folder).ok_or_else(|| GenerationError::NoVae { path: path.to_owned() })?,
        })?;
        let Recognized::Vae(vae_config) = recognize(&vae)? else {
            let path = PathBuf::from(vae.location());
            return Err(GenerationError::NoVae { path });
        };
        let network = released.as_ref().map_or(recognized.config, |model| model.network.clone());
        let location = path.display().to_string();
        let name = released.as_ref().map_or(location.as_str(), |model| model.name);
        let limits = ModelLimits::new(name, &network, &vae_config, released.clone())?;
        let others = recognized.released.iter().map(|model| model.name);
        let alternatives = others.filter(|other| *other != name && model.is_none()).collect();
        Ok(Self {
            transformer,
            vae,
            network,
            vae_config,
            folder,
            limits,
            alternatives,
        })
    }

    /// Returns what decides which requests can be answered.
    pub fn limits(&self) -> &ModelLimits {
        &self.limits
    }

    /// Returns the folder beside the transformer that may hold text embeddings.
    pub fn embeddings_folder(&self) -> PathBuf {
        self.folder.join(EMBEDDINGS)
    }

    /// Reads the weights.
    ///
    /// # Errors
    /// [`GenerationError::Checkpoint`] if they are incomplete or damaged.
    pub fn load(&self, device: &Device) -> Result<Generator, GenerationError> {
        let mut dit = self.network.init(device);
        load_into(&mut dit, &self.transformer, &KeyMap::dit(&self.transformer))?;
        let mut vae = self.vae_config.init(device);
        load_into(&mut vae, &self.vae, &KeyMap::vae(&self.vae))?;
        Ok(Generator {
            dit,
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

fn find_vae(folder: &Path) -> Option<PathBuf> {
    let folders = folder.ancestors().take(1 + FOLDERS_ABOVE);
    let mut names = folders.flat_map(|folder| VAES.map(|name| folder.join(name)));
    names.find(|path| path.exists())
}
