//! Latents of all training windows, computed once and kept in the training's folder.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use half::f16;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use worldloop_world_model::vae::WanVae;
use worldloop_world_model_data::{Episode, Window};

use crate::error::TrainingError;
use crate::parameters::to_vec;
use crate::preparation::Preparation;
use crate::recordings::{Crop, Recordings};
use crate::resume::write_atomically;
use crate::vae::device_of;

/// Clips that go through the VAE at once.
const BATCH: usize = 16;

/// File that keeps the latents.
const LATENTS_FILE: &str = "latents.safetensors";
/// Names of the arrays in it.
const LATENTS: &str = "latents";
const REENCODED: &str = "reencoded";
/// Key of the fingerprint in the file's metadata.
const FINGERPRINT: &str = "fingerprint";

/// Normalised latents of windows, and of frames that went through the VAE.
///
/// They are kept in half precision: its error is far below the VAE's, and there are many.
#[derive(Debug)]
pub(crate) struct LatentStore {
    pub(crate) windows: Vec<Window>,
    /// Shape of one window's latents: channels, frames, height, width.
    pub(crate) shape: [usize; 4],
    latents: Vec<f16>,
    /// Latents of the decoded last frame of each window, in the order of the windows; empty if they were not wanted.
    reencoded: Vec<f16>,
    /// Position of the window that ends at an episode's frame.
    ends: BTreeMap<(usize, usize), usize>,
}

impl LatentStore {
    /// Encodes windows of exactly `chunk` actions; with `reencode` also their decoded last frames.
    ///
    /// A causal encoder treats a clip's first frame apart, so each window is encoded by itself. What an earlier sitting
    /// encoded with the same VAE and recordings is read again.
    pub(crate) fn encode(
        recordings: &Recordings,
        vae: &WanVae,
        vae_file: &Path,
        windows: Vec<Window>,
        reencode: bool,
        preparation: &mut Preparation<'_>,
    ) -> Result<Self, TrainingError> {
        let device = device_of(vae);
        let chunk = windows.first().map_or(0, |window| window.actions);
        let ends = windows.iter().enumerate();
        let ends = ends.map(|(position, window)| ((window.episode, window.start + chunk), position));
        let mut store = Self {
            ends: ends.collect(),
            windows,
            shape: [0; 4],
            latents: Vec::new(),
            reencoded: Vec::new(),
        };
        let file = preparation.file(LATENTS_FILE);
        let fingerprint = fingerprint(recordings, vae_file, &store.windows, reencode)?;
        if let Some(file) = &file
            && store.read(file, &fingerprint).is_some()
        {
            return Ok(store);
        }
        for batch in store.windows.chunks(BATCH) {
            let sources: Vec<(&Episode, Window, Crop)> = batch
                .iter()
                .map(|window| (&recordings.training[window.episode], *window, recordings.whole()))
                .collect();
            let latents = vae.encode_latents(recordings.clips(&sources, chunk + 1, &device));
            let [_, channels, frames, height, width] = latents.dims();
            store.shape = [channels, frames, height, width];
            if reencode {
                let last = vae.decode_latents(latents.clone()).narrow(2, chunk, 1).clamp(-1.0, 1.0);
                let again = to_vec(vae.encode_latents(last));
                store.reencoded.extend(again.into_iter().map(f16::from_f32));
            }
            store.latents.extend(to_vec(latents).into_iter().map(f16::from_f32));
            let done = store.latents.len() / store.size();
            preparation.report("encode windows", done, store.windows.len())?;
        }
        if let Some(file) = &file {
            store.write(file, fingerprint)?;
        }
        Ok(store)
    }

    /// Returns the latents of the window at a position, channels first.
    pub(crate) fn window(&self, position: usize) -> &[f16] {
        &self.latents[position * self.size()..][..self.size()]
    }

    /// Returns the latents of the first frame as a prediction before would have left it, where they are known.
    pub(crate) fn reencoded(&self, window: Window) -> Option<&[f16]> {
        let position = *self.ends.get(&(window.episode, window.start))?;
        let size = self.size() / self.shape[1];
        self.reencoded.get(position * size..(position + 1) * size)
    }

    /// Returns the number of values of one window.
    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Takes over the latents of a file, if it holds those of this fingerprint.
    fn read(&mut self, path: &Path, fingerprint: &str) -> Option<()> {
        let bytes = std::fs::read(path).ok()?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).ok()?;
        if metadata.metadata().as_ref()?.get(FINGERPRINT)? != fingerprint {
            return None;
        }
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let latents = file.tensor(LATENTS).ok()?;
        let (&count, shape) = latents.shape().split_first()?;
        if count != self.windows.len() || latents.dtype() != Dtype::F16 {
            return None;
        }
        self.shape = shape.try_into().ok()?;
        let halves = |bytes: &[u8]| {
            bytes
                .chunks_exact(2)
                .map(|pair| f16::from_le_bytes([pair[0], pair[1]]))
                .collect()
        };
        self.latents = halves(latents.data());
        self.reencoded = halves(file.tensor(REENCODED).ok()?.data());
        Some(())
    }

    fn write(&self, path: &Path, fingerprint: String) -> Result<(), TrainingError> {
        let damaged = |source| TrainingError::State {
            path: path.to_path_buf(),
            source,
        };
        let bytes = |values: &[f16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (latents, reencoded) = (bytes(&self.latents), bytes(&self.reencoded));
        let shape = std::iter::once(self.windows.len()).chain(self.shape).collect();
        let views = [
            (LATENTS, TensorView::new(Dtype::F16, shape, &latents).map_err(damaged)?),
            (
                REENCODED,
                TensorView::new(Dtype::F16, vec![self.reencoded.len()], &reencoded).map_err(damaged)?,
            ),
        ];
        let metadata = [(FINGERPRINT.to_string(), fingerprint)].into();
        write_atomically(path, &safetensors::serialize(views, Some(metadata)).map_err(damaged)?)
    }
}

/// Returns a number that changes with the VAE, the recorded frames, and the windows.
///
/// A newer compiler may hash otherwise; then the latents are computed again.
fn fingerprint(
    recordings: &Recordings,
    vae_file: &Path,
    windows: &[Window],
    reencode: bool,
) -> Result<String, TrainingError> {
    let mut hasher = DefaultHasher::new();
    let vae = std::fs::read(vae_file).map_err(|source| TrainingError::Read {
        path: vae_file.to_path_buf(),
        source,
    })?;
    (vae, reencode).hash(&mut hasher);
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
