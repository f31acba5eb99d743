//! Latents of all training windows, computed once.

use std::collections::BTreeMap;

use burn::tensor::Device;
use worldloop_world_model::vae::WanVae;
use worldloop_world_model_data::{Episode, Window};

use crate::error::TrainingError;
use crate::parameters::to_vec;
use crate::recordings::{Crop, Recordings};

/// Clips that go through the VAE at once.
const BATCH: usize = 16;

/// Normalised latents of windows, and of frames that went through the VAE.
#[derive(Debug)]
pub(crate) struct LatentStore {
    pub(crate) windows: Vec<Window>,
    /// Shape of one window's latents: channels, frames, height, width.
    pub(crate) shape: [usize; 4],
    latents: Vec<f32>,
    /// Latents of the decoded last frame of a window, by episode and frame index.
    reencoded: BTreeMap<(usize, usize), Vec<f32>>,
}

impl LatentStore {
    /// Encodes windows of exactly `chunk` actions; with `reencode` also their decoded last frames.
    ///
    /// A causal encoder treats a clip's first frame apart, so each window is encoded by itself.
    pub(crate) fn encode(
        recordings: &Recordings,
        vae: &WanVae,
        windows: Vec<Window>,
        reencode: bool,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        let chunk = windows.first().map_or(0, |window| window.actions);
        let mut store = Self {
            windows,
            shape: [0; 4],
            latents: Vec::new(),
            reencoded: BTreeMap::new(),
        };
        for batch in store.windows.chunks(BATCH) {
            let sources: Vec<(&Episode, Window, Crop)> = batch
                .iter()
                .map(|window| (&recordings.training[window.episode], *window, recordings.whole()))
                .collect();
            let latents = vae.encode_latents(recordings.clips(&sources, chunk + 1, device));
            let [_, channels, frames, height, width] = latents.dims();
            store.shape = [channels, frames, height, width];
            if reencode {
                let last = vae.decode_latents(latents.clone()).narrow(2, chunk, 1).clamp(-1.0, 1.0);
                let again = to_vec(vae.encode_latents(last));
                for (window, latents) in batch.iter().zip(again.chunks_exact(channels * height * width)) {
                    store
                        .reencoded
                        .insert((window.episode, window.start + chunk), latents.to_vec());
                }
            }
            store.latents.extend(to_vec(latents));
        }
        Ok(store)
    }

    /// Returns the latents of the window at a position, channels first.
    pub(crate) fn window(&self, position: usize) -> &[f32] {
        let size = self.shape.iter().product::<usize>();
        &self.latents[position * size..][..size]
    }

    /// Returns the latents of the first frame as a prediction before would have left it, where they are known.
    pub(crate) fn reencoded(&self, window: Window) -> Option<&[f32]> {
        self.reencoded.get(&(window.episode, window.start)).map(Vec::as_slice)
    }
}
