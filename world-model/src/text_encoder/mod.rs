//! The text encoder of Cosmos-Predict2.5: the text tower of Cosmos-Reason1-7B, a Qwen2.5-VL.
//!
//! A [`TextEncoder`] reads the token ids of a prompt and answers with the states of all its layers, standardised and
//! side by side, which [`Dit::project_context`](crate::dit::Dit::project_context) takes. [`chat_prompt`] and
//! [`pad_or_cut`] say what the ids are of; `PromptTokenizer` (feature `tokenizer`) makes them. A [`TextEmbedding`]
//! on disk stands in for the encoder where its 15 GB are too much.
//!
//! Key facts: causal attention in which groups of query heads share keys and values, over the padding too; biases on
//! queries, keys and values only; rotary positions; gated feed-forward; norms that round before their weight.
//!
//! Paper: Cosmos-Reason1, arXiv 2503.15558; Qwen2.5-VL Technical Report, arXiv 2502.13923.

mod attention;
mod config;
mod config_file;
mod embedding;
mod feed_forward;
mod fingerprint;
mod full_concat;
mod layer;
mod model;
mod prompt;
#[cfg(test)]
mod tests;
#[cfg(feature = "tokenizer")]
mod tokenizer;

pub use attention::{GroupedQueryAttention, GroupedQueryAttentionConfig};
pub use config::{TextEncoderConfig, TextEncoderConfigError};
pub use config_file::{TextEncoderConfigFileError, with_config_file};
pub use embedding::{TextEmbedding, TextEmbeddingError, TextEmbeddingHeader};
pub use feed_forward::{GatedFeedForward, GatedFeedForwardConfig};
pub use fingerprint::checkpoint_fingerprint;
pub use full_concat::concat_standardized;
pub use layer::{TextEncoderLayer, TextEncoderLayerConfig};
pub use model::TextEncoder;
pub use prompt::{CONTEXT_TOKENS, NEGATIVE_PROMPT, PAD_TOKEN, SYSTEM_PROMPT, chat_prompt, pad_or_cut};
#[cfg(feature = "tokenizer")]
pub use tokenizer::{PromptTokenizer, PromptTokenizerError};
