//! What a learned world needs to know beside its model and its judge.

use std::sync::Arc;

use super::truncation::TruncationGuard;
use crate::space::ContinuousSpace;

/// A task that can be played in a learned world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedTask {
    /// Name, as the judge knows it.
    pub name: String,
    /// Steps after which an episode is usually cut off.
    pub max_episode_steps: usize,
}

/// Settings of a learned world.
#[derive(Debug, Clone)]
pub struct LearnedConfig {
    /// First part of the env's name; the task is the second, as in `learned/reach`.
    pub name: String,
    /// Tasks that can be played, at least one; the first is the default.
    pub tasks: Vec<LearnedTask>,
    /// Action space with the physical scales, checked against the model's; `None` takes the model's own.
    pub action_space: Option<ContinuousSpace>,
    /// Camera whose frames the judge sees; `None` is the model's first.
    pub judge_camera: Option<String>,
    /// Success probability from which a frame counts as solved, in `(0, 1]`.
    pub success_threshold: f32,
    /// Consecutive solved frames that make a success, at least 1.
    pub success_frames: usize,
    /// Added to the reward of the step that solves the task.
    pub success_bonus: f64,
    /// Whether episodes are truncated after the task's `max_episode_steps`.
    pub time_limit: bool,
    /// Truncates episodes whose prediction can't be trusted.
    pub guard: Option<Arc<dyn TruncationGuard>>,
}

impl LearnedConfig {
    /// Makes the default settings for these tasks.
    pub fn new(tasks: Vec<LearnedTask>) -> Self {
        Self {
            name: "learned".into(),
            tasks,
            action_space: None,
            judge_camera: None,
            success_threshold: 0.5,
            success_frames: 1,
            success_bonus: 1.0,
            time_limit: false,
            guard: None,
        }
    }
}
