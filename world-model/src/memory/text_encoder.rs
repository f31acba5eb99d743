//! A prompt through the text encoder.
//!
//! The states between the layers are kept for the embedding, which is as large as all of them. In a layer, residual
//! stream, gate and hidden layer live at once; in bfloat16, the widest weight is copied to float32 for its product. Embeddings that are
//! done wait beside the weights, as long as there are prompts.

use burn::tensor::Device;

use super::stage::{Precision, Stage, StageMemory, network_bytes};
use crate::text_encoder::TextEncoderConfig;

/// Bytes of a float32.
const F32_BYTES: u64 = 4;

/// Returns the memory of encoding one prompt of so many tokens.
pub fn text_encoder_memory(
    config: &TextEncoderConfig,
    tokens: usize,
    precision: Precision,
    device: &Device,
) -> StageMemory {
    let (tokens, width) = (tokens as u64, config.hidden_size as u64);
    let hidden = config.intermediate_size as u64;
    let states = (2 * config.num_hidden_layers as u64 + 1) * tokens * width;
    let layer = tokens * (2 * width + 3 * hidden);
    let product = match precision {
        Precision::F32 => 0,
        Precision::Bf16 => F32_BYTES * (tokens * (width + hidden) + width * hidden),
    };
    StageMemory {
        stage: Stage::TextEncoder,
        weights: network_bytes(&config.init(device), precision),
        activations: precision.bytes() * (states + layer) + product,
    }
}
