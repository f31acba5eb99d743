//! Where the gripper is in recorded frames.

use worldloop_world_model::GripperPose;
use worldloop_world_model::pipeline::{ActionReference, PredictConfig};
use worldloop_world_model_data::Episode;

use crate::config::require;
use crate::error::TrainingError;

/// Returns where the actions from an episode's start to a frame have brought the gripper; nothing for a network that
/// does not ask.
pub(crate) fn starting_pose(
    predict: &PredictConfig,
    episode: &Episode,
    frame: usize,
) -> Result<Option<GripperPose>, TrainingError> {
    let start = recorded_pose(predict, episode, 0)?;
    Ok(predict.pose_after(start, &episode.actions[..frame]))
}

/// Returns where the gripper is in a frame; nothing for a network that does not ask.
pub(crate) fn recorded_pose(
    predict: &PredictConfig,
    episode: &Episode,
    frame: usize,
) -> Result<Option<GripperPose>, TrainingError> {
    let asks = matches!(predict.action_reference, ActionReference::World(_));
    let state = episode.proprioception.get(frame);
    require(
        "action_reference",
        !asks || state.is_some(),
        || "world with recordings of robot states (record them again), given_frame without".into(),
        "world, without them",
    )?;
    Ok(predict.starting_pose(state.map_or(&[], Vec::as_slice))?)
}

/// Returns for each frame of the episodes that it is not known where the gripper is.
pub(crate) fn unknown_poses(episodes: &[Episode]) -> Vec<Vec<Option<GripperPose>>> {
    episodes.iter().map(|episode| vec![None; episode.len() + 1]).collect()
}

/// Returns where the actions from an episode's start have brought the gripper in each frame, as a learned world knows it.
pub(crate) fn known_poses(
    episodes: &[Episode],
    model: &PredictConfig,
) -> Result<Vec<Vec<Option<GripperPose>>>, TrainingError> {
    let poses = |episode: &Episode| {
        let start = recorded_pose(model, episode, 0)?;
        let after = model.poses_after(start, &episode.actions);
        Ok(std::iter::once(start).chain(after).collect())
    };
    episodes.iter().map(poses).collect()
}
