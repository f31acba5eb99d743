//! The environment contract, and worlds that obey it.
//!
//! The contract is [`Env`]: `reset`, `step`, `step_chunk`, `render`, `close`. It needs neither Burn nor a physics
//! engine. Two worlds obey it: `physics` (a reference simulator on rapier3d) and `learned` (a world model), each
//! behind the feature of its name.

mod action;
mod env;
mod error;
mod observation;
mod pose;
pub mod seeding;
mod space;
mod step;

pub use action::{Action, ActionChunk};
pub use env::{Env, EnvSpec, ResetOptions, check_action, check_chunk};
pub use error::EnvError;
pub use observation::Observation;
pub use pose::Pose;
pub use space::{ContinuousSpace, Dimension, ImageSpace, ObservationSpace};
pub use step::{Info, Step};
