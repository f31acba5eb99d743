//! Feed-forward sub-layer.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`GPT2FeedForward`).
//! Differs: nothing.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::modulation::linear_without_bias;
use crate::layers::{gelu, linear_rows};

/// Configuration of a [`FeedForward`].
#[derive(Config, Debug)]
pub struct FeedForwardConfig {
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Width between the two layers.
    pub mlp_channels: usize,
}

/// Two linear layers around an exact GELU.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// Projection up.
    pub layer1: Linear,
    /// Projection down.
    pub layer2: Linear,
}

impl FeedForwardConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> FeedForward {
        FeedForward {
            layer1: linear_without_bias(self.model_channels, self.mlp_channels, device),
            layer2: linear_without_bias(self.mlp_channels, self.model_channels, device),
        }
    }
}

impl FeedForward {
    /// Transforms every token by itself.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - output: `[batch, frames, tokens, model_channels]`
    pub fn forward(&self, tokens: Tensor<4>) -> Tensor<4> {
        linear_rows(&self.layer2, gelu(linear_rows(&self.layer1, tokens)))
    }
}
