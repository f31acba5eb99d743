//! Mean and deviation per latent channel.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`WanVAE.scale`).
//! Differs: rounding of the constants to bfloat16 is a choice; the arithmetic stays in the latents' precision.

use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;

use super::config::WanVaeConfig;

/// Constants that bring latents to zero mean and unit deviation.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentStats {
    mean: Vec<f32>,
    inverse_std: Vec<f32>,
}

impl LatentStats {
    /// Takes the constants from a config.
    pub fn new(config: &WanVaeConfig) -> Self {
        if config.latents_bf16 {
            let round = |value: f32| bf16::from_f32(value).to_f32();
            return Self {
                mean: config.latents_mean.iter().map(|&mean| round(mean)).collect(),
                inverse_std: config.latents_std.iter().map(|&std| round(1.0 / round(std))).collect(),
            };
        }
        Self {
            mean: config.latents_mean.clone(),
            inverse_std: config.latents_std.iter().map(|std| 1.0 / std).collect(),
        }
    }

    /// Normalises encoded latents: `(latents - mean) * (1 / std)`.
    ///
    /// # Shapes
    /// - latents and output: `[batch, z_dim, frames, height, width]`
    pub fn normalize(&self, latents: Tensor<5>) -> Tensor<5> {
        let device = latents.device();
        (latents - channel_values(&self.mean, &device)) * channel_values(&self.inverse_std, &device)
    }

    /// Undoes [`LatentStats::normalize`]: `latents / (1 / std) + mean`.
    ///
    /// # Shapes
    /// - latents and output: `[batch, z_dim, frames, height, width]`
    pub fn denormalize(&self, latents: Tensor<5>) -> Tensor<5> {
        let device = latents.device();
        latents / channel_values(&self.inverse_std, &device) + channel_values(&self.mean, &device)
    }
}

fn channel_values(values: &[f32], device: &Device) -> Tensor<5> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len(), 1, 1, 1]), device)
}
