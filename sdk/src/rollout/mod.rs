//! Policies in worlds: whole episodes, many at a time.
//!
//! A [`World`] makes the envs, a [`RolloutRunner`] plays [`EpisodeRequest`]s in them. All episodes that are under way
//! step together: physics on several threads, learned worlds with one model call per chunk. What is played never
//! depends on how many play together.

mod error;
mod recorder;
mod replay;
mod request;
mod runner;
#[cfg(all(feature = "learned", feature = "physics"))]
mod world;

#[cfg(all(test, feature = "flex", feature = "learned", feature = "physics"))]
mod tests;

pub use error::RolloutError;
pub use recorder::Recorder;
pub use replay::{Replayed, replay};
pub use request::{EpisodeRequest, PlayedEpisode};
pub use runner::{PolicyFactory, RolloutEvent, RolloutRunner};
#[cfg(all(feature = "learned", feature = "physics"))]
pub use world::{LearnedParts, World};
