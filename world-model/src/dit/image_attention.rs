//! Attention of the clip's tokens to a reference image, beside that to the text.
//!
//! Source: `cosmos_transfer2/_src/transfer2/networks/minimal_v4_lvg_dit_control_vace.py@2ff49d0`
//! (`I2VCrossAttentionFull`).
//! Differs: keys and values of the image are computed once per context instead of once per step.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::context::KeyValue;
use super::modulation::linear_without_bias;
use crate::layers::{RmsNorm, RmsNormConfig, linear_rows, scaled_dot_product};

/// Configuration of an [`ImageAttention`].
#[derive(Config, Debug)]
pub struct ImageAttentionConfig {
    /// Width of the residual stream, and of the projected image context.
    pub model_channels: usize,
    /// Number of heads.
    pub num_heads: usize,
}

/// Queries, keys and values of their own for a reference image; the output projection is shared with the text's.
#[derive(Module, Debug)]
pub struct ImageAttention {
    /// Projection of tokens to queries.
    pub q_img: Linear,
    /// Projection of the image context to keys.
    pub k_img: Linear,
    /// Projection of the image context to values.
    pub v_img: Linear,
    /// Norm of each query head.
    pub q_img_norm: RmsNorm,
    /// Norm of each key head.
    pub k_img_norm: RmsNorm,
    /// Number of heads.
    pub num_heads: usize,
}

impl ImageAttentionConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> ImageAttention {
        let width = self.model_channels;
        // 1e-6 in NVIDIA's code and in diffusers, which has another epsilon in the text's norms.
        let norm = || RmsNormConfig::new(width / self.num_heads).init(device);
        ImageAttention {
            q_img: linear_without_bias(width, width, device),
            k_img: linear_without_bias(width, width, device),
            v_img: linear_without_bias(width, width, device),
            q_img_norm: norm(),
            k_img_norm: norm(),
            num_heads: self.num_heads,
        }
    }
}

impl ImageAttention {
    /// Projects an image context to the keys and values of this layer.
    ///
    /// # Shapes
    /// - context: `[batch, image_tokens, model_channels]`
    /// - output: `[batch, image_tokens, heads, head_dim]` each
    pub fn key_value(&self, context: Tensor<3>) -> KeyValue {
        let [batch, image_tokens, width] = context.dims();
        let shape = [batch, image_tokens, self.num_heads, width / self.num_heads];
        let keys = linear_rows(&self.k_img, context.clone()).reshape(shape);
        KeyValue {
            key: self.k_img_norm.forward_heads(keys, None),
            value: linear_rows(&self.v_img, context).reshape(shape),
        }
    }

    /// Attends to an image, up to the shared output projection; one image serves a whole batch of clips.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - output: `[batch, frames * tokens, model_channels]`
    pub fn attend(&self, tokens: Tensor<4>, image: &KeyValue) -> Tensor<3> {
        let [batch, frames, per_frame, width] = tokens.dims();
        let shape = [batch, frames * per_frame, self.num_heads, width / self.num_heads];
        let queries = linear_rows(&self.q_img, tokens).reshape(shape);
        let queries = self.q_img_norm.forward_heads(queries, None);
        scaled_dot_product(queries, image.key.clone(), image.value.clone())
    }
}
