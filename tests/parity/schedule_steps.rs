//! Runs a scheduler on an analytic velocity and keeps every state.

use burn::tensor::Tensor;
use worldloop::world_model::diffusion::{SchedulerKind, SigmaSchedule};
use worldloop_tests::Array;

/// An analytic stand-in for a network, `a x + b sin(c x) + d time`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnalyticVelocity {
    pub(crate) linear: f64,
    pub(crate) sine: f64,
    pub(crate) frequency: f64,
    pub(crate) time: f64,
}

/// The states and velocities of one run.
pub(crate) struct Run {
    /// State after each step.
    pub(crate) samples: Vec<Array>,
    /// Velocity given to each step.
    pub(crate) velocities: Vec<Array>,
}

impl AnalyticVelocity {
    pub(crate) fn at(self, sample: &Tensor<5>, time: f64) -> Tensor<5> {
        let wave = sample.clone().mul_scalar(self.frequency).sin().mul_scalar(self.sine);
        (sample.clone().mul_scalar(self.linear) + wave).add_scalar(self.time * time)
    }

    /// Runs the whole schedule; `times` are given to the velocity, one per evaluation.
    pub(crate) fn run(
        self,
        kind: SchedulerKind,
        schedule: SigmaSchedule,
        start: Tensor<5>,
        times: impl IntoIterator<Item = f64>,
    ) -> Run {
        let evaluations = schedule.num_evaluations();
        let mut scheduler = kind.start(schedule);
        let mut sample = start;
        let mut run = Run {
            samples: Vec::new(),
            velocities: Vec::new(),
        };
        for time in times.into_iter().take(evaluations) {
            let velocity = self.at(&sample, time);
            run.velocities.push(Array::from_tensor(&velocity));
            sample = scheduler.step(sample, velocity);
            run.samples.push(Array::from_tensor(&sample));
        }
        run
    }
}
