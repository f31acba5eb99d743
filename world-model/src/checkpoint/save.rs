//! Weights out of a module: a safetensors file with string metadata, the same bytes for the same weights.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde_json::{Value, json};

use super::dtype::SaveDtype;
use super::error::CheckpointError;
use super::key_map::{KeyMap, ModulePath};
use super::load::transpose;

/// The header is padded so that tensors start at a multiple of this.
const ALIGNMENT: usize = 8;

/// Collects the weights of one or more modules and writes them as safetensors.
///
/// Keys are sorted, so equal weights and metadata give equal bytes.
///
/// # Example
/// ```no_run
/// # use worldloop_world_model::checkpoint::{CheckpointError, CheckpointWriter, KeyMap, SaveDtype};
/// # fn example(module: burn::nn::Linear) -> Result<(), CheckpointError> {
/// CheckpointWriter::new(SaveDtype::Bf16)
///     .with_module("", &module, &KeyMap::identity())
///     .with_metadata("config", r#"{"d_model": 16}"#)
///     .save("weights.safetensors")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct CheckpointWriter {
    pub(super) dtype: SaveDtype,
    pub(super) tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    metadata: BTreeMap<String, String>,
}

impl CheckpointWriter {
    /// Creates a writer that stores every weight in the given element type.
    pub fn new(dtype: SaveDtype) -> Self {
        Self {
            dtype,
            ..Self::default()
        }
    }

    /// Adds the parameters of a module under the names of `key_map`, each with `prefix` before it.
    pub fn with_module<M: Module>(mut self, prefix: &str, module: &M, key_map: &KeyMap) -> Self {
        let mut collector = Collector {
            prefix,
            key_map,
            path: ModulePath::default(),
            tensors: &mut self.tensors,
        };
        module.visit(&mut collector);
        self
    }

    /// Adds one tensor as it is.
    pub fn with_tensor<const D: usize>(mut self, key: impl Into<String>, tensor: &Tensor<D>) -> Self {
        let data = tensor.to_data();
        let values = data.iter::<f32>().collect();
        self.tensors.insert(key.into(), (data.shape().to_vec(), values));
        self
    }

    /// Adds one string, such as a config as JSON.
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Returns the whole file as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Writing to memory cannot fail.
        let _infallible = self.write(&mut bytes);
        bytes
    }

    /// Writes the file beside its destination and moves it there, so that a half-written file is never seen.
    ///
    /// # Errors
    /// [`CheckpointError::Write`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        write_whole(path.as_ref(), |file| {
            let mut file = io::BufWriter::new(file);
            self.write(&mut file)?;
            file.into_inner()?.sync_all()
        })
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut header = serde_json::to_vec(&self.header())?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        for (_, values) in self.tensors.values() {
            out.write_all(&self.dtype.encode(values))?;
        }
        Ok(())
    }

    fn header(&self) -> BTreeMap<&str, Value> {
        let mut header = BTreeMap::new();
        if !self.metadata.is_empty() {
            header.insert("__metadata__", json!(self.metadata));
        }
        let mut start = 0;
        for (key, (shape, values)) in &self.tensors {
            let end = start + values.len() * self.dtype.size();
            let entry = json!({ "dtype": self.dtype.header_name(), "shape": shape, "data_offsets": [start, end] });
            header.insert(key.as_str(), entry);
            start = end;
        }
        header
    }
}

/// Writes a file beside its destination and moves it there.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(File) -> io::Result<()>) -> Result<(), CheckpointError> {
    let mut partial = path.as_os_str().to_os_string();
    partial.push(".partial");
    let partial = Path::new(&partial);
    File::create(partial)
        .and_then(write)
        .and_then(|()| std::fs::rename(partial, path))
        .map_err(|source| {
            // The partial file is of no use to anyone; failing to remove it changes nothing.
            let _already_failed = std::fs::remove_file(partial);
            CheckpointError::Write {
                path: path.to_path_buf(),
                source,
            }
        })
}

/// Walks a module and copies its parameters.
struct Collector<'a> {
    prefix: &'a str,
    key_map: &'a KeyMap,
    path: ModulePath,
    tensors: &'a mut BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let data = param.transform_for_save().val().to_data();
        let mut shape = data.shape().to_vec();
        let mut values: Vec<f32> = data.iter::<f32>().collect();
        if self.path.is_linear_weight() {
            values = transpose(&values, &shape);
            shape.reverse();
        }
        let key = format!("{}{}", self.prefix, self.key_map.to_stored(&self.path.parameter()));
        self.tensors.insert(key, (shape, values));
    }
}
