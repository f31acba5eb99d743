//! One layer of the text encoder.
//!
//! Source: transformers 5.23.0, `models/qwen2_5_vl/modeling_qwen2_5_vl.py` (`Qwen2_5_VLDecoderLayer`).
//! Differs: nothing.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::attention::{GroupedQueryAttention, GroupedQueryAttentionConfig};
use super::feed_forward::{GatedFeedForward, GatedFeedForwardConfig};
use crate::layers::{RmsNorm, RmsNormConfig, RotaryTable};

/// Configuration of a [`TextEncoderLayer`].
#[derive(Config, Debug)]
pub struct TextEncoderLayerConfig {
    /// Its attention.
    pub self_attn: GroupedQueryAttentionConfig,
    /// Its feed-forward sub-layer.
    pub mlp: GatedFeedForwardConfig,
    /// Added to the mean square in the norms.
    #[config(default = 1e-6)]
    pub rms_norm_eps: f64,
}

/// Attention and feed-forward, each behind a norm and added to the residual stream.
#[derive(Module, Debug)]
pub struct TextEncoderLayer {
    /// Norm before the attention.
    pub input_layernorm: RmsNorm,
    /// Attention of each token to those before it.
    pub self_attn: GroupedQueryAttention,
    /// Norm before the feed-forward sub-layer.
    pub post_attention_layernorm: RmsNorm,
    /// Feed-forward sub-layer.
    pub mlp: GatedFeedForward,
}

impl TextEncoderLayerConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> TextEncoderLayer {
        let norm = RmsNormConfig::new(self.self_attn.hidden_size).with_epsilon(self.rms_norm_eps);
        TextEncoderLayer {
            input_layernorm: norm.init(device),
            self_attn: self.self_attn.init(device),
            post_attention_layernorm: norm.init(device),
            mlp: self.mlp.init(device),
        }
    }
}

impl TextEncoderLayer {
    /// Transforms the tokens of a batch of texts.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens, hidden_size]`
    /// - rope: `tokens` tokens
    /// - output: `[batch, tokens, hidden_size]`
    ///
    /// # Panics
    /// If the width is not `hidden_size`, or the table is of another number of tokens.
    pub fn forward(&self, hidden: Tensor<3>, rope: &RotaryTable) -> Tensor<3> {
        let normed = self.input_layernorm.forward_rounding_first(hidden.clone());
        let hidden = hidden + self.self_attn.forward(normed, rope);
        let normed = self.post_attention_layernorm.forward_rounding_first(hidden.clone());
        hidden + self.mlp.forward(normed)
    }
}
