//! The `Judge` trait: was the task solved in this frame, and how far along is it?

use crate::gripper_pose::GripperPose;
use crate::world_model::Frame;

/// One frame to be judged, and for which task.
#[derive(Debug, Clone, Copy)]
pub struct JudgeRequest<'a> {
    /// The frame of the camera that the judge was trained on.
    pub frame: &'a Frame,
    /// What the same camera saw when the episode began, where nothing hides what is to be done.
    pub first_frame: &'a Frame,
    /// Where the gripper is, as far as it is known.
    pub gripper_pose: Option<GripperPose>,
    /// Task name, for example `reach`.
    pub task: &'a str,
    /// The task in words, for judges that read.
    pub instruction: &'a str,
}

/// What a judge says of one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Probability that the task is solved in this frame, in `[0, 1]`.
    pub success_probability: f32,
    /// Progress towards success, in `[0, 1]`.
    pub progress: f32,
}

/// Why a judge refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JudgeError {
    /// The judge was not trained for this task.
    #[error("the judge knows the tasks {known}, not `{found}`: train a judge on recordings of that task")]
    UnknownTask {
        /// Tasks the judge knows.
        known: String,
        /// The task that was asked for.
        found: String,
    },
    /// The frame has another size than the judge was trained with.
    #[error(
        "the judge was trained with {expected_height}x{expected_width} frames, found {found_height}x{found_width}: resize the frames"
    )]
    FrameSize {
        /// Height the judge needs, in pixels.
        expected_height: usize,
        /// Width the judge needs, in pixels.
        expected_width: usize,
        /// Height that was given, in pixels.
        found_height: usize,
        /// Width that was given, in pixels.
        found_width: usize,
    },
}

/// Judges frames in batches.
pub trait Judge: Send + Sync {
    /// Returns one judgement per request; the answer for a frame does not depend on the others.
    ///
    /// # Errors
    /// [`JudgeError`] for a task or a frame size that the judge does not know.
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError>;
}
