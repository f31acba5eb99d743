//! Closed-loop robotics simulation with learned world models.

pub mod benchmark;
pub mod device;
pub mod evaluation;
#[cfg(all(test, feature = "flex", feature = "learned", feature = "physics"))]
mod fixtures;
pub mod policy_source;
pub mod rollout;

pub use worldloop_envs as envs;
pub use worldloop_policies as policies;
pub use worldloop_world_model as world_model;
pub use worldloop_world_model_data as data;
#[cfg(feature = "training")]
pub use worldloop_world_model_training as training;
