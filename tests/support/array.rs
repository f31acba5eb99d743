//! Tensors of a golden file, in double precision.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};

/// A tensor read from a golden file, or computed to be compared with one.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Lengths of the axes, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order; every element type that golden files use is exact in `f64` at their magnitudes.
    pub values: Vec<f64>,
}

/// Why a golden file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ArrayError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not safetensors.
    #[error("{path} is not a safetensors file: {source}")]
    Format {
        /// The file.
        path: String,
        /// What the parser said.
        source: safetensors::SafeTensorError,
    },
    /// The file holds an element type that no golden case has.
    #[error("tensor `{name}` has element type {dtype:?}, which golden files do not use")]
    ElementType {
        /// The tensor.
        name: String,
        /// Its element type.
        dtype: Dtype,
    },
}

impl Array {
    /// Reads every tensor of a safetensors file.
    ///
    /// # Errors
    /// Every variant of [`ArrayError`].
    pub fn read_all(path: &Path) -> Result<BTreeMap<String, Self>, ArrayError> {
        let shown = || path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| ArrayError::Read { path: shown(), source })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|source| ArrayError::Format { path: shown(), source })?;
        let mut arrays = BTreeMap::new();
        for (name, view) in file.iter() {
            let values = decode(view.dtype(), view.data()).ok_or_else(|| ArrayError::ElementType {
                name: name.to_string(),
                dtype: view.dtype(),
            })?;
            arrays.insert(
                name.to_string(),
                Self {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        Ok(arrays)
    }

    /// Copies a tensor from its device.
    pub fn from_tensor<const D: usize>(tensor: &Tensor<D>) -> Self {
        let data = tensor.to_data();
        Self {
            shape: data.shape().to_vec(),
            values: data.iter::<f64>().collect(),
        }
    }

    /// Creates an array of one axis.
    pub fn from_values(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        Self {
            shape: vec![values.len()],
            values,
        }
    }

    /// Joins arrays of one shape along a new first axis.
    pub fn stack(parts: &[Self]) -> Self {
        let mut shape = vec![parts.len()];
        shape.extend(parts.first().map(|part| part.shape.as_slice()).unwrap_or_default());
        Self {
            shape,
            values: parts.iter().flat_map(|part| part.values.iter().copied()).collect(),
        }
    }

    /// Creates a float32 tensor.
    ///
    /// # Panics
    /// If the number of axes is not `D`.
    pub fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        let values: Vec<f32> = self.values.iter().map(|value| *value as f32).collect();
        Tensor::from_data(TensorData::new(values, self.shape.clone()), (device, DType::F32))
    }

    /// Creates a float64 tensor.
    ///
    /// # Panics
    /// If the number of axes is not `D`.
    pub fn tensor_f64<const D: usize>(&self, device: &Device) -> Tensor<D> {
        Tensor::from_data(
            TensorData::new(self.values.clone(), self.shape.clone()),
            (device, DType::F64),
        )
    }

    /// Applies a function to every value.
    pub fn map(&self, function: impl Fn(f64) -> f64) -> Self {
        let values = self.values.iter().map(|value| function(*value)).collect();
        Self {
            shape: self.shape.clone(),
            values,
        }
    }

    /// Gives the same values other axes.
    ///
    /// # Panics
    /// If the number of values changes.
    pub fn reshaped(mut self, shape: &[usize]) -> Self {
        assert_eq!(
            self.values.len(),
            shape.iter().product::<usize>(),
            "values of {:?} as {shape:?}",
            self.shape
        );
        self.shape = shape.to_vec();
        self
    }
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::F64 => elements(bytes, f64::from_le_bytes),
        Dtype::F32 => elements(bytes, |raw| f64::from(f32::from_le_bytes(raw))),
        Dtype::I64 => elements(bytes, |raw| i64::from_le_bytes(raw) as f64),
        Dtype::I32 => elements(bytes, |raw| f64::from(i32::from_le_bytes(raw))),
        Dtype::U8 | Dtype::BOOL => elements(bytes, |[raw]: [u8; 1]| f64::from(raw)),
        // A bfloat16 is the upper half of a float32.
        Dtype::BF16 => elements(bytes, |[low, high]: [u8; 2]| {
            f64::from(f32::from_le_bytes([0, 0, low, high]))
        }),
        _ => return None,
    })
}

fn elements<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks::<N>().0.iter().map(|raw| decode(*raw)).collect()
}
