//! The `WorldModel` trait: context frames and actions in, next frames out.
//!
//! A world model is a value; what it remembers of an episode is another value, a [`WorldState`]. Cloning the
//! state snapshots the episode, and predicting from a clone forks it.

use serde::{Deserialize, Serialize};

use crate::gripper_pose::GripperPose;

/// Where one action dimension comes from and how it is scaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionDimension {
    /// Name, for example `delta_x`.
    pub name: String,
    /// Unit of the physical quantity, for example `m` or `rad`.
    pub unit: String,
    /// Smallest value the model was trained with, in the units the env passes.
    pub low: f32,
    /// Largest value the model was trained with, in the units the env passes.
    pub high: f32,
    /// Mean over the training recordings.
    pub mean: f32,
    /// Standard deviation over the training recordings.
    pub std: f32,
    /// Factor applied before the network sees the value.
    pub scale: f32,
}

/// What a world model expects and what it returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorldModelSpec {
    /// Name that appears in reports, for example `embedded`.
    pub name: String,
    /// Camera names, in the order of the frames.
    pub cameras: Vec<String>,
    /// Frame height in pixels.
    pub height: usize,
    /// Frame width in pixels.
    pub width: usize,
    /// The action vector, dimension by dimension.
    pub action: Vec<ActionDimension>,
    /// Frame the translations and rotations are expressed in, for example `gripper`.
    pub action_frame: String,
    /// Most actions that one model call consumes.
    pub chunk_length: usize,
    /// Frames the model needs before its first prediction.
    pub context_frames: usize,
    /// Frames, and actions, per second.
    pub frame_rate_hz: f32,
}

impl WorldModelSpec {
    /// Returns the number of action dimensions.
    pub fn action_dim(&self) -> usize {
        self.action.len()
    }
}

/// One RGB frame in floating point.
///
/// # Shapes
/// - values: `[3, height, width]`, RGB in `[-1, 1]`
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Channel-first values in `[-1, 1]`; a model may overshoot slightly.
    pub values: Vec<f32>,
}

/// Everything a world model remembers of one episode.
///
/// It is plain data: clone it to snapshot, keep the clone to rewind, predict from both to fork.
#[derive(Debug, Clone, PartialEq)]
pub struct WorldState {
    /// Latest frames per camera, oldest first: what the next prediction is conditioned on.
    pub context: Vec<Vec<Frame>>,
    /// Where the actions since the start have brought the gripper; nothing if the start was not told or the model does
    /// not ask.
    pub gripper_pose: Option<GripperPose>,
    /// Seed of the episode; the noise of a chunk depends on it and on `chunk_index` alone.
    pub seed: u64,
    /// Chunks predicted and committed since the start.
    pub chunk_index: u64,
}

/// The frames that one chunk of actions leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Frames per camera, one per action, oldest first.
    pub frames: Vec<Vec<Frame>>,
    /// Where the gripper is in each of the frames, as far as it is known.
    pub gripper_poses: Vec<Option<GripperPose>>,
    /// The state after the last of these frames.
    pub next_state: WorldState,
}

/// One episode's share of a batched prediction.
#[derive(Debug, Clone, Copy)]
pub struct PredictionRequest<'a> {
    /// Where the episode stands.
    pub state: &'a WorldState,
    /// Actions in the units of the spec, one row each; at least one, at most `chunk_length`.
    pub actions: &'a [Vec<f32>],
}

/// Why a world model refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldModelError {
    /// The first frames do not fit the model.
    #[error(
        "the context of camera {camera} has {found_frames} frames of {found_height}x{found_width}, the model `{model}` \
         needs {expected_frames} of {expected_height}x{expected_width}: resize the image, or load a checkpoint of that size"
    )]
    Context {
        /// Name of the model.
        model: String,
        /// Camera whose frames are wrong.
        camera: String,
        /// Frames the model needs.
        expected_frames: usize,
        /// Height the model needs, in pixels.
        expected_height: usize,
        /// Width the model needs, in pixels.
        expected_width: usize,
        /// Frames that were given.
        found_frames: usize,
        /// Height that was given, in pixels.
        found_height: usize,
        /// Width that was given, in pixels.
        found_width: usize,
    },
    /// The number of cameras is wrong.
    #[error(
        "the model `{model}` sees {expected} camera(s), {found} were given: pass one list of frames per camera of its spec"
    )]
    Cameras {
        /// Name of the model.
        model: String,
        /// Cameras the model has.
        expected: usize,
        /// Cameras that were given.
        found: usize,
    },
    /// A chunk is empty or longer than the model takes.
    #[error("the model `{model}` takes 1 to {longest} actions per call, {found} were given: split the chunk")]
    ChunkLength {
        /// Name of the model.
        model: String,
        /// Most actions per call.
        longest: usize,
        /// Actions that were given.
        found: usize,
    },
    /// An action has the wrong number of values.
    #[error(
        "an action has {found} values, the model `{model}` was trained with {expected} ({names}): check the action space"
    )]
    ActionSize {
        /// Name of the model.
        model: String,
        /// Values per action.
        expected: usize,
        /// Values that were given.
        found: usize,
        /// Names of the expected values.
        names: String,
    },
    /// An action is NaN or infinite.
    #[error("action value {index} (`{name}`) is {value}: the policy must return finite numbers")]
    ActionNotFinite {
        /// Index of the value.
        index: usize,
        /// Name of the value.
        name: String,
        /// What was found.
        value: f32,
    },
    /// The robot's state at the start is not one that the model can read.
    #[error(
        "the robot's state at the start has {found}; the model `{model}` reads x, y, z in metres, roll, pitch, yaw in \
         radians, and how far the gripper is open (0 to 1) from its first 7 values: pass the env's proprioception, or \
         none where it is not known"
    )]
    Proprioception {
        /// Name of the model.
        model: String,
        /// What was found.
        found: String,
    },
    /// The network returned something that is not a number.
    #[error(
        "the model `{model}` predicted a frame that is not finite in chunk {chunk}: the checkpoint is damaged or the precision too low"
    )]
    PredictionNotFinite {
        /// Name of the model.
        model: String,
        /// Chunk in which it happened, counted from 0.
        chunk: u64,
    },
}

/// Predicts what the cameras will see.
///
/// Implementations answer a batch of episodes with one model call, and the answer for an episode does not depend
/// on what else is in the batch.
pub trait WorldModel: Send + Sync {
    /// Returns what the model expects and returns.
    fn spec(&self) -> &WorldModelSpec;

    /// Starts an episode from context frames.
    ///
    /// `context` holds, per camera, `spec().context_frames` frames, oldest first; `proprioception` is the robot's state at
    /// the last of them, empty where it is not known.
    ///
    /// # Errors
    /// [`WorldModelError::Cameras`], [`WorldModelError::Context`] and [`WorldModelError::Proprioception`] if they do not
    /// fit.
    fn start(&self, context: Vec<Vec<Frame>>, proprioception: &[f32], seed: u64)
    -> Result<WorldState, WorldModelError>;

    /// Predicts one chunk for each of several episodes.
    ///
    /// # Errors
    /// Variants of [`WorldModelError`] for actions that do not fit and for a failed network.
    fn predict(&self, requests: &[PredictionRequest<'_>]) -> Result<Vec<Prediction>, WorldModelError>;
}

impl WorldModelSpec {
    /// Checks one chunk of actions against this spec.
    ///
    /// # Errors
    /// [`WorldModelError::ChunkLength`], [`WorldModelError::ActionSize`] or [`WorldModelError::ActionNotFinite`].
    pub fn check_actions(&self, actions: &[Vec<f32>]) -> Result<(), WorldModelError> {
        if actions.is_empty() || actions.len() > self.chunk_length {
            return Err(WorldModelError::ChunkLength {
                model: self.name.clone(),
                longest: self.chunk_length,
                found: actions.len(),
            });
        }
        for action in actions {
            if action.len() != self.action_dim() {
                let names: Vec<&str> = self.action.iter().map(|dimension| dimension.name.as_str()).collect();
                return Err(WorldModelError::ActionSize {
                    model: self.name.clone(),
                    expected: self.action_dim(),
                    found: action.len(),
                    names: names.join(", "),
                });
            }
            if let Some(index) = action.iter().position(|value| !value.is_finite()) {
                return Err(WorldModelError::ActionNotFinite {
                    index,
                    name: self.action[index].name.clone(),
                    value: action[index],
                });
            }
        }
        Ok(())
    }

    /// Checks the context frames of one episode against this spec.
    ///
    /// # Errors
    /// [`WorldModelError::Cameras`] or [`WorldModelError::Context`].
    pub fn check_context(&self, context: &[Vec<Frame>]) -> Result<(), WorldModelError> {
        if context.len() != self.cameras.len() {
            return Err(WorldModelError::Cameras {
                model: self.name.clone(),
                expected: self.cameras.len(),
                found: context.len(),
            });
        }
        for (camera, frames) in self.cameras.iter().zip(context) {
            let fits = |frame: &Frame| frame.height == self.height && frame.width == self.width;
            if frames.len() != self.context_frames || !frames.iter().all(fits) {
                let shown = frames.iter().find(|frame| !fits(frame)).or(frames.first());
                return Err(WorldModelError::Context {
                    model: self.name.clone(),
                    camera: camera.clone(),
                    expected_frames: self.context_frames,
                    expected_height: self.height,
                    expected_width: self.width,
                    found_frames: frames.len(),
                    found_height: shown.map_or(0, |frame| frame.height),
                    found_width: shown.map_or(0, |frame| frame.width),
                });
            }
        }
        Ok(())
    }
}
