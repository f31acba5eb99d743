//! Latents of all training windows, computed once and kept in the training's folder.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use worldloop_world_model::vae::WanVae;
use worldloop_world_model_data::{Episode, Window};

use crate::error::TrainingError;
use crate::kept_latents::KeptLatents;
use crate::preparation::Preparation;
use crate::recordings::{Crop, Recordings};
use crate::vae::device_of;

/// Clips that go through the VAE at once.
const BATCH: usize = 16;

/// File that keeps the latents.
const LATENTS_FILE: &str = "latents.safetensors";

/// Latents of windows.
#[derive(Debug)]
pub(crate) struct LatentStore {
    /// The windows, by episode and start.
    pub(crate) windows: Vec<Window>,
    /// Their latents, in the same order.
    pub(crate) latents: KeptLatents,
    /// Changes with everything that the latents depend on.
    pub(crate) fingerprint: String,
}

impl LatentStore {
    /// Encodes windows of one length.
    ///
    /// A causal encoder treats a clip's first frame apart, so each window is encoded by itself. What an earlier sitting
    /// encoded with the same VAE and recordings is read again.
    pub(crate) fn encode(
        recordings: &Recordings,
        vae: &WanVae,
        vae_file: &Path,
        windows: Vec<Window>,
        preparation: &mut Preparation<'_>,
    ) -> Result<Self, TrainingError> {
        let fingerprint = fingerprint(recordings, vae_file, &windows)?;
        let file = preparation.file(LATENTS_FILE);
        let kept = file
            .as_ref()
            .and_then(|file| KeptLatents::read(file, &fingerprint, windows.len()));
        let latents = match kept {
            Some(latents) => latents,
            None => {
                let latents = encode(recordings, vae, &windows, preparation)?;
                if let Some(file) = &file {
                    latents.write(file, fingerprint.clone())?;
                }
                latents
            }
        };
        Ok(Self {
            windows,
            latents,
            fingerprint,
        })
    }
}

fn encode(
    recordings: &Recordings,
    vae: &WanVae,
    windows: &[Window],
    preparation: &mut Preparation<'_>,
) -> Result<KeptLatents, TrainingError> {
    let device = device_of(vae);
    let mut latents = KeptLatents::default();
    for batch in windows.chunks(BATCH) {
        let sources: Vec<(&Episode, Window, Crop)> = batch
            .iter()
            .map(|window| (&recordings.training[window.episode], *window, recordings.whole()))
            .collect();
        let frames = batch.first().map_or(1, |window| window.actions + 1);
        latents.push(vae.encode_latents(recordings.clips(&sources, frames, &device)));
        preparation.report("encode windows", latents.len(), windows.len())?;
    }
    Ok(latents)
}

/// Returns a number that changes with the VAE, the recorded frames, and the windows.
///
/// A newer compiler may hash otherwise; then the latents are computed again.
fn fingerprint(recordings: &Recordings, vae_file: &Path, windows: &[Window]) -> Result<String, TrainingError> {
    let mut hasher = DefaultHasher::new();
    let vae = std::fs::read(vae_file).map_err(|source| TrainingError::Read {
        path: vae_file.to_path_buf(),
        source,
    })?;
    vae.hash(&mut hasher);
    for window in windows {
        (window.episode, window.start, window.actions).hash(&mut hasher);
    }
    for episode in &recordings.training {
        for frame in recordings.frames(episode) {
            frame.as_raw().hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}
