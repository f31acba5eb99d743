//! Sinusoidal embedding of a scalar, cosines first.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`Timesteps`).
//! Differs: nothing.

use burn::tensor::{Tensor, TensorData};

/// Longest period of the embedding, in units of its input over two pi.
const MAX_PERIOD: f64 = 10_000.0;

/// Embeds scalars as cosines and then sines of geometrically falling frequencies.
///
/// # Shapes
/// - values: `[batch, frames]`
/// - output: `[batch, frames, d_model]`
///
/// # Panics
/// If `d_model` is odd.
pub fn sinusoidal_embedding(values: Tensor<2>, d_model: usize) -> Tensor<3> {
    assert!(
        d_model.is_multiple_of(2),
        "a sinusoidal embedding of {d_model} channels cannot be split in halves"
    );
    let half = d_model / 2;
    let frequencies: Vec<f32> = (0..half)
        .map(|index| (-MAX_PERIOD.ln() * index as f64 / half as f64).exp() as f32)
        .collect();
    let frequencies = Tensor::<3>::from_data(TensorData::new(frequencies, [1, 1, half]), &values.device());
    let phases = values.unsqueeze_dim::<3>(2) * frequencies;
    Tensor::cat(vec![phases.clone().cos(), phases.sin()], 2)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn zero_embeds_as_ones_then_zeros() {
        let embedding = sinusoidal_embedding(Tensor::zeros([1, 1], &Device::flex()), 6);
        let values: Vec<f32> = embedding.into_data().try_to_vec().expect("float32 data");
        assert_eq!(values, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]);
    }
}
