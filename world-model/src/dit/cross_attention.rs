//! Attention of the clip's tokens to the text.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`Attention` with a context).
//! Differs: keys and values of the text are computed once per context instead of once per step.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::context::{BlockContext, KeyValue};
use super::image_attention::{ImageAttention, ImageAttentionConfig};
use super::modulation::linear_without_bias;
use crate::layers::{RmsNorm, RmsNormConfig, linear_rows, scaled_dot_product};

/// Configuration of a [`CrossAttention`].
#[derive(Config, Debug)]
pub struct CrossAttentionConfig {
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Width of the context.
    pub crossattn_emb_channels: usize,
    /// Number of heads.
    pub num_heads: usize,
    /// Added to the mean square in the norms of queries and keys.
    #[config(default = 1e-6)]
    pub qk_norm_eps: f64,
    /// Whether these norms round before their weight too.
    #[config(default = false)]
    pub norms_round_first: bool,
    /// Whether tokens attend to a reference image too.
    #[config(default = false)]
    pub attends_to_image: bool,
}

/// Cross-attention with normed queries and keys, without positions.
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// Projection of tokens to queries.
    pub q_proj: Linear,
    /// Projection of the context to keys.
    pub k_proj: Linear,
    /// Projection of the context to values.
    pub v_proj: Linear,
    /// Projection of the attended values.
    pub output_proj: Linear,
    /// Norm of each query head.
    pub q_norm: RmsNorm,
    /// Norm of each key head.
    pub k_norm: RmsNorm,
    /// Attention to a reference image, where the network has it.
    pub image: Option<ImageAttention>,
    /// Number of heads.
    pub num_heads: usize,
}

impl CrossAttentionConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> CrossAttention {
        let (width, context) = (self.model_channels, self.crossattn_emb_channels);
        let norm = || {
            RmsNormConfig::new(width / self.num_heads)
                .with_epsilon(self.qk_norm_eps)
                .with_rounds_first(self.norms_round_first)
                .init(device)
        };
        CrossAttention {
            q_proj: linear_without_bias(width, width, device),
            k_proj: linear_without_bias(context, width, device),
            v_proj: linear_without_bias(context, width, device),
            output_proj: linear_without_bias(width, width, device),
            q_norm: norm(),
            k_norm: norm(),
            image: self
                .attends_to_image
                .then(|| ImageAttentionConfig::new(width, self.num_heads).init(device)),
            num_heads: self.num_heads,
        }
    }
}

impl CrossAttention {
    /// Projects a context to the keys and values of this layer.
    ///
    /// # Shapes
    /// - context: `[batch, context_tokens, crossattn_emb_channels]`
    /// - output: `[batch, context_tokens, heads, head_dim]` each
    pub fn key_value(&self, context: Tensor<3>) -> KeyValue {
        let [batch, context_tokens, _] = context.dims();
        let [_, width] = self.k_proj.weight.dims();
        let shape = [batch, context_tokens, self.num_heads, width / self.num_heads];
        KeyValue {
            key: self
                .k_norm
                .forward_heads(linear_rows(&self.k_proj, context.clone()).reshape(shape), None),
            value: linear_rows(&self.v_proj, context).reshape(shape),
        }
    }

    /// Attends to a context; one context serves a whole batch of clips.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - context: keys and values of `batch` contexts, or of one
    /// - output: `[batch, frames, tokens, model_channels]`
    ///
    /// # Panics
    /// If the context's batch is neither 1 nor that of the tokens, or it has no image for a network that attends to one.
    pub fn forward(&self, tokens: Tensor<4>, context: &BlockContext) -> Tensor<4> {
        let Some(attention) = &self.image else {
            return self.attend_to(tokens, &context.text);
        };
        let image = context.image.as_ref().expect("this network attends to an image");
        let [batch, frames, per_frame, width] = tokens.dims();
        // The output projection has no bias: it may be applied to each part.
        let seen = attention.attend(tokens.clone(), image);
        let seen = linear_rows(&self.output_proj, seen).reshape([batch, frames, per_frame, width]);
        self.attend_to(tokens, &context.text) + seen
    }

    /// Attends to one set of keys and values.
    pub(super) fn attend_to(&self, tokens: Tensor<4>, context: &KeyValue) -> Tensor<4> {
        let [batch, frames, per_frame, width] = tokens.dims();
        let [contexts, _, heads, head_dim] = context.key.dims();
        assert!(
            contexts == 1 || contexts == batch,
            "{contexts} contexts cannot serve a batch of {batch}"
        );
        if let Some(attended) = self.attended_alone(context) {
            return attended.expand([batch, frames, per_frame, width]);
        }
        let shape = [batch, frames * per_frame, heads, head_dim];
        let query = self
            .q_norm
            .forward_heads(linear_rows(&self.q_proj, tokens).reshape(shape), None);
        let attended = scaled_dot_product(query, context.key.clone(), context.value.clone());
        linear_rows(&self.output_proj, attended).reshape([batch, frames, per_frame, width])
    }

    /// Returns what every token gets from a context of one token, whatever it asks; nothing for longer contexts.
    ///
    /// # Shapes
    /// - output: `[batch or 1, 1, 1, model_channels]`
    fn attended_alone(&self, context: &KeyValue) -> Option<Tensor<4>> {
        let [contexts, context_tokens, heads, head_dim] = context.value.dims();
        (context_tokens == 1).then(|| {
            let value = context.value.clone().reshape([contexts, 1, 1, heads * head_dim]);
            linear_rows(&self.output_proj, value)
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn a_single_token_counts_as_much_as_its_repetition() {
        let device = Device::flex();
        let layer = CrossAttentionConfig::new(24, 10, 2).init(&device);
        let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Default, &device);
        let (tokens, context) = (random([2, 15, 24]).reshape([2, 3, 5, 24]), random([1, 1, 10]));
        let alone = layer.attend_to(tokens.clone(), &layer.key_value(context.clone()));
        // Attention to equal tokens takes the general way and has to end in the same place.
        let repeated = layer.attend_to(tokens, &layer.key_value(context.repeat_dim(1, 3)));
        let distance: f32 = (alone - repeated).abs().max().into_scalar();
        assert!(distance < 1e-5, "{distance}");
    }
}
