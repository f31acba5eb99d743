//! Where weights come from: a file, a folder or memory, opened without reading the tensors.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use half::{bf16, f16};

use super::blob::Blob;
use super::container::{self, Container, START_BYTES};
use super::dtype::StoredDtype;
use super::error::CheckpointError;
use super::{folder, pytorch, safetensors};
use crate::hub::{HubLocation, HubSettings};

/// Names the container that a checkpoint is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointFormat {
    /// One safetensors file.
    Safetensors,
    /// Several safetensors files under one index.
    Sharded,
    /// A PyTorch `.pt` or `.pth` file.
    Pytorch,
}

/// Reads the tensors of one checkpoint by key, each only when asked for.
#[derive(Debug)]
pub struct CheckpointSource {
    pub(super) location: String,
    pub(super) format: CheckpointFormat,
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    pub(super) others: Vec<String>,
    pub(super) metadata: BTreeMap<String, String>,
}

/// A tensor that is known but not read.
#[derive(Debug)]
pub(super) struct StoredTensor {
    pub(super) dtype: StoredDtype,
    pub(super) shape: Vec<usize>,
    pub(super) origin: Origin,
}

/// Where the bytes of a tensor are.
#[derive(Debug)]
pub(super) enum Origin {
    Blob { blob: Arc<Blob>, start: u64, len: usize },
    Pytorch(pytorch_reader::Tensor),
}

impl CheckpointFormat {
    /// Returns the name of the format, for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Sharded => "sharded safetensors",
            Self::Pytorch => "PyTorch",
        }
    }
}

impl CheckpointSource {
    /// Opens a safetensors file, a PyTorch `.pt` or `.pth` file, or a folder in the diffusers layout.
    ///
    /// The content decides, not the name. Only headers are read.
    ///
    /// # Errors
    /// Every variant of [`CheckpointError`] that concerns reading; a truncated or contradictory file is found here.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        if path.is_dir() {
            return folder::open(path);
        }
        if folder::is_distributed_part(path) {
            return Err(CheckpointError::Distributed {
                path: path.to_path_buf(),
            });
        }
        let location = path.display().to_string();
        let read_error = |source| CheckpointError::Read {
            location: location.clone(),
            source,
        };

        let mut start = Vec::new();
        let mut file = File::open(path).map_err(read_error)?.take(START_BYTES);
        file.read_to_end(&mut start).map_err(read_error)?;
        match container::tell(&start, path) {
            Container::Safetensors => Self::safetensors(&location, Blob::open(path).map_err(read_error)?),
            Container::Pytorch => Self::pytorch(path, &location),
            Container::Tar => Err(CheckpointError::TarArchive { location }),
            Container::LfsPointer => Err(CheckpointError::LfsPointer { location }),
            Container::WebPage => Err(CheckpointError::WebPage { location }),
            Container::Unknown => Err(CheckpointError::UnknownFormat {
                location,
                found: start.into_iter().take(8).collect(),
            }),
        }
    }

    /// Opens a file of the Hugging Face Hub: from the cache, or fetched where the feature `hub` is compiled in.
    ///
    /// The index of a sharded model brings its shards.
    ///
    /// # Errors
    /// [`CheckpointError::Hub`], and those of [`open`](Self::open).
    ///
    /// # Example
    /// ```no_run
    /// use worldloop_world_model::checkpoint::CheckpointSource;
    /// use worldloop_world_model::hub::{HubLocation, HubSettings};
    ///
    /// let file = "robot/action-cond/38c6c645-7d41-4560-8eeb-6f4ddc0e6574_ema_bf16.pt";
    /// let location = HubLocation::new("nvidia/Cosmos-Predict2.5-2B", "main", file)?;
    /// let source = CheckpointSource::open_hub(&HubSettings::from_env(), &location)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_hub(settings: &HubSettings, location: &HubLocation) -> Result<Self, CheckpointError> {
        let paths = settings.locate_all(location, |_, _| ControlFlow::Continue(()))?;
        match paths.as_slice() {
            [only] => Self::open(only),
            // The shards lie beside their index.
            [index, ..] => Self::open(index.parent().unwrap_or(index)),
            [] => Self::open(&settings.cache),
        }
    }

    /// Opens a safetensors file that is already in memory; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`CheckpointError::WrongLength`] and [`CheckpointError::Header`].
    pub fn from_bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, CheckpointError> {
        Self::safetensors(name, Blob::Memory(bytes.into()))
    }

    fn safetensors(location: &str, blob: Blob) -> Result<Self, CheckpointError> {
        let (tensors, metadata) = safetensors::parse(&Arc::new(blob), location)?;
        let others = Vec::new();
        Ok(Self {
            location: location.to_string(),
            format: CheckpointFormat::Safetensors,
            tensors,
            others,
            metadata,
        })
    }

    fn pytorch(path: &Path, location: &str) -> Result<Self, CheckpointError> {
        let (tensors, others) = pytorch::parse(path, location)?;
        Ok(Self {
            location: location.to_string(),
            format: CheckpointFormat::Pytorch,
            tensors,
            others,
            metadata: BTreeMap::new(),
        })
    }

    /// Returns the file or folder, for messages.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Returns the container that the checkpoint is stored in.
    pub fn format(&self) -> CheckpointFormat {
        self.format
    }

    /// Returns the keys of all tensors, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Returns the keys of entries that are not tensors, sorted; only PyTorch files have any.
    pub fn other_keys(&self) -> &[String] {
        &self.others
    }

    /// Returns the shape that a tensor is stored in, if the key exists.
    pub fn shape(&self, key: &str) -> Option<&[usize]> {
        self.tensors.get(key).map(|tensor| tensor.shape.as_slice())
    }

    /// Returns the element type that a tensor is stored in, if the key exists.
    pub fn dtype(&self, key: &str) -> Option<StoredDtype> {
        self.tensors.get(key).map(|tensor| tensor.dtype)
    }

    /// Returns the bytes that a tensor takes in the file, if the key exists.
    pub fn byte_len(&self, key: &str) -> Option<u64> {
        self.tensors.get(key).map(|tensor| match &tensor.origin {
            Origin::Blob { len, .. } => *len as u64,
            Origin::Pytorch(tensor) => tensor.byte_len() as u64,
        })
    }

    /// Returns the string metadata of a safetensors file; empty for other formats.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Reads one tensor as `f32`, in row-major order.
    ///
    /// # Errors
    /// [`CheckpointError::MissingTensor`], [`CheckpointError::ElementType`], [`CheckpointError::Damaged`] and
    /// [`CheckpointError::Read`].
    pub fn read(&self, key: &str) -> Result<Vec<f32>, CheckpointError> {
        self.read_with(key, StoredDtype::decode)
    }

    /// Reads one tensor as bfloat16, without a detour where it is stored so.
    pub(super) fn read_bf16(&self, key: &str) -> Result<Vec<bf16>, CheckpointError> {
        self.read_with(key, StoredDtype::decode_bf16)
    }

    /// Reads one tensor in half precision, without a detour where it is stored so.
    pub(super) fn read_f16(&self, key: &str) -> Result<Vec<f16>, CheckpointError> {
        self.read_with(key, StoredDtype::decode_f16)
    }

    fn read_with<T>(
        &self,
        key: &str,
        decode: impl Fn(StoredDtype, &[u8]) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, CheckpointError> {
        let tensor = self.tensors.get(key).ok_or_else(|| CheckpointError::MissingTensor {
            location: self.location.clone(),
            key: key.to_string(),
            available: self.keys().take(3).map(str::to_string).collect(),
        })?;
        if !tensor.dtype.is_weight() {
            return Err(self.element_type(key, tensor));
        }
        let read_error = |source: io::Error| self.unreadable(key, source);
        let bytes = match &tensor.origin {
            Origin::Blob { blob, start, len } => blob.read(*start, *len).map_err(read_error)?,
            // The reader answers in the machine's byte order; every target of Burn is little-endian.
            Origin::Pytorch(tensor) => Cow::Owned(tensor.read().map_err(read_error)?),
        };
        decode(tensor.dtype, &bytes).ok_or_else(|| self.element_type(key, tensor))
    }

    /// Tells a file whose content is wrong from one that can't be read.
    fn unreadable(&self, key: &str, source: io::Error) -> CheckpointError {
        let location = self.location.clone();
        match source.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => CheckpointError::Damaged {
                location,
                key: key.to_string(),
                source,
            },
            _ => CheckpointError::Read { location, source },
        }
    }

    fn element_type(&self, key: &str, tensor: &StoredTensor) -> CheckpointError {
        CheckpointError::ElementType {
            location: self.location.clone(),
            key: key.to_string(),
            dtype: tensor.dtype.to_string(),
        }
    }
}
