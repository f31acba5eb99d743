//! Networks and sampling put together: what a user calls.
//!
//! [`Predict`] is the action-conditioned world model: [`PredictConfig`] describes it, [`PredictNetworks`] are its
//! weights, and it implements [`WorldModel`](crate::WorldModel).

mod autoregressive;
mod chunk;
mod config;
mod error;

pub use autoregressive::Predict;
pub use chunk::{ChunkInput, ChunkOutput};
pub use config::{Feedback, NoiseSeed, PredictConfig, PredictNetworks};
pub use error::PipelineError;
