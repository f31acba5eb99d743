//! First-order flow sampler.
//!
//! Source: diffusers `FlowMatchEulerDiscreteScheduler` (behaviour).
//! Differs: the table of sigmas is made elsewhere.

use burn::tensor::Tensor;

use super::scheduler::Scheduler;
use super::sigmas::SigmaSchedule;

/// Moves along the velocity: `sample + (next sigma - sigma) * velocity`.
#[derive(Debug, Clone)]
pub struct Euler {
    schedule: SigmaSchedule,
    step: usize,
}

impl Euler {
    /// Starts at the first sigma.
    pub fn new(schedule: SigmaSchedule) -> Self {
        Self { schedule, step: 0 }
    }
}

impl Scheduler for Euler {
    fn schedule(&self) -> &SigmaSchedule {
        &self.schedule
    }

    fn step(&mut self, sample: Tensor<5>, velocity: Tensor<5>) -> Tensor<5> {
        let sigmas = &self.schedule.sigmas;
        assert!(self.step + 1 < sigmas.len(), "all {} steps are taken", sigmas.len() - 1);
        let change = sigmas[self.step + 1] - sigmas[self.step];
        self.step += 1;
        sample.add(velocity.mul_scalar(change))
    }
}
