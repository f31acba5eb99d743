//! The `Scheduler` trait: from one noise level to the next.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::euler::Euler;
use super::sigmas::SigmaSchedule;
use super::unipc::UniPc;

/// Moves a sample down a table of sigmas, one network evaluation at a time.
pub trait Scheduler: std::fmt::Debug + Send {
    /// Returns the table.
    fn schedule(&self) -> &SigmaSchedule;

    /// Moves the sample to the next sigma.
    ///
    /// # Shapes
    /// - sample, velocity, output: `[batch, channels, frames, height, width]`
    ///
    /// # Panics
    /// If there is no sigma left.
    fn step(&mut self, sample: Tensor<5>, velocity: Tensor<5>) -> Tensor<5>;
}

/// Which scheduler to make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerKind {
    /// Second-order predictor-corrector; what the released pipelines use.
    #[default]
    Unipc,
    /// First-order steps.
    Euler,
}

impl SchedulerKind {
    /// Makes a scheduler at the start of `schedule`.
    pub fn start(self, schedule: SigmaSchedule) -> Box<dyn Scheduler> {
        match self {
            Self::Unipc => Box::new(UniPc::new(schedule)),
            Self::Euler => Box::new(Euler::new(schedule)),
        }
    }
}
