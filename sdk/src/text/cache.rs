//! Embeddings of prompts that never change, computed once per text encoder and kept on disk.

use std::ffi::OsString;
use std::path::PathBuf;

use worldloop_world_model::checkpoint::SaveDtype;
use worldloop_world_model::text_encoder::{NEGATIVE_PROMPT, TextEmbedding};

use super::error::TextError;
use crate::device::Device;

/// Variable that names the folder of everything kept between runs.
const OVERRIDE: &str = "WORLDLOOP_CACHE";

/// Folder of embeddings in the cache.
const FOLDER: &str = "text-embeddings";

/// Returns the folder for what is kept between runs: `WORLDLOOP_CACHE`, or `worldloop` in the user's cache folder; none
/// where there is no home.
pub fn cache_folder() -> Option<PathBuf> {
    cache_folder_from(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn cache_folder_from(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| variable(name).map(PathBuf::from);
    path(OVERRIDE).or_else(|| {
        let user = path("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let user = user.or_else(|| Some(path("HOME")?.join(".cache")));
        Some(user?.join("worldloop"))
    })
}

/// A prompt whose embedding is worth keeping, at 103 MB for the released encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommonPrompt {
    /// The empty prompt, which the action-conditioned models were trained with.
    Empty,
    /// The default negative prompt.
    Negative,
}

impl CommonPrompt {
    /// Returns the one with this text, if there is one.
    pub fn of(prompt: &str) -> Option<Self> {
        [Self::Empty, Self::Negative]
            .into_iter()
            .find(|common| common.text() == prompt)
    }

    /// Returns the prompt.
    pub fn text(self) -> &'static str {
        match self {
            Self::Empty => "",
            Self::Negative => NEGATIVE_PROMPT,
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Empty => "empty.safetensors",
            Self::Negative => "negative.safetensors",
        }
    }
}

/// Kept embeddings, apart by the text encoder's fingerprint and the precision.
#[derive(Debug, Clone)]
pub struct EmbeddingCache {
    folder: PathBuf,
}

impl EmbeddingCache {
    /// Opens the cache of the user; none where there is no home.
    pub fn of_user() -> Option<Self> {
        cache_folder().map(Self::at)
    }

    /// Opens a cache in a folder, which need not exist.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Returns where an embedding is kept.
    pub fn path(&self, fingerprint: &str, dtype: SaveDtype, prompt: CommonPrompt) -> PathBuf {
        let precision = match dtype {
            SaveDtype::Bf16 => "bf16",
            SaveDtype::F16 => "f16",
            SaveDtype::F32 => "f32",
        };
        let encoder = format!("{fingerprint}-{precision}");
        self.folder.join(FOLDER).join(encoder).join(prompt.file())
    }

    /// Returns a kept embedding; one that is damaged or of another width counts as none.
    pub fn find(
        &self,
        fingerprint: &str,
        dtype: SaveDtype,
        prompt: CommonPrompt,
        width: usize,
        device: &Device,
    ) -> Option<TextEmbedding> {
        let path = self.path(fingerprint, dtype, prompt);
        let kept = path.is_file().then(|| TextEmbedding::load(path, width, device));
        kept?.ok().filter(|embedding| embedding.prompt == prompt.text())
    }

    /// Keeps an embedding.
    ///
    /// # Errors
    /// [`TextError::Read`] if the folder can't be made, [`TextError::Embedding`] if the file can't be written.
    pub fn keep(
        &self,
        fingerprint: &str,
        dtype: SaveDtype,
        prompt: CommonPrompt,
        embedding: &TextEmbedding,
    ) -> Result<(), TextError> {
        let path = self.path(fingerprint, dtype, prompt);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| TextError::Read {
                path: folder.to_owned(),
                source,
            })?;
        }
        Ok(embedding.save(path, dtype)?)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    #[test]
    fn the_cache_is_where_the_user_says_then_where_the_system_does() {
        let from = |variables: &[(&str, &str)]| {
            cache_folder_from(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.into())
            })
        };
        let home = ("HOME", "/home/a");
        assert_eq!(from(&[home]), Some("/home/a/.cache/worldloop".into()));
        assert_eq!(from(&[home, ("XDG_CACHE_HOME", "/c")]), Some("/c/worldloop".into()));
        assert_eq!(from(&[home, ("WORLDLOOP_CACHE", "here")]), Some("here".into()));
        let relative = ("XDG_CACHE_HOME", "not/absolute");
        assert_eq!(from(&[home, relative]), Some("/home/a/.cache/worldloop".into()));
        assert_eq!(from(&[]), None);
    }

    #[test]
    fn an_embedding_is_found_by_encoder_and_precision_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = EmbeddingCache::at(folder.path());
        let device = Device::flex();
        let embedding = TextEmbedding {
            tokens: Tensor::ones([3, 8], &device),
            prompt: String::new(),
            model_fingerprint: "f".into(),
        };
        let (bf16, empty) = (SaveDtype::Bf16, CommonPrompt::Empty);
        assert!(cache.find("a", bf16, empty, 8, &device).is_none());
        cache.keep("a", bf16, empty, &embedding).unwrap();
        let found = cache.find("a", bf16, empty, 8, &device).expect("it is kept");
        assert_eq!(found.tokens.dims(), [3, 8]);
        assert!(cache.find("b", bf16, empty, 8, &device).is_none());
        assert!(cache.find("a", SaveDtype::F32, empty, 8, &device).is_none());
        assert!(cache.find("a", bf16, empty, 9, &device).is_none());
        assert!(cache.find("a", bf16, CommonPrompt::Negative, 8, &device).is_none());
        std::fs::write(cache.path("a", bf16, empty), "damaged").unwrap();
        assert!(cache.find("a", bf16, empty, 8, &device).is_none());
    }
}
