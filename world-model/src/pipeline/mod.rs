//! Networks and sampling put together: what a user calls.
//!
//! [`Predict`] is the action-conditioned world model: [`PredictConfig`] describes it, [`PredictNetworks`] are its
//! weights, and it implements [`WorldModel`](crate::WorldModel). [`sample_clip`] is one clip of any variant,
//! [`sample_clip_in_few_steps`] one of a distilled model, a [`VideoStream`] one of a causal model, frame after frame. A [`CheckpointFolder`] finds the networks of a released
//! checkpoint, and a [`ReleasedCheckpoint`] is loaded from it; [`RandomCheckpoint`] writes one to try things with.

mod action_reference;
mod autoregressive;
mod checkpoint_folder;
mod chunk;
mod clip;
mod clip_views;
mod config;
mod error;
mod random_checkpoint;
mod released;
mod released_error;
#[cfg(test)]
mod released_tests;
mod stream;

pub use action_reference::ActionReference;
pub use autoregressive::Predict;
#[cfg(test)]
pub(crate) use autoregressive::tests::tiny_world;
pub use checkpoint_folder::{CheckpointFolder, FoundTransformer};
pub use chunk::{ChunkInput, ChunkOutput};
pub use clip::{ClipInput, ClipOutput, sample_clip, sample_clip_in_few_steps};
pub use config::{Feedback, NoiseSeed, PredictConfig, PredictNetworks};
pub use error::PipelineError;
pub use random_checkpoint::{RANDOM_MARK, RandomCheckpoint};
pub use released::{ActionRolloutOptions, ReleasedCheckpoint};
pub use released_error::ReleasedError;
pub use stream::{LatentStream, VideoStream};
