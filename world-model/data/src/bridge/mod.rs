//! Recordings of real robots in the layout of Bridge: one annotation JSON per episode, its videos beside it.
//!
//! [`BridgeAnnotation`] reads states, gripper and the places of the videos; [`relative_actions`] turns states into the
//! actions that an action-conditioned model takes; [`InferenceParams`] is the published file of settings.

mod actions;
mod annotation;
mod error;
mod params;
#[cfg(test)]
mod tests;

pub use actions::{ACTION_DIM, relative_actions};
pub use annotation::{BridgeAnnotation, FrameSelection};
pub use error::BridgeError;
pub use params::{ImageSize, InferenceParams};
