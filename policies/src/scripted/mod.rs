//! The scripted expert: solves each task from ground truth that only a simulator has.
//!
//! Each task is one function from the present [`Situation`](situation::Situation) to a wanted motion. There are no
//! hidden phases: whatever decides can be seen in a camera image, so that a policy can be cloned from the recordings.

mod expert;
mod motion;
mod pick_and_place;
mod push;
mod reach;
mod situation;

pub use expert::ScriptedExpert;
