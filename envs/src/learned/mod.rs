//! A world model as an env.
//!
//! [`LearnedWorld`] joins a [`WorldModel`](worldloop_world_model::WorldModel), a
//! [`Judge`](worldloop_world_model::judge::Judge) and a source of [`InitialStates`]. [`LearnedEnv`] plays one episode
//! in it, [`LearnedBatch`] many with one model call for all.
//!
//! # Spaces
//!
//! | | |
//! |---|---|
//! | images | one per camera of the model, RGB, in the model's size |
//! | proprioception | none |
//! | action | the model's dimensions, in the bounds and units it was trained with |
//!
//! # Chunks
//!
//! The model predicts whole chunks. In every episode the chunk boundaries lie at each `chunk_length`-th action since the
//! reset, whatever the pattern of calls: the state moves on only there, and the noise of a chunk depends on the seed and
//! on the number of the chunk. Actions since the last boundary are kept; a call with further ones predicts from the
//! boundary with all of them, and answers with the new frames. So single steps, chunks and ragged chunks have the same
//! boundaries, every action has exactly one frame, and what goes from chunk to chunk stays in floating point: only the
//! observation is rounded to 8 bits.
//!
//! # Episode end
//!
//! `terminated` when the judge's success probability reaches the threshold in enough consecutive frames; `truncated` at
//! the time limit, if there is one, or when a [`TruncationGuard`] no longer trusts the prediction. The reward is the gain
//! in the judge's progress, plus 1 on success, as in the physics world.
//!
//! # Limitations
//!
//! - A model whose attention runs both ways in time sees all actions of a call at once. With such a model a frame may
//!   differ slightly with the actions that were known after it, so single steps and chunks show slightly different
//!   frames within a chunk. The states at the boundaries do not differ: they are always predicted from whole chunks.
//! - Single steps cost one model call each, chunks one per `chunk_length` actions.
//! - There is neither proprioception nor privileged state, so scripted experts can't act here.

mod action_contract;
mod batch;
mod config;
mod env;
mod episode;
mod frame_image;
mod initial_state;
mod scripted;
mod snapshot;
mod truncation;
mod world;

#[cfg(test)]
mod tests;

pub use action_contract::{action_space_of, check_action_contract, model_actions_of};
pub use batch::LearnedBatch;
pub use config::{LearnedConfig, LearnedTask};
pub use env::LearnedEnv;
pub use frame_image::{frame_from_image, image_from_frame};
pub use initial_state::{FixedInitialStates, InitialStates, fit_image};
pub use scripted::{ScriptedJudge, ScriptedWorldModel};
pub use snapshot::EnvSnapshot;
pub use truncation::{FrameChangeGuard, StepEvidence, TruncationGuard};
pub use world::LearnedWorld;
