//! Few-step sampler of the distilled models.
//!
//! Source: `cosmos_transfer2/_src/interactive/methods/cosmos2_interactive_model.py` and
//! `_src/predict2/modules/denoiser_scaling.py` (`RectifiedFlow_sCMWrapper`) of cosmos-transfer2.5@2ff49d0.
//! Differs: what is rounded to bfloat16 is a choice.

use std::f64::consts::FRAC_PI_2;
use std::ops::ControlFlow;

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
    /// Clean sample predicted in this step, float64 where the device has it.
    pub clean: Tensor<5>,
    /// Sample after the step, of the same type.
    pub sample: Tensor<5>,
}

/// What a loop rounds to bfloat16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrigFlowRounding {
    /// Nothing.
    Exact,
    /// The time that the network sees, as the released loop over whole clips does.
    Time,
    /// Angles, and every coefficient computed from them, as the released loop over single frames does.
    Coefficients,
}

/// Angles from noise, at a right angle, to clean, at zero; the last angle is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct TrigFlow {
    /// Falling angles in radians, one per evaluation.
    pub angles: Vec<f64>,
    /// What is rounded to bfloat16.
    pub rounding: TrigFlowRounding,
}

impl TrigFlow {
    /// Returns the four angles of the released students.
    pub fn four_steps() -> Self {
        let angles = vec![FRAC_PI_2, 15f64.atan(), 5f64.atan(), (5.0 / 3.0f64).atan()];
        Self {
            angles,
            rounding: TrigFlowRounding::Time,
        }
    }

    /// Returns the same four angles, rounded as the released loop over single latent frames does.
    pub fn four_steps_by_frame() -> Self {
        Self {
            rounding: TrigFlowRounding::Coefficients,
            ..Self::four_steps()
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

    /// Returns the coefficients at an angle as this loop rounds them.
    fn rounded_coefficients(&self, angle: f64) -> TrigFlowCoefficients {
        let exact = Self::coefficients(angle);
        match self.rounding {
            TrigFlowRounding::Exact => exact,
            TrigFlowRounding::Time => TrigFlowCoefficients {
                noise: to_bf16(exact.noise),
                ..exact
            },
            TrigFlowRounding::Coefficients => {
                let exact = Self::coefficients(to_bf16(angle));
                TrigFlowCoefficients {
                    skip: to_bf16(exact.skip),
                    out: to_bf16(exact.out),
                    input: to_bf16(exact.input),
                    noise: to_bf16(exact.noise),
                }
            }
        }
    }

    /// Returns the factors of clean sample and noise at an angle.
    fn mixture(&self, angle: f64) -> [f64; 2] {
        match self.rounding {
            TrigFlowRounding::Exact | TrigFlowRounding::Time => [angle.cos(), angle.sin()],
            TrigFlowRounding::Coefficients => {
                let angle = to_bf16(angle);
                [to_bf16(angle.cos()), to_bf16(angle.sin())]
            }
        }
    }

    /// Runs the loop from `noise`, which is mixed in again at every step.
    ///
    /// `network` gets the scaled sample in float32 and the time; the rest is computed in float64, on devices without it in
    /// float32. Where `progress` breaks before the last step, the work ends with nothing.
    ///
    /// # Shapes
    /// - noise: `[batch, channels, frames, height, width]`
    pub fn sample(
        &self,
        noise: Tensor<5>,
        mut network: impl FnMut(Tensor<5>, f64) -> Tensor<5>,
        mut progress: impl FnMut() -> ControlFlow<()>,
    ) -> Option<Vec<TrigFlowStep>> {
        let wide = match noise.device().supports_dtype(DType::F64) {
            true => DType::F64,
            false => DType::F32,
        };
        let noise = noise.cast(wide);
        let mut sample = noise.clone();
        let mut steps = Vec::with_capacity(self.angles.len());
        for (index, &angle) in self.angles.iter().enumerate() {
            let factors = self.rounded_coefficients(angle);
            let scaled = sample.clone().mul_scalar(factors.input).cast(DType::F32);
            let output = network(scaled, factors.noise).cast(wide);
            let clean = sample.mul_scalar(factors.skip).add(output.mul_scalar(factors.out));
            sample = match self.angles.get(index + 1) {
                Some(next) => {
                    let [of_clean, of_noise] = self.mixture(*next);
                    clean
                        .clone()
                        .mul_scalar(of_clean)
                        .add(noise.clone().mul_scalar(of_noise))
                }
                None => clean.clone(),
            };
            steps.push(TrigFlowStep {
                clean,
                sample: sample.clone(),
            });
            if progress().is_break() && steps.len() < self.angles.len() {
                return None;
            }
        }
        Some(steps)
    }
}

fn to_bf16(value: f64) -> f64 {
    bf16::from_f64(value).to_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_angles_have_the_times_of_the_released_loop_over_frames() {
        let flow = TrigFlow::four_steps_by_frame();
        let times: Vec<f64> = flow
            .angles
            .iter()
            .map(|angle| flow.rounded_coefficients(*angle).noise)
            .collect();
        assert_eq!(times, [1.0, 0.94140625, 0.8359375, 0.625]);
    }

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
