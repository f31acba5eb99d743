//! What can be chosen about the physics world.

use serde::{Deserialize, Serialize};

use super::tasks::PhysicsTask;

/// Choices for a [`PhysicsEnv`](super::PhysicsEnv).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhysicsConfig {
    /// Task of episodes whose reset options name none.
    pub task: PhysicsTask,
    /// Side of the third-person image in pixels, at least 8 and at most 2048 (other values are brought in).
    pub image_size: u32,
    /// Side of the wrist image in pixels, within the same limits; without it the wrist camera is not observed.
    pub wrist_image_size: Option<u32>,
    /// Side of the picture that `render` returns, in pixels, within the same limits.
    pub render_size: u32,
    /// What the seed may change.
    pub randomization: Randomization,
}

impl Default for PhysicsConfig {
    fn default() -> Self {
        Self {
            task: PhysicsTask::Reach,
            image_size: 64,
            wrist_image_size: None,
            render_size: 256,
            randomization: Randomization::default(),
        }
    }
}

impl PhysicsConfig {
    /// Makes the default configuration of a task.
    pub fn for_task(task: PhysicsTask) -> Self {
        Self {
            task,
            ..Self::default()
        }
    }
}

/// What the seed may change beside the positions of block and target, which always follow it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Randomization {
    /// Colours of block and target.
    pub colors: bool,
    /// Yaw of the block.
    pub block_yaw: bool,
    /// Where the gripper starts.
    pub gripper: bool,
}

impl Default for Randomization {
    fn default() -> Self {
        Self {
            colors: true,
            block_yaw: true,
            gripper: true,
        }
    }
}
