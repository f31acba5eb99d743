//! Last norm and projection to velocity patches.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`FinalLayer`).
//! Differs: nothing.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::modulation::{AdaLnModulation, AdaLnModulationConfig, linear_without_bias, modulate, rounding};
use super::timestep::TimeEmbedding;
use crate::layers::{linear_f32, round_to, untracked_cast};

/// Configuration of a [`FinalLayer`].
#[derive(Config, Debug)]
pub struct FinalLayerConfig {
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Rank of the modulation.
    pub adaln_lora_dim: usize,
    /// Values of an output patch.
    pub d_patch: usize,
    /// Whether every step is rounded to the dtype of the weights.
    #[config(default = false)]
    pub rounds: bool,
}

/// Modulated norm and projection, in float32 or rounded as the time is.
#[derive(Module, Debug)]
pub struct FinalLayer {
    /// Projection to patches.
    pub linear: Linear,
    /// Modulation of the norm: shift and scale.
    pub adaln_modulation: AdaLnModulation,
}

impl FinalLayerConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> FinalLayer {
        FinalLayer {
            linear: linear_without_bias(self.model_channels, self.d_patch, device),
            adaln_modulation: AdaLnModulationConfig::new(self.model_channels, self.adaln_lora_dim)
                .with_parts(2)
                .with_rounds(self.rounds)
                .init(device),
        }
    }
}

impl FinalLayer {
    /// Projects tokens to patches.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - output: `[batch, frames, tokens, d_patch]`, float32
    pub fn forward(&self, tokens: Tensor<4>, time: &TimeEmbedding) -> Tensor<4> {
        let [_, _, _, width] = tokens.dims();
        let vectors = self
            .adaln_modulation
            .forward(time.embedding.clone(), time.shared.clone())
            .unsqueeze_dim::<4>(2);
        let (shift, scale) = (vectors.clone().narrow(3, 0, width), vectors.narrow(3, width, width));
        let dtype = rounding(self.adaln_modulation.rounds, &self.linear);
        let [shift, scale] = [shift, scale].map(|vectors| untracked_cast(vectors, dtype));
        let modulated = modulate(untracked_cast(tokens, dtype), shift, scale);
        round_to(linear_f32(&self.linear, modulated), dtype)
    }
}
