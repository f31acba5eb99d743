//! Normalisation over channels, position by position.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`RMS_norm`).
//! Differs: activations are channels-last.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, activation::silu, assert_shape};

/// Smallest length a channel vector is divided by.
pub(super) const MIN_LENGTH: f64 = 1e-12;

/// Scales every channel vector to length `sqrt(channels)`, then by a learned factor per channel.
///
/// `D` is the rank of the checkpoint's factor: 4 in the residual blocks, 3 in attention.
#[derive(Module, Debug)]
pub struct RmsNorm<const D: usize> {
    /// `[channels, 1, ..]`
    pub gamma: Param<Tensor<D>>,
}

impl<const D: usize> RmsNorm<D> {
    /// Creates a norm with all factors 1.
    pub fn new(channels: usize, device: &Device) -> Self {
        let mut shape = [1; D];
        shape[0] = channels;
        Self {
            gamma: Initializer::Ones.init(shape, device),
        }
    }

    /// Returns the factors, `[channels]`.
    pub(super) fn factors(&self) -> Tensor<1> {
        let channels = self.gamma.dims()[0];
        self.gamma.val().reshape([channels])
    }

    /// Normalises.
    ///
    /// # Shapes
    /// - frames and output: `[batch, frames, height, width, channels]`
    pub fn forward(&self, frames: Tensor<5>) -> Tensor<5> {
        normalize(frames, self.factors())
    }
}

fn normalize(frames: Tensor<5>, gamma: Tensor<1>) -> Tensor<5> {
    let channels = gamma.dims()[0];
    assert_shape!(frames, [_, _, _, _, channels]);
    let length = frames.clone().square().sum_dim(4).sqrt().clamp_min(MIN_LENGTH);
    let factor = gamma
        .reshape([1, 1, 1, 1, channels])
        .mul_scalar((channels as f64).sqrt());
    frames.div(length).mul(factor)
}

/// Normalises, then applies SiLU.
///
/// # Shapes
/// - frames and output: `[batch, frames, height, width, channels]`
/// - gamma: `[channels]`
pub(super) fn norm_silu(frames: Tensor<5>, gamma: Tensor<1>) -> Tensor<5> {
    silu(normalize(frames, gamma))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{TensorData, Tolerance};

    use super::*;

    #[test]
    fn channel_vectors_get_length_root_channels() {
        let device = Device::flex();
        let frames = Tensor::<5>::from_data(TensorData::new(vec![3.0f32, 4.0, 0.0, 0.0], [1, 1, 1, 2, 2]), &device);
        let normed = RmsNorm::<4>::new(2, &device).forward(frames);
        let root = 2f32.sqrt();
        let expected = TensorData::new(vec![0.6 * root, 0.8 * root, 0.0, 0.0], [1, 1, 1, 2, 2]);
        normed
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }
}
