//! The embedding of one prompt: computed, kept in a file, and read again without the encoder.

use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use thiserror::Error;

use super::model::TextEncoder;
use crate::checkpoint::{CheckpointError, CheckpointSource, CheckpointWriter, SaveDtype, StoredDtype};

/// Name of the one tensor in a file.
const TENSOR: &str = "text_embedding";

/// Metadata that says what was encoded.
const PROMPT: &str = "prompt";

/// Metadata that says with which weights.
const FINGERPRINT: &str = "model_fingerprint";

/// A prompt as the transformer takes it, and what it was made from.
#[derive(Debug, Clone)]
pub struct TextEmbedding {
    /// The embedding, `[tokens, width]`.
    pub tokens: Tensor<2>,
    /// The prompt, as it was before the chat template.
    pub prompt: String,
    /// Name of the encoder's weights, from [`TextEncoder::fingerprint`].
    pub model_fingerprint: String,
}

/// What a file with an embedding says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextEmbeddingHeader {
    /// The prompt, as it was before the chat template.
    pub prompt: String,
    /// Sizes of the embedding: tokens and width.
    pub shape: Vec<usize>,
}

/// Explains why an embedding could not be computed, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TextEmbeddingError {
    /// There are no ids to encode.
    #[error("prompt {prompt:?} has no token ids; pad them to the length that the transformer was trained with")]
    NoTokens {
        /// The prompt.
        prompt: String,
    },
    /// An id has no vector in the encoder.
    #[error(
        "token id {id} at position {position} of prompt {prompt:?} is outside the encoder's vocabulary of \
         {vocab_size}; use the tokenizer that belongs to its weights"
    )]
    TokenId {
        /// The prompt.
        prompt: String,
        /// The id.
        id: u32,
        /// Its index among the prompt's ids.
        position: usize,
        /// Number of ids that the encoder knows.
        vocab_size: usize,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file holds something else.
    #[error(
        "{path} is no text embedding: expected a tensor `text_embedding`, found {found:?}; name a file written by \
         `TextEmbedding::save`, or encode the prompt again"
    )]
    MissingTensor {
        /// The file.
        path: String,
        /// A few tensors that are there.
        found: Vec<String>,
    },
    /// The file does not say what was encoded, or with which weights.
    #[error(
        "{path} is an incomplete text embedding: expected metadata `{field}`, found {found:?}; encode the prompt again"
    )]
    MissingMetadata {
        /// The file.
        path: String,
        /// The field.
        field: &'static str,
        /// Fields that are there.
        found: Vec<String>,
    },
    /// The embedding is not one that the network can take.
    #[error(
        "`text_embedding` in {path} has shape {found:?}, expected [tokens, {width}]; encode the prompt with the text \
         encoder that the network was trained with"
    )]
    Shape {
        /// The file.
        path: String,
        /// Width that the network takes.
        width: usize,
        /// Shape that is stored.
        found: Vec<usize>,
    },
}

impl TextEmbedding {
    /// Encodes the ids of a prompt, on the encoder's device.
    ///
    /// # Errors
    /// [`TextEmbeddingError::NoTokens`] and [`TextEmbeddingError::TokenId`].
    pub fn encode(encoder: &TextEncoder, prompt: &str, ids: &[u32]) -> Result<Self, TextEmbeddingError> {
        Self::encode_by_layer(encoder, prompt, ids, |_| ())
    }

    /// Encodes the ids as [`encode`](Self::encode) does, and says after each layer how many are done.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn encode_by_layer(
        encoder: &TextEncoder,
        prompt: &str,
        ids: &[u32],
        progress: impl FnMut(usize),
    ) -> Result<Self, TextEmbeddingError> {
        let prompt = prompt.to_string();
        if ids.is_empty() {
            return Err(TextEmbeddingError::NoTokens { prompt });
        }
        let vocab_size = encoder.vocab_size();
        if let Some(position) = ids.iter().position(|id| *id as usize >= vocab_size) {
            let id = ids[position];
            return Err(TextEmbeddingError::TokenId {
                prompt,
                id,
                position,
                vocab_size,
            });
        }
        let data = TensorData::new(ids.iter().map(|id| i64::from(*id)).collect(), [1, ids.len()]);
        let ids = Tensor::<2, Int>::from_data(data, &encoder.embed_tokens.weight.device());
        Ok(Self {
            tokens: encoder.forward_by_layer(ids, progress).squeeze_dim(0),
            prompt,
            model_fingerprint: encoder.fingerprint(),
        })
    }

    /// Returns the embedding as a batch of one, for [`Dit::project_context`](crate::dit::Dit::project_context).
    ///
    /// # Shapes
    /// - output: `[1, tokens, width]`
    pub fn text(&self) -> Tensor<3> {
        self.tokens.clone().unsqueeze()
    }

    /// Writes a safetensors file. In [`SaveDtype::Bf16`], the precision of the released encoder, a released embedding
    /// takes 103 MB.
    ///
    /// # Errors
    /// [`TextEmbeddingError::Checkpoint`].
    pub fn save(&self, path: impl AsRef<Path>, dtype: SaveDtype) -> Result<(), TextEmbeddingError> {
        Ok(self.write(path.as_ref(), dtype)?)
    }

    /// Writes a safetensors file.
    pub(crate) fn write(&self, path: &Path, dtype: SaveDtype) -> Result<(), CheckpointError> {
        CheckpointWriter::new(dtype)
            .with_tensor(TENSOR, &self.tokens)
            .with_metadata(PROMPT, self.prompt.as_str())
            .with_metadata(FINGERPRINT, self.model_fingerprint.as_str())
            .save(path)
    }

    /// Returns what an embedding in a file is of, and nothing if the file holds something else.
    pub(crate) fn header_of(source: &CheckpointSource) -> Option<TextEmbeddingHeader> {
        Some(TextEmbeddingHeader {
            shape: source.shape(TENSOR)?.to_vec(),
            prompt: source.metadata().get(PROMPT)?.clone(),
        })
    }

    /// Says what a file is an embedding of; the embedding itself is not read.
    ///
    /// # Errors
    /// [`TextEmbeddingError::Checkpoint`], [`TextEmbeddingError::MissingTensor`] and
    /// [`TextEmbeddingError::MissingMetadata`].
    pub fn header(path: impl AsRef<Path>) -> Result<TextEmbeddingHeader, TextEmbeddingError> {
        let source = CheckpointSource::open(path)?;
        Ok(TextEmbeddingHeader {
            shape: stored_shape(&source)?.to_vec(),
            prompt: metadata(&source, PROMPT)?,
        })
    }

    /// Reads a file for a network that takes embeddings of `width`, such as
    /// [`DitConfig::text_channels`](crate::dit::DitConfig::text_channels).
    ///
    /// What was saved in bfloat16 stays so where the device computes in it; everything else becomes float32.
    ///
    /// # Errors
    /// Every variant that names a file.
    pub fn load(path: impl AsRef<Path>, width: usize, device: &Device) -> Result<Self, TextEmbeddingError> {
        let source = CheckpointSource::open(path)?;
        let path = source.location().to_string();
        let found = stored_shape(&source)?;
        let shape = match *found {
            [tokens, stored] if tokens > 0 && stored == width => [tokens, width],
            _ => {
                let found = found.to_vec();
                return Err(TextEmbeddingError::Shape { path, width, found });
            }
        };
        let (prompt, model_fingerprint) = (metadata(&source, PROMPT)?, metadata(&source, FINGERPRINT)?);
        let dtype = match source.dtype(TENSOR) {
            Some(StoredDtype::Bf16) if device.supports_dtype(DType::BF16) => DType::BF16,
            _ => DType::F32,
        };
        let data = TensorData::new(source.read(TENSOR)?, shape);
        Ok(Self {
            tokens: Tensor::from_data(data, (device, dtype)),
            prompt,
            model_fingerprint,
        })
    }
}

fn stored_shape(source: &CheckpointSource) -> Result<&[usize], TextEmbeddingError> {
    source.shape(TENSOR).ok_or_else(|| TextEmbeddingError::MissingTensor {
        path: source.location().to_string(),
        found: source.keys().take(3).map(str::to_string).collect(),
    })
}

fn metadata(source: &CheckpointSource, field: &'static str) -> Result<String, TextEmbeddingError> {
    let value = source.metadata().get(field).cloned();
    value.ok_or_else(|| TextEmbeddingError::MissingMetadata {
        path: source.location().to_string(),
        field,
        found: source.metadata().keys().cloned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::config::TextEncoderConfig;
    use super::*;

    fn embedding() -> TextEmbedding {
        let encoder = TextEncoderConfig::tiny().init(&Device::flex());
        TextEmbedding::encode(&encoder, "push the cube", &[3, 1, 319]).expect("ids are in the vocabulary")
    }

    fn width() -> usize {
        TextEncoderConfig::tiny().embedding_channels()
    }

    #[test]
    fn what_was_saved_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prompt.safetensors");
        let saved = embedding();
        saved.save(&path, SaveDtype::F32).expect("writable");
        let header = TextEmbedding::header(&path).expect("readable");
        assert_eq!((header.prompt, header.shape), (saved.prompt.clone(), vec![3, width()]));
        let read = TextEmbedding::load(&path, width(), &Device::flex()).expect("readable");
        assert_eq!(read.text().dims(), [1, 3, width()]);
        assert_eq!(read.tokens.to_data(), saved.tokens.to_data());
        assert_eq!(read.prompt, saved.prompt);
        assert_eq!(read.model_fingerprint, saved.model_fingerprint);

        saved.save(&path, SaveDtype::Bf16).expect("writable");
        let read = TextEmbedding::load(&path, width(), &Device::flex()).expect("readable");
        assert_eq!(read.tokens.to_data(), saved.tokens.cast(DType::BF16).to_data());
    }

    #[test]
    fn an_embedding_for_another_network_is_refused_by_its_width() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("prompt.safetensors");
        embedding().save(&path, SaveDtype::F32).expect("writable");
        let message = TextEmbedding::load(&path, 40, &Device::flex())
            .expect_err("64 is not 40")
            .to_string();
        for part in ["prompt.safetensors", "[3, 64]", "[tokens, 40]", "encode the prompt"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn files_that_are_no_embeddings_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("other.safetensors");
        let tensor = Tensor::<2>::zeros([2, 4], &Device::flex());
        let write = |key: &str| {
            let written = CheckpointWriter::new(SaveDtype::F32)
                .with_tensor(key, &tensor)
                .save(&path);
            written.expect("writable");
        };
        let message = || {
            TextEmbedding::load(&path, 4, &Device::flex())
                .expect_err("incomplete")
                .to_string()
        };
        write("latents");
        assert!(message().contains("found [\"latents\"]"), "{}", message());
        write(TENSOR);
        assert!(message().contains("metadata `prompt`"), "{}", message());
    }

    #[test]
    fn ids_outside_the_vocabulary_are_refused() {
        let encoder = TextEncoderConfig::tiny().init(&Device::flex());
        let error = TextEmbedding::encode(&encoder, "p", &[0, 320]).expect_err("320 ids");
        assert!(
            matches!(
                error,
                TextEmbeddingError::TokenId {
                    id: 320,
                    position: 1,
                    vocab_size: 320,
                    ..
                }
            ),
            "{error}"
        );
        assert!(matches!(
            TextEmbedding::encode(&encoder, "p", &[]),
            Err(TextEmbeddingError::NoTokens { .. })
        ));
    }
}
