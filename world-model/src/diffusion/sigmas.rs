//! Which noise levels a sampler visits.
//!
//! Source: `cosmos_predict2/_src/predict2/models/fm_solvers_unipc.py@50369b8` (`set_timesteps`); the diffusers tables
//! are those of its `UniPCMultistepScheduler` and `FlowMatchEulerDiscreteScheduler`.
//! Differs: everything is float64; one function per convention instead of flags.

use serde::{Deserialize, Serialize};

/// Training steps that integer timesteps count.
const TRAIN_STEPS: f64 = 1000.0;

/// Largest sigma before the shift: the float32 nearest to 0.999, as upstream stores it.
const SHIFT_SIGMA_MAX: f64 = 0.999f32 as f64;

/// What keeps the first sigma of diffusers' table below 1, where the log ratio is infinite.
const DIFFUSERS_FIRST_GAP: f64 = 1e-6;

/// Sigma range and curvature of the Karras table.
const KARRAS: (f64, f64, f64) = (0.01, 200.0, 7.0);

/// A rule that makes a table of sigmas from a number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigmaTable {
    /// NVIDIA's uniform table under a shift; all released models but one use it, with shift 5.
    Shift {
        /// Strength of the shift; 1 is none.
        shift: f64,
    },
    /// NVIDIA's Karras table: `num_steps + 1` evaluations; used by `2B/post-trained`.
    Karras,
    /// The Karras table as diffusers counts it: `num_steps` evaluations.
    KarrasDiffusers,
    /// The shifted table of diffusers' UniPC.
    ShiftDiffusers {
        /// Strength of the shift; 1 is none.
        shift: f64,
    },
    /// The table that diffusers' Euler scheduler makes by itself; it shifts the smallest sigma twice.
    EulerDiffusers {
        /// Strength of the shift; 1 is none.
        shift: f64,
    },
    /// Sigmas `shift(1 - i / num_steps)`, starting at 1; for Euler only.
    Uniform {
        /// Strength of the shift; 1 is none.
        shift: f64,
    },
}

/// The sigmas of one sampling run, and the time of each evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct SigmaSchedule {
    /// Falling noise levels, one per evaluation, then 0.
    pub sigmas: Vec<f64>,
    /// `1000 * sigma` of each evaluation, truncated.
    pub timesteps: Vec<i64>,
    /// `1000 * sigma` of each evaluation with its fraction, in the float32 arithmetic of diffusers.
    pub float_timesteps: Vec<f32>,
}

impl Default for SigmaTable {
    fn default() -> Self {
        Self::Shift { shift: 5.0 }
    }
}

impl SigmaTable {
    /// Makes the table for `num_steps` denoising steps; at least one.
    pub fn schedule(self, num_steps: usize) -> SigmaSchedule {
        let steps = num_steps.max(1);
        let sigmas = match self {
            Self::Shift { shift } => linspace(SHIFT_SIGMA_MAX, 0.0, steps + 1)
                .take(steps)
                .map(|sigma| shifted(sigma, shift))
                .collect(),
            Self::Karras => karras(steps + 1),
            Self::KarrasDiffusers => karras(steps),
            Self::ShiftDiffusers { shift } => {
                let table = linspace(1.0, 1.0 / TRAIN_STEPS, steps + 1).take(steps);
                table
                    .map(|sigma| shifted(sigma, shift).min(1.0 - DIFFUSERS_FIRST_GAP))
                    .collect()
            }
            Self::EulerDiffusers { shift } => {
                let smallest = shifted(1.0 / TRAIN_STEPS, shift);
                linspace(1.0, smallest, steps)
                    .map(|sigma| shifted(sigma, shift))
                    .collect()
            }
            Self::Uniform { shift } => return uniform(steps, shift),
        };
        SigmaSchedule::new(sigmas)
    }
}

impl SigmaSchedule {
    /// Takes falling sigmas, without the 0 at the end.
    pub fn new(mut sigmas: Vec<f64>) -> Self {
        let timesteps = sigmas.iter().map(|sigma| (sigma * TRAIN_STEPS) as i64).collect();
        let float_timesteps = sigmas.iter().map(|&sigma| sigma as f32 * TRAIN_STEPS as f32).collect();
        sigmas.push(0.0);
        Self {
            sigmas,
            timesteps,
            float_timesteps,
        }
    }

    /// Returns how often the network is evaluated.
    pub fn num_evaluations(&self) -> usize {
        self.timesteps.len()
    }
}

/// Makes the uniform table; diffusers shifts it in float32, which its timesteps show.
fn uniform(steps: usize, shift: f64) -> SigmaSchedule {
    let table = || linspace(1.0, 0.0, steps + 1).take(steps);
    let float_timesteps = table().map(|sigma| {
        let (sigma, shift) = (sigma as f32, shift as f32);
        shift * sigma / (1.0 + (shift - 1.0) * sigma) * TRAIN_STEPS as f32
    });
    SigmaSchedule {
        float_timesteps: float_timesteps.collect(),
        ..SigmaSchedule::new(table().map(|sigma| shifted(sigma, shift)).collect())
    }
}

/// Moves sigma towards 1: `shift * sigma / (1 + (shift - 1) * sigma)`.
fn shifted(sigma: f64, shift: f64) -> f64 {
    shift * sigma / (1.0 + (shift - 1.0) * sigma)
}

fn linspace(start: f64, end: f64, count: usize) -> impl Iterator<Item = f64> {
    let last = count.max(2) - 1;
    (0..count).map(move |index| start + (end - start) * (index as f64 / last as f64))
}

/// Karras sigmas of the variance-exploding kind, mapped to the flow by `sigma / (1 + sigma)`.
fn karras(count: usize) -> Vec<f64> {
    let (smallest, largest, rho) = KARRAS;
    linspace(largest.powf(1.0 / rho), smallest.powf(1.0 / rho), count)
        .map(|root| {
            let sigma = root.powf(rho);
            sigma / (1.0 + sigma)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_5_table_of_35_steps_has_the_published_timesteps() {
        let schedule = SigmaTable::default().schedule(35);
        let expected = [
            999, 993, 987, 981, 974, 967, 960, 952, 943, 935, 925, 915, 905, 894, 882, 869, 855, 840, 824, 807, 789,
            768, 746, 722, 695, 666, 633, 596, 555, 508, 454, 391, 318, 232, 128,
        ];
        assert_eq!(schedule.timesteps, expected);
        assert_eq!(schedule.sigmas.last(), Some(&0.0));
    }

    #[test]
    fn karras_table_of_35_steps_has_36_published_timesteps() {
        let expected = [
            995, 994, 993, 992, 990, 988, 986, 984, 981, 977, 973, 967, 960, 951, 941, 927, 910, 889, 863, 831, 791,
            742, 684, 618, 543, 462, 380, 301, 228, 166, 116, 77, 49, 30, 17, 9,
        ];
        assert_eq!(SigmaTable::Karras.schedule(35).timesteps, expected);
        assert_eq!(SigmaTable::KarrasDiffusers.schedule(36).timesteps, expected);
    }

    #[test]
    fn uniform_table_keeps_the_fractions_of_float32() {
        let schedule = SigmaTable::Uniform { shift: 5.0 }.schedule(4);
        assert_eq!(schedule.float_timesteps, [1000.0, 937.5, 833.333_3, 625.0]);
        assert_eq!(schedule.timesteps, [1000, 937, 833, 625]);
    }

    #[test]
    fn one_step_is_a_table_too() {
        for table in [
            SigmaTable::default(),
            SigmaTable::Karras,
            SigmaTable::EulerDiffusers { shift: 5.0 },
        ] {
            let sigmas = table.schedule(1).sigmas;
            assert!(sigmas.iter().all(|sigma| sigma.is_finite()), "{table:?}: {sigmas:?}");
        }
    }
}
