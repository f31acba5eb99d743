//! Gated feed-forward sub-layer.
//!
//! Source: transformers 5.23.0, `models/qwen2_5_vl/modeling_qwen2_5_vl.py` (`Qwen2MLP`).
//! Differs: nothing.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use crate::layers::linear_rows;

/// Configuration of a [`GatedFeedForward`].
#[derive(Config, Debug)]
pub struct GatedFeedForwardConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width between the projections.
    pub intermediate_size: usize,
}

/// SwiGLU without biases: one projection up gates the other.
#[derive(Module, Debug)]
pub struct GatedFeedForward {
    /// Projection to the gate.
    pub gate_proj: Linear,
    /// Projection up.
    pub up_proj: Linear,
    /// Projection down.
    pub down_proj: Linear,
}

impl GatedFeedForwardConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> GatedFeedForward {
        let linear = |d_input, d_output| LinearConfig::new(d_input, d_output).with_bias(false).init(device);
        GatedFeedForward {
            gate_proj: linear(self.hidden_size, self.intermediate_size),
            up_proj: linear(self.hidden_size, self.intermediate_size),
            down_proj: linear(self.intermediate_size, self.hidden_size),
        }
    }
}

impl GatedFeedForward {
    /// Transforms every token by itself.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens, hidden_size]`
    /// - output: `[batch, tokens, hidden_size]`
    ///
    /// # Panics
    /// If the width is not `hidden_size`.
    pub fn forward(&self, hidden: Tensor<3>) -> Tensor<3> {
        let gate = silu(linear_rows(&self.gate_proj, hidden.clone()));
        linear_rows(&self.down_proj, gate * linear_rows(&self.up_proj, hidden))
    }
}
