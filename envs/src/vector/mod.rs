//! Several envs stepped together.
//!
//! An [`EnvBatch`] says how: one after the other ([`SerialBatch`]), on several threads ([`ThreadedBatch`]) or, for
//! learned worlds, with one model call for all (`LearnedBatch`). A [`VectorEnv`] adds what happens when episodes end
//! at different times: see [`AutoresetMode`]. The way of stepping never changes an episode.

mod autoreset;
mod batch;
mod serial;
mod threaded;
mod vector_env;

pub use autoreset::AutoresetMode;
pub use batch::{EnvBatch, EpisodeStart};
#[cfg(feature = "learned")]
pub(crate) use batch::{check_count, in_batch};
pub use serial::SerialBatch;
pub use threaded::ThreadedBatch;
pub use vector_env::{VectorEnv, VectorReset, VectorStep};

#[cfg(test)]
mod tests;
