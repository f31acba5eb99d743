//! Closed-loop robotics simulation with learned world models.

#[cfg(all(feature = "learned", feature = "physics"))]
pub mod action_rollout;
pub mod benchmark;
pub mod device;
#[cfg(all(feature = "cloned", feature = "learned", feature = "physics"))]
pub mod embedded;
pub mod evaluation;
#[cfg(all(test, feature = "flex", feature = "learned", feature = "physics"))]
mod fixtures;
#[cfg(all(feature = "learned", feature = "physics"))]
pub mod generation;
pub mod policy_source;
pub mod rollout;
#[cfg(all(feature = "learned", feature = "physics"))]
pub mod text;
#[cfg(all(feature = "training", feature = "cloned"))]
pub mod training;
#[cfg(feature = "rerun")]
pub mod visualization;
#[cfg(all(feature = "cloned", feature = "learned", feature = "physics"))]
pub mod weights;
mod whole_file;

pub use worldloop_envs as envs;
pub use worldloop_policies as policies;
pub use worldloop_world_model as world_model;
pub use worldloop_world_model_data as data;
