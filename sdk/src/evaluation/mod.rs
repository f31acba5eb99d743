//! What rollouts say: success rates with intervals, agreement of worlds, fidelity of predictions, reports.

mod confidence;
mod correlation;
mod ranking;

pub use confidence::{Interval, Z_95, wilson_interval};
pub use correlation::pearson;
pub use ranking::mean_maximum_rank_violation;
