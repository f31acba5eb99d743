//! States of all layers, standardised and side by side.
//!
//! Source: `cosmos_predict2/_src/predict2/text_encoders/text_encoder.py@50369b8` (strategy `full_concat`).
//! Differs: half-precision states are standardised in float32 and rounded once.

use burn::tensor::{DType, Tensor};

use crate::layers::untracked_cast;

/// Added to the standard deviation.
const EPSILON: f64 = 1e-8;

/// Standardises every token of every layer and joins the layers' channels, the first layer first.
///
/// The standard deviation is the unbiased one.
///
/// # Shapes
/// - states: per layer `[batch, tokens, hidden_size]`
/// - output: `[batch, tokens, layers * hidden_size]`, the states' dtype
///
/// # Panics
/// If there is no state, or their shapes differ.
pub fn concat_standardized(states: &[Tensor<3>]) -> Tensor<3> {
    let standardized = states.iter().map(|state| standardize(state.clone()));
    Tensor::cat(standardized.collect(), 2)
}

fn standardize(state: Tensor<3>) -> Tensor<3> {
    let dtype = state.dtype();
    let state = untracked_cast(state, DType::F32);
    let (variance, mean) = state.clone().var_mean(2);
    untracked_cast((state - mean) / variance.sqrt().add_scalar(EPSILON), dtype)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn tokens_get_mean_zero_and_unbiased_deviation_one_layer_after_layer() {
        let device = Device::flex();
        let first = Tensor::<3>::from_data([[[1.0, 2.0, 3.0]]], &device);
        let second = Tensor::<3>::from_data([[[50.0, 10.0, 30.0]]], &device);
        let expected = Tensor::<3>::from_data([[[-1.0, 0.0, 1.0, 1.0, -1.0, 0.0]]], &device);
        let distance: f32 = (concat_standardized(&[first, second]) - expected)
            .abs()
            .max()
            .into_scalar();
        assert!(distance < 1e-6, "{distance}");
    }

    #[test]
    fn a_token_of_equal_channels_becomes_zeros() {
        let state = Tensor::<3>::full([1, 1, 4], 7.0, &Device::flex());
        let largest: f32 = concat_standardized(&[state]).abs().max().into_scalar();
        assert_eq!(largest, 0.0);
    }
}
