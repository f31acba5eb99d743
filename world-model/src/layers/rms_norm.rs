//! Root-mean-square norm with a single rounding at the end.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (the norms of the transformer engine).
//! Differs: nothing. Burn's own `RmsNorm` rounds to the input's dtype before it multiplies by the weight.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::{DType, Device, Tensor, assert_shape};

use super::untracked_cast;

/// Configuration of an [`RmsNorm`].
#[derive(Config, Debug)]
pub struct RmsNormConfig {
    /// Size of the normalised axis.
    pub d_model: usize,
    /// Added to the mean square.
    #[config(default = 1e-6)]
    pub epsilon: f64,
}

/// Divides by the root mean square of the last axis and multiplies by a weight.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Factor per channel, `[d_model]`.
    pub weight: Param<Tensor<1>>,
    /// Added to the mean square.
    pub epsilon: f64,
}

impl RmsNormConfig {
    /// Initialises the norm with weights of one.
    pub fn init(&self, device: &Device) -> RmsNorm {
        RmsNorm {
            weight: Initializer::Ones.init([self.d_model], device),
            epsilon: self.epsilon,
        }
    }
}

impl RmsNorm {
    /// Normalises the last axis, in float32 inside.
    ///
    /// # Shapes
    /// - input: `[..., d_model]`
    /// - output: `[..., d_model]`, the input's dtype
    ///
    /// # Panics
    /// If the last axis of `input` is not `d_model`.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [d_model] = self.weight.dims();
        assert_shape!(input, [.., d_model]);
        let dtype = input.dtype();
        untracked_cast(self.forward_f32(input), dtype)
    }

    /// Normalises the last axis and keeps the result in float32.
    ///
    /// # Shapes
    /// - input: `[..., d_model]`
    /// - output: `[..., d_model]`, float32
    pub fn forward_f32<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let input = untracked_cast(input, DType::F32);
        let weight = untracked_cast(self.weight.val(), DType::F32);
        let scale = input
            .clone()
            .square()
            .mean_dim(D - 1)
            .add_scalar(self.epsilon)
            .sqrt()
            .recip();
        input * scale * weight.unsqueeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_equal_values_become_ones() {
        let device = Device::flex();
        let norm = RmsNormConfig::new(4).init(&device);
        let output = norm.forward(Tensor::<2>::full([2, 4], -3.0, &device));
        let distance: f32 = (output + 1.0).abs().max().into_scalar();
        assert!(distance < 1e-6);
    }

    #[test]
    #[should_panic(expected = "assert_shape!(input, [.., d_model]): axis 1 expected 3, got 4")]
    fn input_must_have_d_model_channels() {
        let device = Device::flex();
        let _ = RmsNormConfig::new(3)
            .init(&device)
            .forward(Tensor::<2>::zeros([2, 4], &device));
    }
}
