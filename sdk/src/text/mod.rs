//! Prompts as the networks take them: encoded here, or kept in files from elsewhere.
//!
//! A [`PromptEncoder`] needs the text encoder's checkpoint (15 GB for the released one) and the feature `tokenizer`. An
//! [`EmbeddingLibrary`] finds kept embeddings by their prompts, and an [`EmbeddingCache`] keeps those of the two
//! prompts that every user needs.

mod cache;
mod error;
mod library;
mod prompt_encoder;

pub use cache::{CommonPrompt, EmbeddingCache, cache_folder};
pub use error::TextError;
pub use library::{EmbeddingLibrary, TextSource, TextSources};
pub use prompt_encoder::{EncodingProgress, PromptEncoder};
