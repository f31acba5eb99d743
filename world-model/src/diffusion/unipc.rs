//! Second-order predictor-corrector for flows.
//!
//! Source: `cosmos_predict2/_src/predict2/models/fm_solvers_unipc.py@50369b8` (`FlowUniPCMultistepScheduler` with
//! order 2, `bh2`, clean-sample prediction and lower order at the end).
//! Differs: scalars are float64; options that no released model uses are left out.

use burn::tensor::Tensor;

use super::flow::clean_from_velocity;
use super::scheduler::Scheduler;
use super::sigmas::SigmaSchedule;

/// UniPC of order 2.
///
/// The history holds clean-sample predictions made from uncorrected samples, so one network evaluation per step is
/// enough. The result of the last step is the last clean-sample prediction.
#[derive(Debug, Clone)]
pub struct UniPc {
    schedule: SigmaSchedule,
    step: usize,
    /// Latest clean-sample predictions, newest last; at most two.
    history: Vec<Tensor<5>>,
    /// What the last prediction started from.
    previous: Option<Predicted>,
}

/// Start and order of a prediction.
#[derive(Debug, Clone)]
struct Predicted {
    sample: Tensor<5>,
    order: usize,
}

/// Scalars of one interval, from sigma `from` to sigma `to`.
#[derive(Debug, Clone, Copy)]
struct Interval {
    /// Factor of the sample.
    keep: f64,
    /// Factor of the latest clean sample.
    pull: f64,
    /// Log-ratio step.
    step: f64,
}

impl UniPc {
    /// Starts at the first sigma.
    pub fn new(schedule: SigmaSchedule) -> Self {
        Self {
            schedule,
            step: 0,
            history: Vec::new(),
            previous: None,
        }
    }

    /// Corrects the sample at the current sigma with the clean sample just predicted there.
    fn correct(&self, sample: Tensor<5>, clean: &Tensor<5>) -> Tensor<5> {
        let (Some(previous), Some(last)) = (&self.previous, self.history.last()) else {
            return sample;
        };
        let interval = self.interval(self.step - 1);
        let newest = clean.clone().sub(last.clone());
        let carried = interval.carry(previous.sample.clone(), last.clone());
        if previous.order == 1 {
            return carried.add(newest.mul_scalar(0.5 * interval.pull));
        }
        let ratio = self.log_ratio_step(self.step - 2) / interval.step;
        let (weight_older, weight_newest) = corrector_weights(interval.step, ratio);
        let older = self.history[0].clone().sub(last.clone()).div_scalar(ratio);
        let correction = older.mul_scalar(weight_older).add(newest.mul_scalar(weight_newest));
        carried.add(correction.mul_scalar(interval.pull))
    }

    /// Predicts the sample at the next sigma.
    fn predict(&self, sample: Tensor<5>, order: usize) -> Tensor<5> {
        let interval = self.interval(self.step);
        let clean = &self.history[self.history.len() - 1];
        let carried = interval.carry(sample, clean.clone());
        if order == 1 {
            return carried;
        }
        let ratio = self.log_ratio_step(self.step - 1) / interval.step;
        let slope = self.history[0].clone().sub(clean.clone()).div_scalar(ratio);
        carried.add(slope.mul_scalar(0.5 * interval.pull))
    }

    fn interval(&self, step: usize) -> Interval {
        let (from, to) = (self.schedule.sigmas[step], self.schedule.sigmas[step + 1]);
        let length = log_ratio(to) - log_ratio(from);
        Interval {
            keep: to / from,
            pull: -(1.0 - to) * (-length).exp_m1(),
            step: length,
        }
    }

    /// Returns the log ratio at the start of interval `step` less that at its end: a negative number.
    fn log_ratio_step(&self, step: usize) -> f64 {
        let (from, to) = (self.schedule.sigmas[step], self.schedule.sigmas[step + 1]);
        log_ratio(from) - log_ratio(to)
    }
}

impl Interval {
    /// Moves a sample through the interval as if the clean sample stayed the same.
    fn carry(&self, sample: Tensor<5>, clean: Tensor<5>) -> Tensor<5> {
        sample.mul_scalar(self.keep).add(clean.mul_scalar(self.pull))
    }
}

impl Scheduler for UniPc {
    fn schedule(&self) -> &SigmaSchedule {
        &self.schedule
    }

    fn step(&mut self, sample: Tensor<5>, velocity: Tensor<5>) -> Tensor<5> {
        let steps = self.schedule.num_evaluations();
        assert!(self.step < steps, "all {steps} steps are taken");
        let clean = clean_from_velocity(sample.clone(), velocity, self.schedule.sigmas[self.step]);
        let left = steps - self.step;
        if left == 1 {
            self.step += 1;
            return clean;
        }
        let corrected = self.correct(sample, &clean);
        self.history.push(clean);
        if self.history.len() > 2 {
            self.history.remove(0);
        }
        let order = left.min(self.step + 1).min(2);
        let next = self.predict(corrected.clone(), order);
        self.previous = Some(Predicted {
            sample: corrected,
            order,
        });
        self.step += 1;
        next
    }
}

/// Returns `ln((1 - sigma) / sigma)`, half the log of the signal-to-noise ratio up to a factor.
fn log_ratio(sigma: f64) -> f64 {
    (1.0 - sigma).ln() - sigma.ln()
}

/// Returns the weights of the older and the newest difference in the corrector of order 2.
fn corrector_weights(step: f64, ratio: f64) -> (f64, f64) {
    let negative = -step;
    let whole = negative.exp_m1();
    let first = whole / negative - 1.0;
    let second = first / negative - 0.5;
    let (sum, moment) = (first / whole, 2.0 * second / whole);
    let older = (moment - sum) / (ratio - 1.0);
    (older, sum - older)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData};

    use super::super::sigmas::SigmaTable;
    use super::*;

    fn solve(table: SigmaTable, steps: usize) -> f64 {
        let device = Device::flex();
        let mut scheduler = UniPc::new(table.schedule(steps));
        let mut sample = Tensor::<5>::from_data(TensorData::new(vec![1.0f64], [1, 1, 1, 1, 1]), (&device, DType::F64));
        for step in 0..scheduler.schedule().num_evaluations() {
            let sigma = scheduler.schedule().sigmas[step];
            let velocity = sample
                .clone()
                .tanh()
                .sub(sample.clone().mul_scalar(sigma))
                .add_scalar(0.3);
            sample = scheduler.step(sample, velocity);
        }
        sample.into_data().try_to_vec::<f64>().expect("values are float64")[0]
    }

    #[test]
    fn scalar_equation_gives_the_published_values() {
        let shift = SigmaTable::default();
        for (table, steps, expected) in [
            (shift, 4, 0.6333983007810564),
            (shift, 10, 0.5083958256062158),
            (shift, 35, 0.4863217769897228),
            (SigmaTable::Karras, 35, 0.488429212142555),
        ] {
            let found = solve(table, steps);
            assert!(
                (found - expected).abs() < 1e-12,
                "{table:?} {steps}: {found} instead of {expected}"
            );
        }
    }
}
