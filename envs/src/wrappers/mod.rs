//! Parts that change one aspect of an env and leave the rest alone.
//!
//! A [`Wrapper`] is put around any [`Env`](crate::Env), boxed or not; the result is an env again:
//!
//! ```
//! use worldloop_envs::Env;
//! use worldloop_envs::wrappers::{ClipAction, TimeLimit, WrapEnv};
//! # fn example(env: Box<dyn Env>) -> Result<(), worldloop_envs::EnvError> {
//! let mut env = env.wrap(ClipAction)?.wrap(TimeLimit::new(60))?;
//! env.reset(Some(7), &Default::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! Chunks stay whole on their way through, so that a learned env under any number of wrappers still answers a
//! chunk with one model call.

mod clip_action;
mod frame_stack;
mod order_enforcing;
mod record_episode;
mod record_statistics;
mod rescale_action;
mod time_limit;
mod wrapper;

pub use clip_action::ClipAction;
pub use frame_stack::FrameStack;
pub use order_enforcing::OrderEnforcing;
pub use record_episode::{EpisodeSink, RecordEpisode, RecordedEpisode, RecordedStep};
pub use record_statistics::{EpisodeStatistics, EpisodeSummary};
pub use rescale_action::RescaleAction;
pub use time_limit::TimeLimit;
pub use wrapper::{WrapEnv, Wrapped, Wrapper};

#[cfg(test)]
mod tests;
