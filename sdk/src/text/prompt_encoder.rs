//! A text encoder on disk, which is loaded when the first prompt needs it.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use worldloop_world_model::catalog::{Recognized, recognize};
use worldloop_world_model::checkpoint::{CheckpointSource, SaveDtype};
#[cfg(feature = "tokenizer")]
use worldloop_world_model::text_encoder::PromptTokenizer;
use worldloop_world_model::text_encoder::{
    TextEmbedding, TextEncoder, TextEncoderConfig, checkpoint_fingerprint, with_config_file,
};

use super::cache::{CommonPrompt, EmbeddingCache};
use super::error::TextError;
use crate::device::Device;

/// What makes token ids of a prompt.
#[cfg(feature = "tokenizer")]
type Tokenizer = PromptTokenizer;
/// There is none in this build, and so no [`PromptEncoder`].
#[cfg(not(feature = "tokenizer"))]
type Tokenizer = std::convert::Infallible;

/// Turns prompts into embeddings.
#[derive(Debug)]
pub struct PromptEncoder {
    tokenizer: Tokenizer,
    config: TextEncoderConfig,
    source: CheckpointSource,
    fingerprint: String,
    dtype: SaveDtype,
    device: Device,
    encoder: Option<TextEncoder>,
    cache: Option<EmbeddingCache>,
}

/// How far the encoding of one prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodingProgress {
    /// Layers that are done.
    pub layers: usize,
    /// Layers there are.
    pub of: usize,
}

impl PromptEncoder {
    /// Opens the checkpoint folder of a text encoder, with the tokenizer in it or in a folder of its own. No large weight
    /// is read. Prompts that are in the cache, if there is one, are not encoded again.
    ///
    /// # Errors
    /// [`TextError::NoTokenizer`] in a build without the feature `tokenizer`, and others that name the folder.
    pub fn open(
        folder: &Path,
        tokenizer: Option<&Path>,
        dtype: SaveDtype,
        device: &Device,
        cache: Option<EmbeddingCache>,
    ) -> Result<Self, TextError> {
        let tokenizer = open_tokenizer(tokenizer.unwrap_or(folder))?;
        let source = CheckpointSource::open(folder)?;
        let config = match recognize(&source)? {
            Recognized::TextEncoder(config) => with_config_file(config, folder)?,
            other => {
                return Err(TextError::NoTextEncoder {
                    folder: folder.to_owned(),
                    found: kind(&other),
                });
            }
        };
        Ok(Self {
            tokenizer,
            config,
            fingerprint: checkpoint_fingerprint(&source)?,
            source,
            dtype,
            device: device.clone(),
            encoder: None,
            cache,
        })
    }

    /// Returns the width of the embeddings.
    pub fn width(&self) -> usize {
        self.config.embedding_channels()
    }

    /// Returns the name of the checkpoint.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns where the embedding of a prompt is or would be kept; none for prompts that are not kept.
    pub fn cached_path(&self, prompt: &str) -> Option<PathBuf> {
        let cache = self.cache.as_ref()?;
        Some(cache.path(&self.fingerprint, self.dtype, CommonPrompt::of(prompt)?))
    }

    /// Encodes a prompt, or takes it from the cache. The weights are loaded by the first prompt that needs them.
    ///
    /// `progress` is told before the first layer and after each.
    ///
    /// # Errors
    /// [`TextError`] if the weights can't be loaded or the prompt not be encoded. An embedding that can't be kept is no
    /// error: it is computed again next time.
    pub fn encode(
        &mut self,
        prompt: &str,
        mut progress: impl FnMut(EncodingProgress),
    ) -> Result<TextEmbedding, TextError> {
        let common = CommonPrompt::of(prompt).zip(self.cache.clone());
        if let Some((common, cache)) = &common {
            let width = self.width();
            if let Some(kept) = cache.find(&self.fingerprint, self.dtype, *common, width, &self.device) {
                return Ok(kept);
            }
        }
        let ids = token_ids(&self.tokenizer, prompt)?;
        let of = self.config.num_hidden_layers;
        progress(EncodingProgress { layers: 0, of });
        let encoder = match self.encoder.take() {
            Some(encoder) => encoder,
            None => TextEncoder::load(&self.config, &self.source, to_dtype(self.dtype), &self.device)?.0,
        };
        let encoder = self.encoder.insert(encoder);
        let embedding = TextEmbedding::encode_by_layer(encoder, prompt, &ids, |layers| {
            progress(EncodingProgress { layers, of })
        })?;
        if let Some((common, cache)) = &common {
            let _ = cache.keep(&self.fingerprint, self.dtype, *common, &embedding);
        }
        Ok(embedding)
    }
}

fn to_dtype(dtype: SaveDtype) -> DType {
    match dtype {
        SaveDtype::Bf16 => DType::BF16,
        SaveDtype::F16 => DType::F16,
        SaveDtype::F32 => DType::F32,
    }
}

fn kind(recognized: &Recognized) -> &'static str {
    match recognized {
        Recognized::Transformer(_) | Recognized::Control(_) => "a diffusion transformer",
        Recognized::Vae(_) => "a video VAE",
        _ => "something else",
    }
}

#[cfg(feature = "tokenizer")]
fn open_tokenizer(folder: &Path) -> Result<Tokenizer, TextError> {
    PromptTokenizer::open(folder).map_err(|error| TextError::Tokenizer(error.into()))
}

#[cfg(not(feature = "tokenizer"))]
fn open_tokenizer(_: &Path) -> Result<Tokenizer, TextError> {
    Err(TextError::NoTokenizer)
}

#[cfg(feature = "tokenizer")]
fn token_ids(tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>, TextError> {
    tokenizer
        .encode(prompt)
        .map_err(|error| TextError::Tokenizer(error.into()))
}

#[cfg(not(feature = "tokenizer"))]
fn token_ids(tokenizer: &Tokenizer, _: &str) -> Result<Vec<u32>, TextError> {
    match *tokenizer {}
}
