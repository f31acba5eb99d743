//! What one stage of a generation takes.

use std::fmt;

use burn::module::Module;

/// Bytes that a program takes beside weights and activations: code, buffers of the backend, memory not yet given back.
pub const OVERHEAD_BYTES: u64 = 256 << 20;

/// A stage of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stage {
    /// Prompts to embeddings.
    TextEncoder,
    /// Weights from their files.
    Load,
    /// Embeddings to keys and values of the transformer.
    TextProjection,
    /// Given frames to latents.
    VaeEncode,
    /// One evaluation of the transformer after the other.
    Denoise,
    /// Latents to frames.
    VaeDecode,
}

/// Element type of the weights and of the residual stream of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// bfloat16, as released.
    Bf16,
    /// 32-bit floating point.
    F32,
}

/// What one stage takes at its peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageMemory {
    /// The stage.
    pub stage: Stage,
    /// Bytes of the weights that are there, those of other stages included.
    pub weights: u64,
    /// Bytes of the largest set of activations that lives at once, with what is kept for later stages.
    pub activations: u64,
}

impl StageMemory {
    /// Returns the bytes of weights and activations together.
    pub fn total(&self) -> u64 {
        self.weights + self.activations
    }
}

/// Returns the bytes of the weights of a network; none is drawn for it.
pub fn network_bytes<M: Module>(network: &M, precision: Precision) -> u64 {
    network.num_params() as u64 * precision.bytes()
}

impl Stage {
    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoder => "text encoder",
            Self::Load => "load",
            Self::TextProjection => "text projection",
            Self::VaeEncode => "VAE encode",
            Self::Denoise => "denoise",
            Self::VaeDecode => "VAE decode",
        }
    }
}

impl Precision {
    /// Returns the bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Bf16 => 2,
            Self::F32 => 4,
        }
    }

    /// Returns the name, as `--dtype` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bf16 => "bf16",
            Self::F32 => "f32",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
