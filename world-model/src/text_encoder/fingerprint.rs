//! A short name for the weights that an embedding was computed with.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::model::TextEncoder;

/// Start and factor of the 64-bit FNV-1a hash, which is the same with every compiler and machine.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

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
