//! Time to the vectors that modulate every block.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`Timesteps`, `TimestepEmbedding`).
//! Differs: what upstream computes in the dtype of the weights is computed in float32 and rounded. The embedding that is normed is the raw sinusoid; the MLP's output is only the shared vector.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::silu;
use burn::tensor::{DType, Device, Tensor};

use super::modulation::{linear_without_bias, rounding};
use crate::layers::{linear_f32, round_to, sinusoidal_embedding};

/// Configuration of a [`TimestepEmbedder`].
#[derive(Config, Debug)]
pub struct TimestepEmbedderConfig {
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Whether every step is rounded to the dtype of the weights.
    #[config(default = false)]
    pub rounds: bool,
}

/// Embeds times as a sinusoid and as the vector that all modulations share.
#[derive(Module, Debug)]
pub struct TimestepEmbedder {
    /// First layer of the MLP.
    pub linear_1: Linear,
    /// Second layer of the MLP, to three times the width.
    pub linear_2: Linear,
    /// Whether every step is rounded to the dtype of the weights.
    pub rounds: bool,
}

/// What every block reads of the time, float32.
#[derive(Debug, Clone)]
pub struct TimeEmbedding {
    /// Embedding of the time, `[batch, frames, model_channels]`; frames may be 1.
    pub embedding: Tensor<3>,
    /// Vector added to every modulation, `[batch, frames, 3 * model_channels]`; frames may be 1.
    pub shared: Tensor<3>,
}

impl TimestepEmbedderConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> TimestepEmbedder {
        let width = self.model_channels;
        TimestepEmbedder {
            linear_1: linear_without_bias(width, width, device),
            linear_2: linear_without_bias(width, 3 * width, device),
            rounds: self.rounds,
        }
    }
}

impl TimestepEmbedder {
    /// Embeds times that are already scaled to the range seen in training.
    ///
    /// # Shapes
    /// - times: `[batch, frames]`, float32
    /// - output: `[batch, frames, model_channels]` and `[batch, frames, 3 * model_channels]`, float32
    pub fn forward(&self, times: Tensor<2>) -> TimeEmbedding {
        let [model_channels, _] = self.linear_1.weight.dims();
        let dtype = self.rounding();
        let embedding = round_to(sinusoidal_embedding(times, model_channels), dtype);
        let hidden = round_to(linear_f32(&self.linear_1, embedding.clone()), dtype);
        let shared = linear_f32(&self.linear_2, round_to(silu(hidden), dtype));
        TimeEmbedding {
            embedding,
            shared: round_to(shared, dtype),
        }
    }

    /// Returns what every step of the time is rounded to; float32 is no rounding.
    pub(super) fn rounding(&self) -> DType {
        rounding(self.rounds, &self.linear_1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_vector_is_three_times_as_wide() {
        let device = Device::flex();
        let time = TimestepEmbedderConfig::new(8)
            .init(&device)
            .forward(Tensor::zeros([2, 3], &device));
        assert_eq!(time.embedding.dims(), [2, 3, 8]);
        assert_eq!(time.shared.dims(), [2, 3, 24]);
    }
}
