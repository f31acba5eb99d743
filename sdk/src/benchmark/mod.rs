//! How long the networks and a closed-loop chunk take.

#[cfg(all(feature = "learned", feature = "physics"))]
mod closed_loop;
mod config;
mod error;
mod memory;
mod networks;
mod timing;

#[cfg(all(feature = "learned", feature = "physics"))]
pub use closed_loop::time_closed_loop;
pub use config::{BenchmarkConfig, DitBenchmark, VaeBenchmark};
pub use error::BenchmarkError;
pub use networks::time_networks;
pub use timing::{Timing, TimingSettings};
