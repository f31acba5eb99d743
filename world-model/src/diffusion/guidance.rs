//! Classifier-free guidance.
//!
//! Source: `cosmos_predict2/_src/predict2/models/video2world_model_rectified_flow.py@50369b8` and
//! `text2world_model_rectified_flow.py@50369b8`.
//! Differs: the evaluation without condition is skipped where it has no effect.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How two velocities are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuidanceFormula {
    /// `conditional + scale * (conditional - unconditional)`; scale 0 is no guidance. Video2World and its children.
    #[default]
    FromConditional,
    /// `unconditional + scale * (conditional - unconditional)`; scale 1 is no guidance. Text2World, multiview.
    FromUnconditional,
    /// As [`FromConditional`](Self::FromConditional) where the scale is above 1, and no guidance otherwise. diffusers.
    FromConditionalAboveOne,
}

impl GuidanceFormula {
    /// Returns whether `scale` leaves the conditional velocity as it is.
    pub fn is_neutral(self, scale: f64) -> bool {
        match self {
            Self::FromConditional => scale == 0.0,
            Self::FromUnconditional => scale == 1.0,
            Self::FromConditionalAboveOne => scale <= 1.0,
        }
    }

    /// Combines the two velocities.
    ///
    /// # Shapes
    /// - conditional, unconditional, output: the same
    pub fn combine<const D: usize>(self, conditional: Tensor<D>, unconditional: Tensor<D>, scale: f64) -> Tensor<D> {
        let base = match self {
            Self::FromConditional | Self::FromConditionalAboveOne => conditional.clone(),
            Self::FromUnconditional => unconditional.clone(),
        };
        base.add(conditional.sub(unconditional).mul_scalar(scale))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;

    #[test]
    fn each_formula_has_its_own_scale_without_effect() {
        let neutral = |formula: GuidanceFormula| [0.0, 0.5, 1.0, 1.5].map(|scale| formula.is_neutral(scale));
        assert_eq!(neutral(GuidanceFormula::FromConditional), [true, false, false, false]);
        assert_eq!(neutral(GuidanceFormula::FromUnconditional), [false, false, true, false]);
        assert_eq!(
            neutral(GuidanceFormula::FromConditionalAboveOne),
            [true, true, true, false]
        );
    }

    #[test]
    fn scale_7_weighs_the_condition_8_or_7_times() {
        let device = Device::flex();
        let conditional = Tensor::<1>::from_data([1.0], &device);
        let unconditional = Tensor::<1>::from_data([0.25], &device);
        for (formula, expected) in [
            (GuidanceFormula::FromConditional, 6.25),
            (GuidanceFormula::FromUnconditional, 5.5),
            (GuidanceFormula::FromConditionalAboveOne, 6.25),
        ] {
            let guided = formula.combine(conditional.clone(), unconditional.clone(), 7.0);
            let expected = Tensor::<1>::from_data([expected], &device);
            guided
                .into_data()
                .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
        }
    }
}
