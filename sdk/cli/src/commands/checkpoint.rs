//! Checkpoints that commands take: a path, or the name of a released model whose files are in the cache of the Hub.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;
use worldloop::world_model::catalog::{ReleasedModel, vae_weights};
use worldloop::world_model::checkpoint::adapter_scale;
use worldloop::world_model::hub::{HubLocation, HubSettings};
use worldloop::world_model::pipeline::CheckpointFolder;

/// A low-rank adapter for the transformer.
#[derive(Debug, Args)]
pub(super) struct AdapterArgs {
    /// Low-rank adapter (LoRA) that is added to the transformer: adapter_model.safetensors of peft, or diffusers' file.
    #[arg(long, value_name = "FILE")]
    adapter: Option<PathBuf>,
    /// Factor of the adapter, its alpha over its rank [default: by the adapter_config.json beside it, or 1 as in NVIDIA's recipe].
    #[arg(long, requires = "adapter")]
    adapter_scale: Option<f64>,
}

impl AdapterArgs {
    /// Returns file and scale, if there is an adapter.
    pub(super) fn adapter(&self) -> anyhow::Result<Option<(&Path, f64)>> {
        let Some(path) = self.adapter.as_deref() else {
            return Ok(None);
        };
        let scale = match self.adapter_scale {
            Some(scale) => scale,
            None => adapter_scale(path)?.unwrap_or(1.0),
        };
        Ok(Some((path, scale)))
    }
}

/// Returns the place in the Hub's cache of a file that is named by its address, hf://…, of a sharded model its folder; none for
/// everything else.
pub(super) fn cached(path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let Some(address) = path.to_str().filter(|text| text.starts_with("hf://")) else {
        return Ok(None);
    };
    let (location, settings) = (address.parse::<HubLocation>()?, HubSettings::from_env());
    let path = settings.cached(&location).ok_or_else(|| {
        let cache = settings.cache.display();
        anyhow!("{location} is not in the cache {cache}: run `worldloop fetch {address}`")
    })?;
    // The shards of a model lie beside the file that names them.
    let is_index = path.to_string_lossy().ends_with(".index.json");
    let folder = path.parent().filter(|_| is_index).map(Path::to_path_buf);
    Ok(Some(folder.unwrap_or(path)))
}

/// Opens a folder or file, or a file of the Hub by its address; where there is none, the released model of that name.
pub(super) fn open(path: &Path) -> anyhow::Result<CheckpointFolder> {
    if let Some(file) = cached(path)? {
        // A repository with a transformer alone goes with the VAE that all released models share.
        let shared = HubSettings::from_env().cached(&HubLocation::try_from(vae_weights())?);
        return Ok(match (CheckpointFolder::open(&file)?, shared) {
            (folder, Some(vae)) if folder.vae().is_err() => CheckpointFolder::of_files(&file, &vae)?,
            (folder, _) => folder,
        });
    }
    if !path.exists()
        && let Some(model) = path.to_str().and_then(|name| ReleasedModel::find(name).ok())
    {
        return open_released(&model);
    }
    Ok(CheckpointFolder::open(path)?)
}

/// Opens the files of a released model in the cache.
pub(super) fn open_released(model: &ReleasedModel) -> anyhow::Result<CheckpointFolder> {
    let settings = HubSettings::from_env();
    let mut paths = Vec::new();
    for file in [model.public_weights()?, vae_weights()] {
        let location = HubLocation::try_from(file)?;
        let Some(path) = settings.cached(&location) else {
            bail!(
                "{location} is not in the cache {}: run `worldloop fetch {}`, or pass the path of the checkpoint ({})",
                settings.cache.display(),
                model.name,
                model.licence
            );
        };
        paths.push(path);
    }
    Ok(CheckpointFolder::of_files(&paths[0], &paths[1])?)
}
