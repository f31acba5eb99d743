//! Root-mean-square norm with a single rounding at the end.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (the norms of the transformer engine).
//! Differs: nothing. Burn's own `RmsNorm` rounds to the input's dtype before it multiplies by the weight.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::{DType, Device, Tensor, assert_shape};

use super::{RotaryTable, untracked_cast};

/// Configuration of an [`RmsNorm`].
#[derive(Config, Debug)]
pub struct RmsNormConfig {
    /// Size of the normalised axis.
    pub d_model: usize,
    /// Added to the mean square.
    #[config(default = 1e-6)]
    pub epsilon: f64,
    /// Whether to round before the weight too, as [`RmsNorm::forward_rounding_first`] does.
    #[config(default = false)]
    pub rounds_first: bool,
}

/// Divides by the root mean square of the last axis and multiplies by a weight.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Factor per channel, `[d_model]`.
    pub weight: Param<Tensor<1>>,
    /// Added to the mean square.
    pub epsilon: f64,
    /// Whether to round before the weight too.
    pub rounds_first: bool,
}

impl RmsNormConfig {
    /// Initialises the norm with weights of one.
    pub fn init(&self, device: &Device) -> RmsNorm {
        RmsNorm {
            weight: Initializer::Ones.init([self.d_model], device),
            epsilon: self.epsilon,
            rounds_first: self.rounds_first,
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
        if self.rounds_first {
            return self.forward_rounding_first(input);
        }
        let dtype = input.dtype();
        untracked_cast(self.forward_f32(input), dtype)
    }

    /// Normalises every head, and rotates it where a table is given.
    ///
    /// # Shapes
    /// - heads: `[batch, tokens, heads, d_model]`
    /// - rope: `tokens` tokens
    /// - output: `[batch, tokens, heads, d_model]`, the input's dtype
    ///
    /// # Panics
    /// If the heads are not `d_model` wide, or the table is of another number of tokens.
    pub fn forward_heads(&self, heads: Tensor<4>, rope: Option<&RotaryTable>) -> Tensor<4> {
        #[cfg(feature = "flex")]
        if super::fused::runs_on(&heads) && (!self.rounds_first || heads.dtype() == DType::F32) {
            let [d_model] = self.weight.dims();
            assert_shape!(heads, [_, _, _, d_model]);
            let epsilon = self.epsilon as f32;
            return match rope {
                None => super::fused::norm(heads, self.weight.val(), epsilon),
                Some(table) => {
                    let tokens = table.tokens();
                    assert_shape!(heads, [_, tokens, _, d_model]);
                    super::fused::norm_rotate(heads, self.weight.val(), [table.cos(), table.sin()], epsilon)
                }
            };
        }
        let normed = self.forward(heads);
        match rope {
            None => normed,
            Some(table) => table.apply(normed),
        }
    }

    /// Normalises the last axis and keeps the result in float32.
    ///
    /// # Shapes
    /// - input: `[..., d_model]`
    /// - output: `[..., d_model]`, float32
    pub fn forward_f32<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let weight = untracked_cast(self.weight.val(), DType::F32);
        self.normalize(input) * weight.unsqueeze()
    }

    /// Normalises the last axis in float32, rounds to the input's dtype, and multiplies by the weight in that dtype.
    ///
    /// So do language models of the Llama family; in float32 it is [`forward`](Self::forward).
    ///
    /// # Shapes
    /// - input: `[..., d_model]`
    /// - output: `[..., d_model]`, the input's dtype
    ///
    /// # Panics
    /// If the last axis of `input` is not `d_model`.
    pub fn forward_rounding_first<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [d_model] = self.weight.dims();
        assert_shape!(input, [.., d_model]);
        let dtype = input.dtype();
        let weight = untracked_cast(self.weight.val(), dtype);
        untracked_cast(self.normalize(input), dtype) * weight.unsqueeze()
    }

    fn normalize<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let input = untracked_cast(input, DType::F32);
        let scale = input
            .clone()
            .square()
            .mean_dim(D - 1)
            .add_scalar(self.epsilon)
            .sqrt()
            .recip();
        input * scale
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

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
    fn rounding_first_multiplies_values_of_the_inputs_dtype() {
        let device = Device::flex();
        let mut norm = RmsNormConfig::new(2).init(&device);
        norm.weight = norm.weight.map(|weight| weight * 1.01);
        let input = Tensor::<2>::from_data([[0.3, 1.0]], (&device, DType::F32));
        assert_eq!(
            norm.forward_rounding_first(input.clone()).to_data(),
            norm.forward(input.clone()).to_data()
        );
        let half = input.cast(DType::BF16);
        let rounded = norm.normalize(half.clone()).cast(DType::BF16);
        let expected = rounded * norm.weight.val().cast(DType::BF16).unsqueeze();
        let output = norm.forward_rounding_first(half);
        assert_eq!(output.dtype(), DType::BF16);
        assert_eq!(output.to_data(), expected.to_data());
    }

    #[test]
    #[should_panic(expected = "assert_shape!(input, [.., d_model]): axis 1 expected 3, got 4")]
    fn input_must_have_d_model_channels() {
        let device = Device::flex();
        let _ = RmsNormConfig::new(3)
            .init(&device)
            .forward(Tensor::<2>::zeros([2, 4], &device));
    }

    #[test]
    fn normed_and_rotated_heads_are_those_of_the_two_steps() {
        let device = Device::flex().autodiff();
        let mut norm = RmsNormConfig::new(8).init(&device);
        norm.weight = norm
            .weight
            .map(|weight| weight.random_like(Distribution::Default).require_grad());
        let phases: Vec<f64> = (0..5 * 4).map(|index| f64::from(index) * 0.3).collect();
        let table = RotaryTable::from_phases(&phases, 4, &device);
        let heads = Tensor::<4>::random([2, 5, 3, 8], Distribution::Default, &device).require_grad();
        for rope in [None, Some(&table)] {
            let normed = norm.forward(heads.clone());
            let steps = rope.map_or(normed.clone(), |table| table.apply(normed));
            let at_once = norm.forward_heads(heads.clone(), rope);
            let distance: f32 = (steps.clone() - at_once.clone()).abs().max().into_scalar();
            assert!(distance < 1e-6, "{distance}");
            let weight = Tensor::<4>::random([2, 5, 3, 8], Distribution::Default, &device);
            let (steps, at_once) = (
                (steps * weight.clone()).sum().backward(),
                (at_once * weight).sum().backward(),
            );
            let distance: f32 = (heads.grad(&steps).expect("asked for") - heads.grad(&at_once).expect("asked for"))
                .abs()
                .max()
                .into_scalar();
            assert!(distance < 1e-5, "{distance}");
            let weight = norm.weight.val();
            let distance: f32 = (weight.grad(&steps).expect("asked for") - weight.grad(&at_once).expect("asked for"))
                .abs()
                .max()
                .into_scalar();
            assert!(distance < 1e-5, "{distance}");
        }
    }
}
