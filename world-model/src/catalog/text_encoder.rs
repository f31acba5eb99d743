//! Sizes of a text encoder from the shapes of its weights.
//!
//! The width of a head leaves no trace: 128 is assumed where it fits, one head for keys and values elsewhere.

use super::error::RecognizeError;
use super::shapes::Shapes;
use crate::text_encoder::TextEncoderConfig;

/// Width of a head in the released encoder.
const HEAD_DIM: usize = 128;

/// Returns whether there is a text encoder at all; the biases tell it from other language models.
pub(super) fn is_text_encoder(shapes: &Shapes<'_>) -> bool {
    shapes.has("embed_tokens.weight") && shapes.has("layers.0.self_attn.q_proj.bias")
}

/// Reads the sizes off the shapes.
pub(super) fn config(shapes: &Shapes<'_>) -> Result<TextEncoderConfig, RecognizeError> {
    let [vocab_size, hidden_size] = shapes.sizes("embed_tokens.weight")?;
    let [intermediate_size, _] = shapes.sizes("layers.0.mlp.gate_proj.weight")?;
    let [keys, _] = shapes.sizes("layers.0.self_attn.k_proj.weight")?;
    let fits = hidden_size.is_multiple_of(HEAD_DIM) && keys.is_multiple_of(HEAD_DIM);
    let head_dim = if fits { HEAD_DIM } else { keys };
    let config = TextEncoderConfig::new(
        vocab_size,
        hidden_size,
        intermediate_size,
        shapes.count("layers.")?,
        hidden_size / head_dim,
        keys / head_dim,
    );
    config.validate().map_err(|source| RecognizeError::TextEncoder {
        location: shapes.location(),
        source,
    })?;
    Ok(config)
}
