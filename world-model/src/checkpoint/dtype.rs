//! Cast rules: which element types weights may have, and how they become `f32`.
//!
//! Files are read in whatever floating-point type they were saved; parameters are created in the type that is asked for,
//! `f32` where none is. Widening `f16` and `bf16` is exact, so a released `bf16` file loses nothing.

use std::fmt;

use half::{bf16, f16};

/// Names the element type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StoredDtype {
    /// 64-bit floating point.
    F64,
    /// 32-bit floating point.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// Anything that is not a weight, by the name that the file has for it: integers, booleans, packed formats.
    Other(&'static str),
}

/// Chooses the element type that weights are saved in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveDtype {
    /// 32-bit floating point: exact.
    #[default]
    F32,
    /// IEEE half precision: 11 bits of precision, magnitudes up to 65504.
    F16,
    /// bfloat16: 8 bits of precision, the range of `f32`.
    Bf16,
}

impl SaveDtype {
    /// Returns the name that safetensors headers use.
    pub(super) fn header_name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
        }
    }

    /// Returns the number of bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// Encodes values as little-endian bytes, rounding to nearest even.
    pub(super) fn encode(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::F16 => values
                .iter()
                .flat_map(|value| f16::from_f32(*value).to_le_bytes())
                .collect(),
            Self::Bf16 => values
                .iter()
                .flat_map(|value| bf16::from_f32(*value).to_le_bytes())
                .collect(),
        }
    }
}

impl StoredDtype {
    /// Returns whether weights can have this element type.
    pub fn is_weight(self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Converts little-endian bytes to bfloat16: unchanged where that is what they are, rounded to nearest even elsewhere.
    pub(super) fn decode_bf16(self, bytes: &[u8]) -> Option<Vec<bf16>> {
        match self {
            Self::Bf16 => Some(elements(bytes, bf16::from_le_bytes)),
            Self::F16 => Some(elements(bytes, |raw| bf16::from_f32(f16::from_le_bytes(raw).to_f32()))),
            Self::F32 => Some(elements(bytes, |raw| bf16::from_f32(f32::from_le_bytes(raw)))),
            Self::F64 => Some(elements(bytes, |raw| bf16::from_f32(f64::from_le_bytes(raw) as f32))),
            Self::Other(_) => None,
        }
    }

    /// Converts little-endian bytes to half precision, as [`decode_bf16`](Self::decode_bf16) does.
    pub(super) fn decode_f16(self, bytes: &[u8]) -> Option<Vec<f16>> {
        match self {
            Self::F16 => Some(elements(bytes, f16::from_le_bytes)),
            Self::Bf16 => Some(elements(bytes, |raw| f16::from_f32(bf16::from_le_bytes(raw).to_f32()))),
            Self::F32 => Some(elements(bytes, |raw| f16::from_f32(f32::from_le_bytes(raw)))),
            Self::F64 => Some(elements(bytes, |raw| f16::from_f32(f64::from_le_bytes(raw) as f32))),
            Self::Other(_) => None,
        }
    }

    /// Widens (or, from `f64`, rounds) little-endian bytes to `f32`; `None` for types that weights cannot have.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<Vec<f32>> {
        Some(match self {
            Self::F64 => elements(bytes, |raw| f64::from_le_bytes(raw) as f32),
            Self::F32 => elements(bytes, f32::from_le_bytes),
            Self::F16 => elements(bytes, |raw| f16::from_le_bytes(raw).to_f32()),
            Self::Bf16 => elements(bytes, |raw| bf16::from_le_bytes(raw).to_f32()),
            Self::Other(_) => return None,
        })
    }
}

impl fmt::Display for StoredDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Other(name) => name,
        })
    }
}

impl From<safetensors::Dtype> for StoredDtype {
    fn from(dtype: safetensors::Dtype) -> Self {
        match dtype {
            safetensors::Dtype::F64 => Self::F64,
            safetensors::Dtype::F32 => Self::F32,
            safetensors::Dtype::F16 => Self::F16,
            safetensors::Dtype::BF16 => Self::Bf16,
            safetensors::Dtype::BOOL => Self::Other("BOOL"),
            safetensors::Dtype::F4 => Self::Other("F4"),
            safetensors::Dtype::F6_E2M3 => Self::Other("F6_E2M3"),
            safetensors::Dtype::F6_E3M2 => Self::Other("F6_E3M2"),
            safetensors::Dtype::F8_E5M2 => Self::Other("F8_E5M2"),
            safetensors::Dtype::F8_E4M3 => Self::Other("F8_E4M3"),
            safetensors::Dtype::F8_E8M0 => Self::Other("F8_E8M0"),
            safetensors::Dtype::F8_E4M3FNUZ => Self::Other("F8_E4M3FNUZ"),
            safetensors::Dtype::F8_E5M2FNUZ => Self::Other("F8_E5M2FNUZ"),
            safetensors::Dtype::C64 => Self::Other("C64"),
            safetensors::Dtype::U8 => Self::Other("U8"),
            safetensors::Dtype::U16 => Self::Other("U16"),
            safetensors::Dtype::U32 => Self::Other("U32"),
            safetensors::Dtype::U64 => Self::Other("U64"),
            safetensors::Dtype::I8 => Self::Other("I8"),
            safetensors::Dtype::I16 => Self::Other("I16"),
            safetensors::Dtype::I32 => Self::Other("I32"),
            safetensors::Dtype::I64 => Self::Other("I64"),
            _ => Self::Other("unknown"),
        }
    }
}

impl From<pytorch_reader::DType> for StoredDtype {
    fn from(dtype: pytorch_reader::DType) -> Self {
        use pytorch_reader::DType;
        match dtype {
            DType::F64 => Self::F64,
            DType::F32 => Self::F32,
            DType::F16 => Self::F16,
            DType::BF16 => Self::Bf16,
            DType::I64 => Self::Other("I64"),
            DType::I32 => Self::Other("I32"),
            DType::I16 => Self::Other("I16"),
            DType::I8 => Self::Other("I8"),
            DType::U64 => Self::Other("U64"),
            DType::U32 => Self::Other("U32"),
            DType::U16 => Self::Other("U16"),
            DType::U8 => Self::Other("U8"),
            DType::Bool => Self::Other("BOOL"),
        }
    }
}

fn elements<const N: usize, T>(bytes: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|raw| decode(*raw)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bf16_value_survives_saving_and_loading() {
        for bits in 0..=u16::MAX {
            let value = bf16::from_bits(bits).to_f32();
            let restored = StoredDtype::Bf16.decode(&SaveDtype::Bf16.encode(&[value])).unwrap()[0];
            assert!(restored == value || value.is_nan() && restored.is_nan());
        }
    }

    #[test]
    fn f32_is_saved_exactly() {
        let values = [0.0, -1.5, f32::MIN_POSITIVE, f32::MAX, 1.0 / 3.0];
        assert_eq!(
            StoredDtype::F32.decode(&SaveDtype::F32.encode(&values)).unwrap(),
            values
        );
    }

    #[test]
    fn integers_are_not_weights() {
        let bytes = StoredDtype::from(safetensors::Dtype::U8);
        assert_eq!(bytes.to_string(), "U8");
        assert!(!bytes.is_weight() && bytes.decode(&[1, 2, 3, 4]).is_none());
    }
}
