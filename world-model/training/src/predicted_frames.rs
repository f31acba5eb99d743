//! Recorded moments as a world model predicts them.

use burn::tensor::{Device, Tensor};
use worldloop_world_model::GripperPose;
use worldloop_world_model::pipeline::Predict;
use worldloop_world_model_data::{Episode, Window};

use crate::chunk_input::chunk_input;
use crate::error::TrainingError;
use crate::parameters::to_vec;
use crate::poses::recorded_pose;
use crate::preparation::Preparation;
use crate::random::StepRandom;
use crate::recordings::{Crop, Recordings};
use crate::vae::device_of;

/// Stretches that are predicted together.
const BATCH: usize = 8;

/// Most chunks that are predicted one after the other.
const CHUNKS: usize = 4;

/// A predicted frame with the labels of the recorded one.
#[derive(Debug, Clone)]
pub(crate) struct PredictedFrame {
    /// Position of the episode.
    pub(crate) episode: usize,
    /// Channels first.
    pub(crate) pixels: Vec<u8>,
    /// Where the gripper is, as far as it is known.
    pub(crate) pose: Option<GripperPose>,
    pub(crate) task: String,
    pub(crate) success: bool,
    pub(crate) progress: f32,
}

/// Predicts stretches of some of the episodes, each from a recorded frame to the episode's end or four chunks on.
pub(crate) fn predict_frames(
    recordings: &Recordings,
    episodes: &[Episode],
    model: &Predict,
    stretches: usize,
    seed: u64,
    preparation: &mut Preparation<'_>,
) -> Result<Vec<PredictedFrame>, TrainingError> {
    let device = device_of(&model.networks().dit);
    let mut random = StepRandom::new(seed, 0, 6);
    let chunk = model.config().spec.chunk_length;
    let mut found = Vec::new();
    let mut left = stretches;
    while left > 0 {
        let batch: Vec<(&Episode, Window)> = (0..left.min(BATCH))
            .filter_map(|_| {
                let place = random.index(episodes.len());
                let episode = &episodes[place];
                let start = draw_start(episode.len(), chunk, &mut random);
                let actions = (CHUNKS * chunk).min(episode.len() - start);
                (actions > 0).then_some((
                    episode,
                    Window {
                        episode: place,
                        start,
                        actions,
                    },
                ))
            })
            .collect();
        left -= left.min(BATCH);
        if !batch.is_empty() {
            predict_batch(recordings, model, &batch, &mut random, &device, &mut found)?;
        }
        preparation.report("predict stretches", stretches - left, stretches)?;
    }
    Ok(found)
}

/// Draws the frame that a stretch of an episode of so many steps starts from.
///
/// Half of the stretches reach the episode's end, where success is, each at another frame of a chunk: a judge could take the looks of
/// one of them for success.
fn draw_start(steps: usize, chunk: usize, random: &mut StepRandom) -> usize {
    let latest = steps.saturating_sub(1);
    if random.chance(0.5) {
        (steps.saturating_sub(CHUNKS * chunk) + random.index(chunk)).min(latest)
    } else {
        random.index(latest)
    }
}

fn predict_batch(
    recordings: &Recordings,
    model: &Predict,
    batch: &[(&Episode, Window)],
    random: &mut StepRandom,
    device: &Device,
    found: &mut Vec<PredictedFrame>,
) -> Result<(), TrainingError> {
    let config = model.config();
    let chunk = config.spec.chunk_length;
    let sources: Vec<(&Episode, Window, Crop)> = batch
        .iter()
        .map(|(episode, window)| (*episode, *window, recordings.whole()))
        .collect();
    let mut frames = recordings.clips(&sources, 1, device);
    let mut poses = batch
        .iter()
        .map(|(episode, window)| recorded_pose(config, episode, window.start))
        .collect::<Result<Vec<_>, _>>()?;
    for index in 0..CHUNKS {
        let mut actions = Vec::new();
        let mut poses_after = Vec::new();
        for ((episode, window), pose) in batch.iter().zip(&mut poses) {
            let action = |offset: usize| episode.actions[window.start + offset.min(window.actions - 1)].clone();
            let rows: Vec<Vec<f32>> = (index * chunk..(index + 1) * chunk).map(action).collect();
            actions.extend(config.network_actions(&rows, *pose));
            let after = config.poses_after(*pose, &rows);
            *pose = after.last().copied().flatten();
            poses_after.push(after);
        }
        let input = chunk_input(model, frames, actions, random);
        let video = model.predict_chunk(input).video.clamp(-1.0, 1.0);
        frames = video.clone().narrow(2, chunk, 1);
        collect(video, batch, &poses_after, index * chunk, found);
    }
    Ok(())
}

/// Keeps the frames that a recorded one corresponds to; frame `k` of the video is the one after `before + k` actions.
fn collect(
    video: Tensor<5>,
    batch: &[(&Episode, Window)],
    poses: &[Vec<Option<GripperPose>>],
    before: usize,
    found: &mut Vec<PredictedFrame>,
) {
    let [_, channels, count, height, width] = video.dims();
    let values = to_vec(video);
    let plane = height * width;
    for (place, ((episode, window), clip)) in batch
        .iter()
        .zip(values.chunks_exact(channels * count * plane))
        .enumerate()
    {
        for offset in (1..count).filter(|offset| before + offset <= window.actions) {
            let frame = window.start + before + offset;
            let planes = (0..channels).flat_map(|channel| &clip[(channel * count + offset) * plane..][..plane]);
            found.push(PredictedFrame {
                episode: window.episode,
                pixels: planes
                    .map(|value| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8)
                    .collect(),
                pose: poses[place][offset - 1],
                task: episode.info.task.clone(),
                success: episode.successes[frame],
                progress: episode.progress[frame],
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_frame_of_a_chunk_is_where_success_usually_is() {
        for steps in [12, 40] {
            let mut counts = vec![0; steps];
            for seed in 0..800 {
                counts[draw_start(steps, 8, &mut StepRandom::new(seed, 0, 6))] += 1;
            }
            assert!(counts.iter().all(|&count| count < 200), "{counts:?}");
        }
    }
}
