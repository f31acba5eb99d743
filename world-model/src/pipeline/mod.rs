//! Networks and sampling put together: what a user calls.
//!
//! [`Predict`] is the action-conditioned world model: [`PredictConfig`] describes it, [`PredictNetworks`] are its
//! weights, and it implements [`WorldModel`](crate::WorldModel). [`sample_clip`] is one clip of any variant,
//! [`sample_clip_in_few_steps`] one of a distilled model.

mod autoregressive;
mod chunk;
mod clip;
mod config;
mod error;

pub use autoregressive::Predict;
pub use chunk::{ChunkInput, ChunkOutput};
pub use clip::{ClipInput, ClipOutput, sample_clip, sample_clip_in_few_steps};
pub use config::{Feedback, NoiseSeed, PredictConfig, PredictNetworks};
pub use error::PipelineError;
