//! The environment contract, and worlds that obey it.
//!
//! The contract is [`Env`]: `reset`, `step`, `step_chunk`, `render`, `close`. It needs neither Burn nor a physics
//! engine. Two worlds obey it: `physics` (a reference simulator on rapier3d) and `learned` (a world model), each
//! behind the feature of its name.

mod action;
mod check;
#[cfg(test)]
mod counting_env;
mod env;
mod error;
#[cfg(feature = "learned")]
pub mod learned;
mod observation;
#[cfg(feature = "physics")]
pub mod physics;
mod pose;
pub mod seeding;
mod space;
mod step;
pub mod vector;
pub mod wrappers;

pub use action::{Action, ActionChunk};
pub use check::{CheckOptions, ContractViolations, Violation, check_env, check_env_with};
pub use env::{Env, EnvSpec, ResetOptions, check_action, check_chunk};
pub use error::EnvError;
pub use observation::Observation;
pub use pose::Pose;
pub use space::{ContinuousSpace, Dimension, ImageSpace, ObservationSpace};
pub use step::{Info, Step};
