//! The projected text, ready for every step of an episode.

use burn::tensor::Tensor;

/// Keys and values of one cross-attention layer, `[batch, context_tokens, heads, head_dim]` each.
#[derive(Debug, Clone)]
pub struct KeyValue {
    /// Normed keys.
    pub key: Tensor<4>,
    /// Values.
    pub value: Tensor<4>,
}

/// A text context with the keys and values of every block, computed once per episode.
///
/// Made by [`Dit::project_context`](super::Dit::project_context). A batch of one serves any batch of clips.
#[derive(Debug, Clone)]
pub struct Context {
    /// Projected text, `[batch, context_tokens, crossattn_emb_channels]`.
    pub tokens: Tensor<3>,
    /// Keys and values, one entry per block.
    pub key_values: Vec<KeyValue>,
}

impl Context {
    /// Tells whether another context has the same values.
    ///
    /// Guidance between two equal contexts (with the same action) is a no-op, so that a sampler may skip the second
    /// evaluation. Reads the values back from the device: ask once per episode.
    pub fn matches(&self, other: &Self) -> bool {
        self.tokens.dims() == other.tokens.dims()
            && self
                .tokens
                .clone()
                .equal(other.tokens.clone())
                .all()
                .into_scalar::<bool>()
    }
}
