//! Played episodes written to disk, as training data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use worldloop_envs::wrappers::RecordedStep;
use worldloop_envs::{Dimension, EnvSpec, Info};
use worldloop_world_model_data::{
    ActionInfo, CameraInfo, Dataset, DatasetError, DatasetInfo, Episode, EpisodeInfo, EpisodeWriter, FORMAT_VERSION,
};

use super::request::{EpisodeRequest, PlayedEpisode};

/// Frame that the motions of the table-top world's actions are expressed in.
const ACTION_FRAME: &str = "gripper";

/// Adds played episodes to a dataset folder, each whole or not at all.
#[derive(Debug)]
pub struct Recorder {
    writer: EpisodeWriter,
    /// Task, policy and seed of every episode in the folder.
    written: BTreeSet<(String, EpisodeRequest)>,
}

impl Recorder {
    /// Starts a dataset for episodes of an env, or goes on with one of the same cameras and actions.
    ///
    /// # Errors
    /// Those of [`EpisodeWriter::open`], and of reading the episodes that are there.
    pub fn open(folder: impl AsRef<Path>, spec: &EnvSpec) -> Result<Self, DatasetError> {
        let writer = EpisodeWriter::open(folder.as_ref(), describe(spec))?;
        let mut written = BTreeSet::new();
        if !writer.is_empty() {
            let dataset = Dataset::open(folder)?;
            for &index in dataset.indices() {
                let EpisodeInfo { seed, task, policy, .. } = dataset.load_info(index)?;
                written.insert((task, EpisodeRequest { policy, seed }));
            }
        }
        Ok(Self { writer, written })
    }

    /// Returns the number of episodes in the folder.
    pub fn len(&self) -> usize {
        self.writer.len()
    }

    /// Returns whether the folder has no episode yet.
    pub fn is_empty(&self) -> bool {
        self.writer.is_empty()
    }

    /// Returns whether an episode is already in the folder.
    pub fn contains(&self, task: &str, request: &EpisodeRequest) -> bool {
        self.written.contains(&(task.to_owned(), request.clone()))
    }

    /// Writes an episode.
    ///
    /// # Errors
    /// Those of [`EpisodeWriter::write`].
    pub fn write(&mut self, played: &PlayedEpisode) -> Result<(), DatasetError> {
        self.writer.write(self.writer.next_index(), &episode_of(played))?;
        self.written
            .insert((played.episode.task.clone(), played.request.clone()));
        Ok(())
    }
}

/// Turns a played episode into one for the disk.
pub(crate) fn episode_of(played: &PlayedEpisode) -> Episode {
    let recorded = &played.episode;
    let steps = recorded.steps.iter();
    let observations =
        std::iter::once(&recorded.first_observation).chain(steps.clone().map(|each| &each.step.observation));
    let mut frames = BTreeMap::<String, Vec<_>>::new();
    let mut states = Vec::new();
    for observation in observations {
        for (camera, image) in &observation.images {
            frames.entry(camera.clone()).or_default().push(image.clone());
        }
        states.push(observation.proprioception.clone());
    }
    if states.iter().all(Vec::is_empty) {
        states.clear();
    }
    let infos: Vec<&Info> = std::iter::once(&recorded.first_info)
        .chain(steps.clone().map(|each| &each.step.info))
        .collect();
    Episode {
        info: EpisodeInfo {
            seed: played.request.seed,
            task: recorded.task.clone(),
            instruction: recorded.first_observation.instruction.clone(),
            policy: played.request.policy.clone(),
            env: recorded.env.clone(),
            success: played.success(),
        },
        frames,
        actions: steps
            .clone()
            .map(|RecordedStep { action, .. }| action.0.clone())
            .collect(),
        proprioception: states,
        rewards: steps.map(|RecordedStep { step, .. }| step.reward as f32).collect(),
        successes: infos.iter().map(|info| info.success.unwrap_or(false)).collect(),
        progress: infos
            .iter()
            .map(|info| info.metrics.get("progress").map_or(0.0, |value| *value as f32))
            .collect(),
    }
}

fn describe(spec: &EnvSpec) -> DatasetInfo {
    let images = spec.observation_space.images.iter();
    let values = |dimensions: &[Dimension]| -> Vec<ActionInfo> {
        let value = |dimension: &Dimension| ActionInfo {
            name: dimension.name.clone(),
            unit: dimension.unit.clone(),
            low: dimension.low,
            high: dimension.high,
            scale: dimension.scale,
        };
        dimensions.iter().map(value).collect()
    };
    DatasetInfo {
        version: FORMAT_VERSION,
        cameras: images
            .map(|image| CameraInfo {
                name: image.camera.clone(),
                width: image.width,
                height: image.height,
            })
            .collect(),
        actions: values(&spec.action_space.dimensions),
        proprioception: values(&spec.observation_space.proprioception.dimensions),
        action_frame: ACTION_FRAME.to_owned(),
        frame_rate_hz: spec.control_rate_hz,
    }
}
