//! Networks and sampling put together: what a user calls.
//!
//! [`Predict`] is the action-conditioned world model: [`PredictConfig`] describes it, [`PredictNetworks`] are its
//! weights, and it implements [`WorldModel`](crate::WorldModel). [`sample_clip`] is one clip of any variant.

mod autoregressive;
mod chunk;
mod clip;
mod config;
mod error;

pub use autoregressive::Predict;
#[cfg(test)]
pub(crate) use autoregressive::tests::tiny_world;
pub use chunk::{ChunkInput, ChunkOutput};
pub use clip::{ClipInput, ClipOutput, sample_clip};
pub use config::{Feedback, NoiseSeed, PredictConfig, PredictNetworks};
pub use error::PipelineError;
