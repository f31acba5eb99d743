//! What rollouts say: success rates with intervals, agreement of worlds, fidelity of predictions, reports.
//!
//! A [`Suite`] plays policies in a [`World`](crate::rollout::World) and keeps a [`Journal`], so that a killed run goes
//! on where it was. [`PolicySuccess`] and [`WorldComparison`] say what came out.

mod comparison;
mod confidence;
mod correlation;
mod error;
#[cfg(feature = "learned")]
mod fidelity;
#[cfg(all(feature = "learned", feature = "physics"))]
mod fidelity_suite;
#[cfg(feature = "learned")]
mod image_error;
mod journal;
mod ranking;
#[cfg(all(feature = "learned", feature = "physics"))]
pub mod report;
mod success;
#[cfg(all(feature = "learned", feature = "physics"))]
mod suite;

#[cfg(all(test, feature = "flex", feature = "learned", feature = "physics"))]
mod tests;

pub use comparison::{PolicySuccess, WorldComparison};
pub use confidence::{Interval, Z_95, wilson_interval};
pub use correlation::pearson;
pub use error::EvaluationError;
#[cfg(feature = "learned")]
pub use fidelity::{ChunkFidelity, Fidelity, FidelitySettings, measure_fidelity};
#[cfg(all(feature = "learned", feature = "physics"))]
pub use fidelity_suite::{FIDELITY_FILE, FidelitySuite};
#[cfg(feature = "learned")]
pub use image_error::mean_psnr;
pub use journal::{EpisodeRecord, JOURNAL_FILE, Journal};
pub use ranking::mean_maximum_rank_violation;
pub use success::SuccessRate;
#[cfg(all(feature = "learned", feature = "physics"))]
pub use suite::{Suite, SuiteEvent};
