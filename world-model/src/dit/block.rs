//! One transformer block: self-attention, cross-attention, feed-forward.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`Block`).
//! Differs: nothing.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::context::BlockContext;
use super::cross_attention::{CrossAttention, CrossAttentionConfig};
use super::feed_forward::{FeedForward, FeedForwardConfig};
use super::modulation::{AdaLnModulation, AdaLnModulationConfig, gated_residual, modulate};
use super::self_attention::{SelfAttention, SelfAttentionConfig};
use super::timestep::TimeEmbedding;
use crate::layers::RotaryTable;

/// Configuration of a [`DitBlock`].
#[derive(Config, Debug)]
pub struct DitBlockConfig {
    /// Self-attention sub-layer.
    pub self_attn: SelfAttentionConfig,
    /// Cross-attention sub-layer.
    pub cross_attn: CrossAttentionConfig,
    /// Feed-forward sub-layer.
    pub mlp: FeedForwardConfig,
    /// Modulation of each sub-layer.
    pub modulation: AdaLnModulationConfig,
}

/// Three modulated sub-layers on one residual stream.
#[derive(Module, Debug)]
pub struct DitBlock {
    /// Attention of all tokens to each other.
    pub self_attn: SelfAttention,
    /// Attention to the text.
    pub cross_attn: CrossAttention,
    /// Feed-forward layer.
    pub mlp: FeedForward,
    /// Modulation of the self-attention.
    pub adaln_modulation_self_attn: AdaLnModulation,
    /// Modulation of the cross-attention.
    pub adaln_modulation_cross_attn: AdaLnModulation,
    /// Modulation of the feed-forward layer.
    pub adaln_modulation_mlp: AdaLnModulation,
}

impl DitBlockConfig {
    /// Initialises the block.
    pub fn init(&self, device: &Device) -> DitBlock {
        DitBlock {
            self_attn: self.self_attn.init(device),
            cross_attn: self.cross_attn.init(device),
            mlp: self.mlp.init(device),
            adaln_modulation_self_attn: self.modulation.init(device),
            adaln_modulation_cross_attn: self.modulation.init(device),
            adaln_modulation_mlp: self.modulation.init(device),
        }
    }
}

impl DitBlock {
    /// Updates the tokens.
    ///
    /// `time` holds the activated (SiLU) embedding and the shared vector.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - output: `[batch, frames, tokens, model_channels]`
    pub fn forward(
        &self,
        tokens: Tensor<4>,
        time: &TimeEmbedding,
        context: &BlockContext,
        rope: &RotaryTable,
    ) -> Tensor<4> {
        let tokens = sub_layer(tokens, &self.adaln_modulation_self_attn, time, |x| {
            self.self_attn.forward(x, rope)
        });
        let tokens = sub_layer(tokens, &self.adaln_modulation_cross_attn, time, |x| {
            self.cross_attn.forward(x, context)
        });
        sub_layer(tokens, &self.adaln_modulation_mlp, time, |x| self.mlp.forward(x))
    }
}

fn sub_layer(
    tokens: Tensor<4>,
    modulation: &AdaLnModulation,
    time: &TimeEmbedding,
    layer: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let modulation = modulation.modulation(time.embedding.clone(), time.shared.clone(), tokens.dtype());
    let output = layer(modulate(tokens.clone(), modulation.shift, modulation.scale));
    gated_residual(tokens, modulation.gate, output)
}
