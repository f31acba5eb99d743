//! Attention of all tokens of a clip to each other.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`Attention`).
//! Differs: queries and keys are not rounded to bfloat16 before float32 attention.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::context::KeyValue;
use super::modulation::linear_without_bias;
use crate::layers::{RmsNorm, RmsNormConfig, RotaryTable, linear_rows, scaled_dot_product};

/// Configuration of a [`SelfAttention`].
#[derive(Config, Debug)]
pub struct SelfAttentionConfig {
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Number of heads.
    pub num_heads: usize,
    /// Added to the mean square in the norms of queries and keys.
    #[config(default = 1e-6)]
    pub qk_norm_eps: f64,
    /// Whether these norms round before their weight too.
    #[config(default = false)]
    pub norms_round_first: bool,
}

/// Self-attention with normed queries and keys and rotary positions.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// Projection to queries.
    pub q_proj: Linear,
    /// Projection to keys.
    pub k_proj: Linear,
    /// Projection to values.
    pub v_proj: Linear,
    /// Projection of the attended values.
    pub output_proj: Linear,
    /// Norm of each query head.
    pub q_norm: RmsNorm,
    /// Norm of each key head.
    pub k_norm: RmsNorm,
    /// Number of heads.
    pub num_heads: usize,
}

impl SelfAttentionConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> SelfAttention {
        let square = || linear_without_bias(self.model_channels, self.model_channels, device);
        let norm = || {
            RmsNormConfig::new(self.model_channels / self.num_heads)
                .with_epsilon(self.qk_norm_eps)
                .with_rounds_first(self.norms_round_first)
                .init(device)
        };
        SelfAttention {
            q_proj: square(),
            k_proj: square(),
            v_proj: square(),
            output_proj: square(),
            q_norm: norm(),
            k_norm: norm(),
            num_heads: self.num_heads,
        }
    }
}

impl SelfAttention {
    /// Attends over all tokens of all frames.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - rope: `frames * tokens` tokens
    /// - output: `[batch, frames, tokens, model_channels]`
    pub fn forward(&self, tokens: Tensor<4>, rope: &RotaryTable) -> Tensor<4> {
        let shape = tokens.dims();
        let (query, KeyValue { key, value }) = self.project(tokens, rope);
        self.attend(query, key, value).reshape(shape)
    }

    /// Attends over all tokens and over those of earlier frames, and returns the keys and values of the tokens.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - rope: `frames * tokens` tokens
    /// - past: `[batch, past_tokens, heads, head_dim]` each, as returned for earlier frames
    /// - output: `[batch, frames, tokens, model_channels]`, and `[batch, frames * tokens, heads, head_dim]` each
    pub fn forward_after(
        &self,
        tokens: Tensor<4>,
        rope: &RotaryTable,
        past: Option<&KeyValue>,
    ) -> (Tensor<4>, KeyValue) {
        let shape = tokens.dims();
        let (query, own) = self.project(tokens, rope);
        let (key, value) = match past {
            Some(past) => (
                Tensor::cat(vec![past.key.clone(), own.key.clone()], 1),
                Tensor::cat(vec![past.value.clone(), own.value.clone()], 1),
            ),
            None => (own.key.clone(), own.value.clone()),
        };
        (self.attend(query, key, value).reshape(shape), own)
    }

    /// Projects tokens to rotated queries and keys, and to values.
    fn project(&self, tokens: Tensor<4>, rope: &RotaryTable) -> (Tensor<4>, KeyValue) {
        let [batch, frames, per_frame, model_channels] = tokens.dims();
        let shape = [
            batch,
            frames * per_frame,
            self.num_heads,
            model_channels / self.num_heads,
        ];
        let heads = |layer: &Linear, tokens: Tensor<4>| linear_rows(layer, tokens).reshape(shape);
        let query = self
            .q_norm
            .forward_heads(heads(&self.q_proj, tokens.clone()), Some(rope));
        let key = self
            .k_norm
            .forward_heads(heads(&self.k_proj, tokens.clone()), Some(rope));
        let value = heads(&self.v_proj, tokens);
        (query, KeyValue { key, value })
    }

    fn attend(&self, query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<3> {
        linear_rows(&self.output_proj, scaled_dot_product(query, key, value))
    }
}
