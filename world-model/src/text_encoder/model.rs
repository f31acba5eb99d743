//! The whole text encoder.
//!
//! Source: transformers 5.23.0, `models/qwen2_5_vl/modeling_qwen2_5_vl.py` (`Qwen2_5_VLTextModel`).
//! Differs: images, caches and logits are left out.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::{DType, Device, Int, Tensor};

use super::attention::GroupedQueryAttentionConfig;
use super::config::TextEncoderConfig;
use super::feed_forward::GatedFeedForwardConfig;
use super::full_concat::concat_standardized;
use super::layer::{TextEncoderLayer, TextEncoderLayerConfig};
use crate::checkpoint::{CheckpointError, CheckpointSource, KeyMap, LoadReport, load_as};
use crate::layers::{RmsNorm, RmsNormConfig, RotaryTable};

/// Text tower of Cosmos-Reason1; `Qwen2_5_VLTextModel` upstream.
#[derive(Module, Debug)]
pub struct TextEncoder {
    /// Vector of each token id.
    pub embed_tokens: Embedding,
    /// Layers.
    pub layers: Vec<TextEncoderLayer>,
    /// Norm of the last layer's output.
    pub norm: RmsNorm,
    head_dim: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
}

impl TextEncoderConfig {
    /// Initialises the network with random weights, each drawn only when it is needed.
    ///
    /// A configuration from outside the program has to pass [`validate`](Self::validate) first.
    pub fn init(&self, device: &Device) -> TextEncoder {
        let layer = TextEncoderLayerConfig::new(
            GroupedQueryAttentionConfig::new(self.hidden_size, self.num_attention_heads, self.num_key_value_heads),
            GatedFeedForwardConfig::new(self.hidden_size, self.intermediate_size),
        )
        .with_rms_norm_eps(self.rms_norm_eps);
        TextEncoder {
            embed_tokens: EmbeddingConfig::new(self.vocab_size, self.hidden_size).init(device),
            layers: (0..self.num_hidden_layers).map(|_| layer.init(device)).collect(),
            norm: RmsNormConfig::new(self.hidden_size)
                .with_epsilon(self.rms_norm_eps)
                .init(device),
            head_dim: self.head_dim(),
            rope_theta: self.rope_theta,
        }
    }
}

impl TextEncoder {
    /// Loads the network with weights in the given dtype.
    ///
    /// Tensors are read and converted one by one: the released weights take 15 GB in [`DType::BF16`], beside at most
    /// 2 GB for the one that is being read. The config has to pass [`validate`](TextEncoderConfig::validate) first.
    ///
    /// # Errors
    /// As [`load_as`].
    ///
    /// # Panics
    /// If the dtype is not `F32`, `F16` or `BF16`, or the device lacks it.
    pub fn load(
        config: &TextEncoderConfig,
        source: &CheckpointSource,
        dtype: DType,
        device: &Device,
    ) -> Result<(Self, LoadReport), CheckpointError> {
        let mut encoder = config.init(device);
        let report = load_as(&mut encoder, source, &KeyMap::text_encoder(), dtype)?;
        Ok((encoder, report))
    }

    /// Encodes texts for [`Dit::project_context`](crate::dit::Dit::project_context).
    ///
    /// # Shapes
    /// - ids: `[batch, tokens]`, each below `vocab_size`
    /// - output: `[batch, tokens, num_hidden_layers * hidden_size]`, the dtype of the weights
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        self.forward_by_layer(ids, |_| ())
    }

    /// Encodes texts as [`forward`](Self::forward) does, and says after each layer how many are done.
    pub fn forward_by_layer(&self, ids: Tensor<2, Int>, progress: impl FnMut(usize)) -> Tensor<3> {
        concat_standardized(&self.states_by_layer(ids, progress)[1..])
    }

    /// Returns the states between the layers: the token vectors, the output of every layer but the last, and the
    /// normed output of the last.
    ///
    /// # Shapes
    /// - ids: `[batch, tokens]`, each below `vocab_size`
    /// - output: `num_hidden_layers + 1` of `[batch, tokens, hidden_size]`, the dtype of the weights
    pub fn hidden_states(&self, ids: Tensor<2, Int>) -> Vec<Tensor<3>> {
        self.states_by_layer(ids, |_| ())
    }

    fn states_by_layer(&self, ids: Tensor<2, Int>, mut progress: impl FnMut(usize)) -> Vec<Tensor<3>> {
        let [_, tokens] = ids.dims();
        let rope = self.rotary_table(tokens, &ids.device());
        let mut hidden = self.embed_tokens.forward(ids);
        let mut states = Vec::with_capacity(self.layers.len() + 1);
        for (index, layer) in self.layers.iter().enumerate() {
            states.push(hidden.clone());
            hidden = layer.forward(hidden, &rope);
            progress(index + 1);
        }
        states.push(self.norm.forward_rounding_first(hidden));
        states
    }

    /// Returns the dtype of the weights, in which the residual stream runs.
    pub fn dtype(&self) -> DType {
        self.embed_tokens.weight.dtype()
    }

    /// Returns the number of token ids.
    pub fn vocab_size(&self) -> usize {
        self.embed_tokens.weight.dims()[0]
    }

    /// Builds the rotary table, with upstream's roundings: frequencies and phases in float32, the table in the dtype of
    /// the weights.
    fn rotary_table(&self, tokens: usize, device: &Device) -> RotaryTable {
        let half = self.head_dim / 2;
        let frequency = |index: usize| {
            let exponent = (2 * index) as f32 / self.head_dim as f32;
            1.0 / self.rope_theta.powf(f64::from(exponent)) as f32
        };
        let frequencies: Vec<f32> = (0..half).map(frequency).collect();
        let phases: Vec<f64> = (0..tokens)
            .flat_map(|position| {
                frequencies
                    .iter()
                    .map(move |frequency| f64::from(position as f32 * frequency))
            })
            .collect();
        RotaryTable::from_phases(&phases, half, device).rounded(self.dtype())
    }
}
