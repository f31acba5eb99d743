//! Few-step sampler of the distilled models.
//!
//! Source: `cosmos_transfer2/_src/interactive/methods/cosmos2_interactive_model.py` and
//! `_src/predict2/modules/denoiser_scaling.py` (`RectifiedFlow_sCMWrapper`) of cosmos-transfer2.5@2ff49d0.
//! Differs: rounding of the time to bfloat16 is a choice.

use std::f64::consts::FRAC_PI_2;

use burn::tensor::{DType, Tensor};
use half::bf16;

/// How sample and network output combine at one angle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrigFlowCoefficients {
    /// Factor of the sample in the clean sample.
    pub skip: f64,
    /// Factor of the network output in the clean sample.
    pub out: f64,
    /// Factor of the sample in the network input.
    pub input: f64,
    /// Time given to the network.
    pub noise: f64,
}

/// What one step of the loop made.
#[derive(Debug, Clone)]
pub struct TrigFlowStep {
    /// Clean sample predicted in this step, float64.
    pub clean: Tensor<5>,
    /// Sample after the step, float64.
    pub sample: Tensor<5>,
}

/// Angles from noise, at a right angle, to clean, at zero; the last angle is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct TrigFlow {
    /// Falling angles in radians, one per evaluation.
    pub angles: Vec<f64>,
    /// Whether the time is rounded to bfloat16 before the network sees it, as the released loop does.
    pub round_time: bool,
}

impl TrigFlow {
    /// Returns the four angles of the released students.
    pub fn four_steps() -> Self {
        let angles = vec![FRAC_PI_2, 15f64.atan(), 5f64.atan(), (5.0 / 3.0f64).atan()];
        Self {
            angles,
            round_time: true,
        }
    }

    /// Returns the coefficients of the wrapper around a rectified-flow network.
    pub fn coefficients(angle: f64) -> TrigFlowCoefficients {
        let (sine, cosine) = angle.sin_cos();
        let time = sine / (cosine + sine);
        let scale = 1.0 / (cosine + sine);
        TrigFlowCoefficients {
            skip: scale,
            out: -time,
            input: scale,
            noise: time,
        }
    }

    /// Runs the loop from `noise`, which is mixed in again at every step.
    ///
    /// `network` gets the scaled sample in float32 and the time.
    ///
    /// # Shapes
    /// - noise: `[batch, channels, frames, height, width]`
    pub fn sample(&self, noise: Tensor<5>, mut network: impl FnMut(Tensor<5>, f64) -> Tensor<5>) -> Vec<TrigFlowStep> {
        let noise = noise.cast(DType::F64);
        let mut sample = noise.clone();
        let mut steps = Vec::with_capacity(self.angles.len());
        for (index, &angle) in self.angles.iter().enumerate() {
            let factors = Self::coefficients(angle);
            let time = if self.round_time {
                bf16::from_f64(factors.noise).to_f64()
            } else {
                factors.noise
            };
            let output = network(sample.clone().mul_scalar(factors.input).cast(DType::F32), time).cast(DType::F64);
            let clean = sample.mul_scalar(factors.skip).add(output.mul_scalar(factors.out));
            sample = match self.angles.get(index + 1) {
                Some(next) => clean
                    .clone()
                    .mul_scalar(next.cos())
                    .add(noise.clone().mul_scalar(next.sin())),
                None => clean.clone(),
            };
            steps.push(TrigFlowStep {
                clean,
                sample: sample.clone(),
            });
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_steps_have_the_published_times() {
        let times = TrigFlow::four_steps()
            .angles
            .into_iter()
            .map(|angle| TrigFlow::coefficients(angle).noise);
        for (found, expected) in times.zip([1.0, 0.9375, 5.0 / 6.0, 0.625]) {
            assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
        }
    }
}
