//! One denoising step.
//!
//! With `T` tokens of width `W` and a feed-forward layer of width `M`, the widest moment of a block is in the feed-forward
//! layer: residual stream, input or output, and the hidden layer before and after its activation, `2 T (W + M)` elements. The
//! self-attention holds the residual stream, queries, keys, values and its output, `5 T W`, which is less. In bfloat16,
//! products are computed in float32 (Burn's CPU backend): a copy of the factors and of the result in four bytes, and the widest
//! weight of a block with it. Latents and their updates are float32: sample, input, mask products, velocities and what the
//! scheduler remembers, eight tensors of their size.
//!
//! The rays of cameras are as large as the tokens that they belong to, in float32 and as the weights have them.
//!
//! Every block keeps keys and values of the text, `2 * tokens * W` elements, twice with guidance. A network that makes one
//! latent frame after the other keeps those of its own tokens too, and joins them anew for every frame.

use burn::tensor::Device;

use super::stage::{Precision, Stage, StageMemory, network_bytes};
use super::text_projection::context_bytes;
use crate::dit::DitConfig;

/// Tensors of the size of the latents that the sampler holds at once.
const LATENT_TENSORS: u64 = 8;

/// Bytes of a float32.
const F32_BYTES: u64 = 4;

/// What is denoised at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DenoiseShape {
    /// Clips.
    pub batch: usize,
    /// Latent frames, height and width of one clip, all views together.
    pub latents: [usize; 3],
    /// Tokens of the text embedding.
    pub text_tokens: usize,
    /// Whether a second text is evaluated for guidance.
    pub is_guided: bool,
    /// Whether one latent frame is made after the other.
    pub is_streaming: bool,
}

impl DenoiseShape {
    /// Returns the memory of a denoising step of a network.
    pub fn memory(&self, config: &DitConfig, precision: Precision, device: &Device) -> StageMemory {
        StageMemory {
            stage: Stage::Denoise,
            weights: network_bytes(&config.init(device), precision),
            activations: self.activations(config, precision),
        }
    }

    /// Returns the bytes of the largest set of activations of a denoising step.
    pub fn activations(&self, config: &DitConfig, precision: Precision) -> u64 {
        let branches = if self.is_guided { 2 } else { 1 };
        self.block(config, precision)
            + branches * context_bytes(config, self.text_tokens, precision)
            + self.stream(config, precision)
            + self.latents(config)
            + self.rays(config, precision)
    }

    /// Returns the tokens of the transformer.
    pub fn tokens(&self, config: &DitConfig) -> u64 {
        let [frames, height, width] = self.latents;
        let [rows, columns] = [height, width].map(|size| size / config.patch_spatial);
        (self.batch * (frames / config.patch_temporal) * rows * columns) as u64
    }

    /// The widest moment of a block.
    fn block(&self, config: &DitConfig, precision: Precision) -> u64 {
        let frames = if self.is_streaming { self.latents[0] as u64 } else { 1 };
        let (tokens, width) = (self.tokens(config) / frames, config.model_channels as u64);
        let hidden = config.mlp_channels() as u64;
        let stored = precision.bytes() * tokens * (2 * (width + hidden)).max(5 * width);
        match precision {
            Precision::F32 => stored,
            Precision::Bf16 => stored + F32_BYTES * (tokens * (width + hidden) + width * hidden),
        }
    }

    /// Keys and values of the frames of a stream, and those of one block joined with the next frame's.
    fn stream(&self, config: &DitConfig, precision: Precision) -> u64 {
        let of_block = 2 * self.tokens(config) * config.model_channels as u64;
        let blocks = if self.is_streaming {
            config.num_blocks as u64 + 1
        } else {
            0
        };
        precision.bytes() * blocks * of_block
    }

    /// Rays of the cameras, where the network reads them.
    fn rays(&self, config: &DitConfig, precision: Precision) -> u64 {
        let numbers = config
            .conditioning
            .camera
            .as_ref()
            .map_or(0, |camera| camera.camera_channels);
        let copies = match precision {
            Precision::F32 => F32_BYTES,
            Precision::Bf16 => F32_BYTES + precision.bytes(),
        };
        copies * self.tokens(config) * numbers as u64
    }

    fn latents(&self, config: &DitConfig) -> u64 {
        let [frames, height, width] = self.latents;
        let channels = config.patch_channels().max(config.out_channels);
        LATENT_TENSORS * F32_BYTES * (self.batch * channels * frames * height * width) as u64
    }
}
