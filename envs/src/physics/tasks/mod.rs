//! The tasks: where an episode starts, when it has succeeded and how far it is.

mod layout;
mod pick_and_place;
mod push;
mod reach;
mod task;

pub(super) use layout::{BlockLayout, Layout, TargetLayout};
pub use task::PhysicsTask;
pub(super) use task::{Assessment, Situation};
