//! Where the gripper is in recorded frames.

use worldloop_world_model::GripperPose;
use worldloop_world_model::pipeline::PredictConfig;
use worldloop_world_model_data::Episode;

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
    if predict.action_reference.pose_limits().is_none() {
        return Ok(None);
    }
    let state = episode
        .proprioception
        .get(frame)
        .ok_or_else(|| TrainingError::NoRobotState {
            model: predict.spec.name.clone(),
            seed: episode.info.seed,
            env: episode.info.env.clone(),
        })?;
    Ok(predict.starting_pose(state)?)
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
