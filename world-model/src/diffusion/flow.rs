//! Noise, velocity and clean latents: the conversions of rectified flow.
//!
//! Source: `cosmos_predict2/_src/predict2/schedulers/rectified_flow.py@50369b8`.
//! Differs: nothing.

use burn::tensor::Tensor;

/// Mixes clean latents and noise: `(1 - sigma) * clean + sigma * noise`.
///
/// # Shapes
/// - clean, noise, output: the same
/// - sigma: broadcast against them, for example `[batch, 1, 1, 1, 1]`
pub fn add_noise<const D: usize>(clean: Tensor<D>, noise: Tensor<D>, sigma: Tensor<D>) -> Tensor<D> {
    let change = noise.sub(clean.clone()).mul(sigma);
    clean.add(change)
}

/// Returns the velocity that carries clean latents to noise: `noise - clean`.
///
/// # Shapes
/// - clean, noise, output: the same
pub fn velocity<const D: usize>(clean: Tensor<D>, noise: Tensor<D>) -> Tensor<D> {
    noise.sub(clean)
}

/// Returns the clean latents that a sample and its velocity imply: `sample - sigma * velocity`.
///
/// # Shapes
/// - sample, velocity, output: the same
pub fn clean_from_velocity<const D: usize>(sample: Tensor<D>, velocity: Tensor<D>, sigma: f64) -> Tensor<D> {
    sample.sub(velocity.mul_scalar(sigma))
}

/// Returns the noise that a sample and its velocity imply: `sample + (1 - sigma) * velocity`.
///
/// # Shapes
/// - sample, velocity, output: the same
pub fn noise_from_velocity<const D: usize>(sample: Tensor<D>, velocity: Tensor<D>, sigma: f64) -> Tensor<D> {
    sample.add(velocity.mul_scalar(1.0 - sigma))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn conversions_invert_each_other() {
        let device = Device::flex();
        let clean = Tensor::<2>::random([3, 4], Distribution::Default, &device);
        let noise = Tensor::<2>::random([3, 4], Distribution::Default, &device);
        let sample = add_noise(clean.clone(), noise.clone(), Tensor::full([1, 1], 0.3, &device));
        let flow = velocity(clean.clone(), noise.clone());
        let tolerance = Tolerance::absolute(1e-6);
        let back = clean_from_velocity(sample.clone(), flow.clone(), 0.3);
        back.into_data().assert_approx_eq::<f32>(&clean.into_data(), tolerance);
        let back = noise_from_velocity(sample, flow, 0.3);
        back.into_data().assert_approx_eq::<f32>(&noise.into_data(), tolerance);
    }
}
