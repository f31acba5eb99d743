//! Text embeddings to keys and values of every block.
//!
//! The embedding of one text, as wide as all layers of the encoder together, is cast to the type of the weights. In bfloat16 the
//! product is computed in float32, with a copy of the embedding and of the weight in four bytes: this weight is wider than any of a
//! block. The texts of several views are projected one after the other and joined; those that were encoded wait as they came from the
//! encoder, in bfloat16.

use super::stage::Precision;
use crate::dit::DitConfig;

/// Bytes of a float32.
const F32_BYTES: u64 = 4;

/// Texts of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextShape {
    /// Tokens of one text.
    pub tokens: usize,
    /// Texts of a clip, one for each view where there are several.
    pub texts: usize,
    /// Whether a second text is evaluated for guidance.
    pub is_guided: bool,
    /// Embeddings that wait in memory; those in files are read one by one.
    pub waiting: usize,
}

impl TextShape {
    /// Returns the bytes of the embeddings that wait in memory for the whole run.
    pub fn waiting_bytes(&self, config: &DitConfig) -> u64 {
        Precision::Bf16.bytes() * (self.waiting * self.tokens * config.text_channels()) as u64
    }

    /// Returns the bytes of keys and values that are kept for the whole run: those of all texts of a clip, and of several the last
    /// one alone.
    pub fn kept_bytes(&self, config: &DitConfig, precision: Precision) -> u64 {
        let branches = if self.is_guided { 2 } else { 1 };
        let last = if self.texts > 1 { 1 } else { 0 };
        branches * context_bytes(config, (self.texts + last) * self.tokens, precision)
    }

    /// Returns the bytes of the largest set of activations while the texts are projected.
    pub fn activations(&self, config: &DitConfig, precision: Precision) -> u64 {
        let embedding = (self.tokens * config.text_channels()) as u64;
        let projected = (self.tokens * config.crossattn_emb_channels) as u64;
        // It is float32 where it was saved so, or where the text is left out.
        let read = F32_BYTES * embedding;
        let product = match precision {
            Precision::F32 => F32_BYTES * projected,
            Precision::Bf16 => {
                let weight = match config.use_crossattn_projection {
                    true => (config.text_channels() * config.crossattn_emb_channels) as u64,
                    false => 0,
                };
                precision.bytes() * (embedding + projected) + F32_BYTES * (embedding + weight + projected)
            }
        };
        let kept = self.kept_bytes(config, precision);
        // The keys and values of the last text follow its projection.
        let projecting = kept - context_bytes(config, self.tokens, precision) + read + product;
        // Before the texts of views are joined, there are those of each.
        let apart = if self.texts > 1 { self.texts } else { 0 };
        let joining = kept + context_bytes(config, apart * self.tokens, precision);
        self.waiting_bytes(config) + projecting.max(joining)
    }
}

/// Returns the bytes of keys and values of so many tokens in every block.
pub(super) fn context_bytes(config: &DitConfig, tokens: usize, precision: Precision) -> u64 {
    precision.bytes() * 2 * (config.num_blocks * tokens * config.model_channels) as u64
}
