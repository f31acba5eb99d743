//! Recorded actions of a real robot, played in an action-conditioned model: chunk after chunk from one observed frame.
//!
//! A [`RecordedClip`] is an annotation of Bridge with its video and actions, or a picture and a file of actions.
//! [`play_actions`] runs the closed loop with a [`Seam`] between chunks, [`stream_actions`] that of a causal model, and
//! [`RolloutFiles`] are what is left of it on disk.

mod action_file;
mod error;
mod files;
mod play;
mod recorded_clip;
mod seam;
mod stream;
#[cfg(all(test, feature = "flex"))]
mod tests;

pub use error::ActionRolloutError;
pub use files::{RolloutFiles, RolloutRecord, RolloutSettings};
pub use play::{PlayProgress, PlayedActions, play_actions};
pub use recorded_clip::RecordedClip;
pub use seam::Seam;
pub use stream::{StreamProgress, stream_actions};
