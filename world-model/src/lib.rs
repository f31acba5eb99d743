//! Learned world models of robot scenes: networks, sampling, checkpoints and the [`WorldModel`] trait.
//!
//! The networks are those of Cosmos-Predict2.5, written for Burn. Tensors go in and tensors come out; nothing here
//! knows of robots, policies or episodes on disk.

pub mod camera;
pub mod catalog;
pub mod checkpoint;
pub mod diffusion;
pub mod dit;
mod gripper_pose;
mod hand;
pub mod hub;
pub mod judge;
pub mod layers;
pub mod memory;
pub mod pipeline;
mod rotation;
pub mod text_encoder;
pub mod vae;
pub mod video;
pub mod world_model;

pub use gripper_pose::{GripperPose, POSE_FEATURES, PoseLimits};
pub use hand::{Hand, HandBox};
pub use world_model::{
    ActionDimension, Frame, Prediction, PredictionRequest, WorldModel, WorldModelError, WorldModelSpec, WorldState,
};
