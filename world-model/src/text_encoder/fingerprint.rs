//! A short name for the weights that an embedding was computed with.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::model::TextEncoder;
use crate::checkpoint::{CheckpointError, CheckpointSource, StoredDtype};

/// Start and factor of the 64-bit FNV-1a hash, which is the same with every compiler and machine.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Most numbers of a tensor that the name of a checkpoint depends on: with them, norms, biases and the projections to
/// keys and values of the released encoder.
const READ_NUMBERS: usize = 2_000_000;

/// Returns a name for the weights in a checkpoint, 16 hexadecimal digits, without loading them.
///
/// It depends on the names, shapes and types of all tensors, and on the numbers of those with at most two million.
///
/// # Errors
/// Those of [`CheckpointSource::read`].
pub fn checkpoint_fingerprint(source: &CheckpointSource) -> Result<String, CheckpointError> {
    let mut hash = Hash(FNV_OFFSET);
    for key in source.keys() {
        hash.add(key.as_bytes());
        let shape = source.shape(key).unwrap_or_default();
        for size in shape {
            hash.add(&(*size as u64).to_le_bytes());
        }
        let dtype = source.dtype(key);
        hash.add(format!("{dtype:?}").as_bytes());
        if dtype.is_some_and(StoredDtype::is_weight) && shape.iter().product::<usize>() <= READ_NUMBERS {
            for value in source.read(key)? {
                hash.add(&value.to_le_bytes());
            }
        }
    }
    Ok(format!("{:016x}", hash.0))
}

impl TextEncoder {
    /// Returns a name for these weights, 16 hexadecimal digits.
    ///
    /// It depends on all shapes, on every norm and bias, and on the first row of every matrix, as reading all of 15 GB
    /// for a name would take longer than encoding a prompt.
    pub fn fingerprint(&self) -> String {
        let mut hash = Hash(FNV_OFFSET);
        hash.add(&self.rope_theta.to_le_bytes());
        hash.add(&self.norm.epsilon.to_le_bytes());
        self.visit(&mut hash);
        format!("{:016x}", hash.0)
    }
}

struct Hash(u64);

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
    }
}

impl ModuleVisitor for Hash {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        for size in tensor.dims() {
            self.add(&(size as u64).to_le_bytes());
        }
        let sample = if D == 1 { tensor } else { tensor.narrow(0, 0, 1) };
        for value in sample.to_data().iter::<f32>() {
            self.add(&value.to_le_bytes());
        }
    }
}
