//! Given frames as a world model leaves them: what the later chunks of an episode start from.
//!
//! Trained on recorded frames alone, a model meets its own blur and drift for the first time in use, and adds to them.
//! Here it learns to go on from them to what was recorded.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use half::f16;
use worldloop_world_model::pipeline::Predict;
use worldloop_world_model_data::{Episode, Window};

use crate::chunk_input::chunk_input;
use crate::error::TrainingError;
use crate::kept_latents::KeptLatents;
use crate::latents::LatentStore;
use crate::poses::starting_pose;
use crate::preparation::Preparation;
use crate::random::StepRandom;
use crate::recordings::{Crop, Recordings};
use crate::vae::device_of;

/// Episodes that are predicted together.
const BATCH: usize = 16;

/// File that keeps the latents.
const CONTEXTS_FILE: &str = "contexts.safetensors";

/// Latents of predicted frames that windows start from.
#[derive(Debug, Default)]
pub(crate) struct PredictedContexts {
    /// Positions of the windows in the store.
    windows: Vec<usize>,
    latents: KeptLatents,
}

impl PredictedContexts {
    /// Predicts episodes from their first frame, chunk after chunk, until `count` windows have a predicted start.
    ///
    /// What an earlier sitting predicted with the same model and recordings is read again.
    pub(crate) fn predict(
        recordings: &Recordings,
        store: &LatentStore,
        (model, model_file): (&Predict, &Path),
        count: usize,
        preparation: &mut Preparation<'_>,
    ) -> Result<Self, TrainingError> {
        let chains = chosen_chains(&store.windows, count);
        // In the order in which they are predicted below.
        let windows: Vec<usize> = chains.chunks(BATCH).flat_map(positions_by_depth).collect();
        let fingerprint = fingerprint(store, model_file, &windows)?;
        let file = preparation.file(CONTEXTS_FILE);
        let kept = file
            .as_ref()
            .and_then(|file| KeptLatents::read(file, &fingerprint, windows.len()));
        if let Some(latents) = kept {
            return Ok(Self { windows, latents });
        }
        let mut latents = KeptLatents::default();
        for (batch, chains) in chains.chunks(BATCH).enumerate() {
            let random = StepRandom::new(0, batch as u64, 8);
            predict_chains(recordings, store, model, chains, random, &mut latents)?;
            preparation.report("predict contexts", latents.len(), windows.len())?;
        }
        if let Some(file) = &file {
            latents.write(file, fingerprint)?;
        }
        Ok(Self { windows, latents })
    }

    /// Draws a window's position in the store and the latents that it starts from; nothing if there are none.
    pub(crate) fn draw(&self, random: &mut StepRandom) -> Option<(usize, &[f16])> {
        let index = random.index(self.windows.len());
        self.windows
            .get(index)
            .map(|&window| (window, self.latents.clip(index)))
    }
}

/// Lists, spread over the episodes, positions of windows that follow each other from an episode's first frame on.
///
/// Longest first, so that those of a batch are about as long.
fn chosen_chains(windows: &[Window], count: usize) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for (position, window) in windows.iter().enumerate() {
        if window.start == 0 {
            chains.push(vec![position]);
        } else if let Some(chain) = chains.last_mut() {
            let last = windows[chain[chain.len() - 1]];
            if last.episode == window.episode && last.start + last.actions == window.start {
                chain.push(position);
            }
        }
    }
    chains.retain(|chain| chain.len() > 1);
    let all: usize = chains.iter().map(|chain| chain.len() - 1).sum();
    let kept = (chains.len() * count).div_ceil(all.max(1)).min(chains.len());
    let mut chosen: Vec<Vec<usize>> = (0..kept)
        .map(|place| chains[place * chains.len() / kept].clone())
        .collect();
    chosen.sort_by_key(|chain| std::cmp::Reverse(chain.len()));
    chosen
}

/// Returns the second windows of all chains, then the third ones, and so on.
fn positions_by_depth(chains: &[Vec<usize>]) -> Vec<usize> {
    let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
    (1..longest)
        .flat_map(|depth| chains.iter().filter_map(move |chain| chain.get(depth).copied()))
        .collect()
}

/// Predicts along chains, and adds the latents of the frames between two windows.
fn predict_chains(
    recordings: &Recordings,
    store: &LatentStore,
    model: &Predict,
    chains: &[Vec<usize>],
    mut random: StepRandom,
    latents: &mut KeptLatents,
) -> Result<(), TrainingError> {
    let device = device_of(&model.networks().dit);
    let source = |chain: &Vec<usize>, depth: usize| -> (&Episode, Window, Crop) {
        let window = store.windows[chain[depth]];
        (&recordings.training[window.episode], window, recordings.whole())
    };
    let first: Vec<_> = chains.iter().map(|chain| source(chain, 0)).collect();
    let mut frames = recordings.clips(&first, 1, &device);
    let longest = chains.iter().map(Vec::len).max().unwrap_or(0);
    for depth in 0..longest.saturating_sub(1) {
        // Longest first: those that go on are the first ones.
        let going_on = chains.iter().filter(|chain| chain.len() > depth + 1).count();
        let actions = chains[..going_on]
            .iter()
            .map(|chain| {
                let (episode, window, _) = source(chain, depth);
                let pose = starting_pose(model.config(), episode, window.start)?;
                let taken = &episode.actions[window.start..window.start + window.actions];
                Ok(model.config().network_actions(taken, pose))
            })
            .collect::<Result<Vec<_>, TrainingError>>()?;
        let input = chunk_input(model, frames.narrow(0, 0, going_on), actions.concat(), &mut random);
        let video = model.predict_chunk(input).video;
        let [_, _, count, _, _] = video.dims();
        frames = video.narrow(2, count - 1, 1).clamp(-1.0, 1.0);
        latents.push(model.networks().vae.encode_latents(frames.clone()));
    }
    Ok(())
}

/// Returns a number that changes with the model, the recordings and the chosen windows.
fn fingerprint(store: &LatentStore, model_file: &Path, windows: &[usize]) -> Result<String, TrainingError> {
    let mut hasher = DefaultHasher::new();
    let model = std::fs::read(model_file).map_err(|source| TrainingError::Read {
        path: model_file.to_path_buf(),
        source,
    })?;
    (model, windows, &store.fingerprint).hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(episode: usize, start: usize) -> Window {
        Window {
            episode,
            start,
            actions: 8,
        }
    }

    #[test]
    fn chains_follow_an_episode_from_its_first_frame_without_a_gap() {
        let windows = [
            window(0, 0),
            window(0, 8),
            window(0, 11),
            window(1, 0),
            window(2, 0),
            window(2, 8),
            window(2, 16),
        ];
        let chains = chosen_chains(&windows, 100);
        assert_eq!(chains, [vec![4, 5, 6], vec![0, 1]]);
        assert_eq!(positions_by_depth(&chains), [5, 1, 6]);
        assert_eq!(chosen_chains(&windows, 1).len(), 1);
        assert!(chosen_chains(&windows, 0).is_empty());
    }
}
