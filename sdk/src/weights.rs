//! The weights of a learned world: a folder, or what is embedded in this binary.
//!
//! | file | what |
//! |---|---|
//! | `world.safetensors` | the world model, VAE and transformer, with its config as `config` in the metadata |
//! | `judge.safetensors` | the judge |
//! | `cloned.safetensors` | the cloned policy |
//! | `cloned-*.safetensors` | earlier checkpoints of it, in the order of their names |

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{DType, Device};
use worldloop_policies::PolicyError;
use worldloop_policies::cloned::{ClonedCheckpoints, ClonedWeightsError};
use worldloop_world_model::checkpoint::{CheckpointError, CheckpointSource};
use worldloop_world_model::judge::{FrameJudge, JudgeWeightsError};
use worldloop_world_model::pipeline::{PipelineError, Predict};

use crate::policy_source::PolicySource;
use crate::rollout::LearnedParts;

/// File of the world model.
pub const WORLD_FILE: &str = "world.safetensors";
/// File of the judge.
pub const JUDGE_FILE: &str = "judge.safetensors";
/// File of the cloned policy.
pub const CLONED_FILE: &str = "cloned.safetensors";

/// Start of the names of earlier checkpoints of the cloned policy.
const CLONED_EARLIER: &str = "cloned-";

/// Why weights can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A folder or file could not be read.
    #[error("cannot read `{}`: {source}. Check that it exists and is readable", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not there.
    #[error(
        "{location} has no `{file}`, it has: {found}. Train the missing network with `worldloop train`, or name another folder"
    )]
    Missing {
        /// The folder, or the binary.
        location: String,
        /// The file.
        file: &'static str,
        /// Files that are there.
        found: String,
    },
    /// The world model's config or weights can't be used.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The weights are damaged or do not fit their config.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The judge's weights can't be used.
    #[error(transparent)]
    Judge(#[from] JudgeWeightsError),
    /// The cloned policy's weights can't be used.
    #[error("`{file}` in {location}: {source}")]
    Cloned {
        /// The folder, or the binary.
        location: String,
        /// The first file that was read.
        file: &'static str,
        /// What is wrong.
        source: ClonedWeightsError,
    },
    /// There is no such policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// Weight files in memory.
#[derive(Debug, Clone)]
pub struct Weights {
    location: String,
    files: BTreeMap<String, Cow<'static, [u8]>>,
    dtype: DType,
}

impl Weights {
    /// Returns those of this binary; empty in a build without any.
    pub fn embedded() -> Self {
        let files = crate::embedded::FILES
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Cow::Borrowed(*bytes)));
        Self {
            location: "this build of worldloop".to_owned(),
            files: files.collect(),
            dtype: DType::F32,
        }
    }

    /// Reads those of a folder.
    ///
    /// # Errors
    /// [`WeightsError::Read`].
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        let error = |path: &Path| {
            let path = path.to_path_buf();
            move |source| WeightsError::Read { path, source }
        };
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(error(folder))? {
            let path = entry.map_err(error(folder))?.path();
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.insert(name, Cow::Owned(std::fs::read(&path).map_err(error(&path))?));
            }
        }
        Ok(Self {
            location: format!("`{}`", folder.display()),
            files,
            dtype: DType::F32,
        })
    }

    /// Reads those of a folder, or takes the embedded ones where none is named.
    ///
    /// # Errors
    /// [`WeightsError::Read`].
    pub fn find(folder: Option<&Path>) -> Result<Self, WeightsError> {
        folder.map_or_else(|| Ok(Self::embedded()), Self::open)
    }

    /// Holds the weights of the world's transformer in another dtype than float32.
    pub fn with_dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    /// Makes the world model and the judge.
    ///
    /// # Errors
    /// [`WeightsError`] that names the file and what is wrong with it.
    pub fn learned(&self, device: &Device) -> Result<LearnedParts, WeightsError> {
        let judge = FrameJudge::load(&self.source(JUDGE_FILE)?, device)?;
        let model = self.world_model(device)?;
        let mut fingerprint = fingerprint([self.bytes(WORLD_FILE)?, self.bytes(JUDGE_FILE)?]);
        if self.dtype != DType::F32 {
            fingerprint += &format!("-{:?}", self.dtype);
        }
        Ok(LearnedParts {
            model: Arc::new(model),
            judge: Arc::new(judge),
            fingerprint,
        })
    }

    /// Makes the world model alone.
    ///
    /// # Errors
    /// [`WeightsError`] that names what is wrong with the file.
    pub fn world_model(&self, device: &Device) -> Result<Predict, WeightsError> {
        Ok(Predict::load_as(&self.source(WORLD_FILE)?, self.dtype, device)?)
    }

    /// Makes the source of policies, with the cloned ones if their weights are there.
    ///
    /// # Errors
    /// [`WeightsError::Cloned`] if they are there but damaged.
    pub fn policies(&self, device: &Device) -> Result<PolicySource, WeightsError> {
        let source = PolicySource::new();
        let Some(last) = self.files.get(CLONED_FILE) else {
            return Ok(source);
        };
        let earlier = self.files.iter().filter(|(name, _)| name.starts_with(CLONED_EARLIER));
        let earlier: Vec<&[u8]> = earlier.map(|(_, bytes)| bytes.as_ref()).collect();
        let checkpoints =
            ClonedCheckpoints::from_safetensors(&earlier, last, device).map_err(|source| WeightsError::Cloned {
                location: self.location.clone(),
                file: CLONED_FILE,
                source,
            })?;
        Ok(source.with_cloned(checkpoints))
    }

    fn bytes(&self, file: &'static str) -> Result<&Cow<'static, [u8]>, WeightsError> {
        self.files.get(file).ok_or_else(|| {
            let found: Vec<&str> = self.files.keys().map(String::as_str).collect();
            let found = if found.is_empty() {
                "no weights at all".to_owned()
            } else {
                found.join(", ")
            };
            WeightsError::Missing {
                location: self.location.clone(),
                file,
                found,
            }
        })
    }

    fn source(&self, file: &'static str) -> Result<CheckpointSource, WeightsError> {
        let name = format!("{file} in {}", self.location);
        Ok(CheckpointSource::from_bytes(&name, self.bytes(file)?.clone())?)
    }
}

/// Returns a short text that differs between different contents (FNV-1a with 64 bits).
fn fingerprint<'a>(files: impl IntoIterator<Item = &'a Cow<'static, [u8]>>) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in files.into_iter().flat_map(|bytes| bytes.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_folder_or_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Weights::open(&folder.path().join("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
        std::fs::write(folder.path().join("other.safetensors"), b"").unwrap();
        let error = Weights::open(folder.path())
            .unwrap()
            .learned(&Device::flex())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(JUDGE_FILE) && error.contains("other.safetensors"),
            "{error}"
        );
    }

    #[test]
    fn different_weights_have_different_fingerprints() {
        let print = |bytes: &'static [u8]| fingerprint([&Cow::Borrowed(bytes)]);
        assert_ne!(print(b"abc"), print(b"xyz"));
        assert_eq!(print(b"abc"), print(b"abc"));
    }
}
