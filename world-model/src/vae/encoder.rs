//! Encoder of the VAE: video to latent statistics.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`Encoder3d`).
//! Differs: `middle.{0,1,2}` and `head.{0,2}` have names; attention inside levels (never used) is left out.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::attention::{SpatialAttention, SpatialAttentionConfig};
use super::causal_conv3d::{CausalConv3d, CausalConv3dConfig};
use super::config::WanVaeConfig;
use super::feature_cache::FeatureCache;
use super::norm::RmsNorm;
use super::resample::Downsample;
use super::residual::{ResidualBlock, ResidualBlockConfig};

/// One entry of the encoder's list of layers.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a network has a dozen layers, and Burn modules cannot be boxed"
)]
pub enum EncoderLayer {
    /// A residual block.
    Residual(ResidualBlock),
    /// A downsampling step.
    Downsample(Downsample),
}

/// The coarsest level: residual block, attention, residual block.
#[derive(Module, Debug)]
pub struct Middle {
    /// `middle.0` upstream.
    pub residual_in: ResidualBlock,
    /// `middle.1` upstream.
    pub attention: SpatialAttention,
    /// `middle.2` upstream.
    pub residual_out: ResidualBlock,
}

/// Norm, SiLU and the last convolution.
#[derive(Module, Debug)]
pub struct Head {
    /// `head.0` upstream.
    pub norm: RmsNorm<4>,
    /// `head.2` upstream.
    pub conv: CausalConv3d,
}

/// Encodes video to the mean and log-variance of latents.
#[derive(Module, Debug)]
pub struct VaeEncoder {
    /// First convolution.
    pub conv1: CausalConv3d,
    /// Residual blocks and downsampling steps, finest level first.
    pub downsamples: Vec<EncoderLayer>,
    /// The coarsest level.
    pub middle: Middle,
    /// The last convolution.
    pub head: Head,
}

impl VaeEncoder {
    /// Creates the encoder of `config`.
    pub fn new(config: &WanVaeConfig, device: &Device) -> Self {
        let mut downsamples = Vec::new();
        let mut channels = config.base_dim;
        for level in 0..config.dim_mult.len() {
            for _ in 0..config.num_res_blocks {
                let out = config.level_channels(level);
                downsamples.push(EncoderLayer::Residual(
                    ResidualBlockConfig::new([channels, out]).init(device),
                ));
                channels = out;
            }
            if let Some(&temporal) = config.temporal_downsample.get(level) {
                downsamples.push(EncoderLayer::Downsample(Downsample::new(channels, temporal, device)));
            }
        }
        Self {
            conv1: CausalConv3dConfig::new([config.in_channels, config.base_dim], [3, 3, 3]).init(device),
            downsamples,
            middle: Middle::new(channels, device),
            head: Head::new([channels, 2 * config.z_dim], device),
        }
    }

    /// Encodes the next piece of a clip.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, in_channels]`
    /// - output: `[batch, latent_frames, latent_height, latent_width, 2 * z_dim]`
    pub fn forward(&self, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        let mut hidden = self.conv1.forward(frames, cache);
        for layer in &self.downsamples {
            hidden = match layer {
                EncoderLayer::Residual(block) => block.forward(hidden, cache),
                EncoderLayer::Downsample(step) => step.forward(hidden, cache),
            };
        }
        self.head.forward(self.middle.forward(hidden, cache), cache)
    }
}

impl Middle {
    /// Creates the coarsest level.
    pub(super) fn new(channels: usize, device: &Device) -> Self {
        let residual = ResidualBlockConfig::new([channels, channels]);
        Self {
            residual_in: residual.init(device),
            attention: SpatialAttentionConfig::new(channels).init(device),
            residual_out: residual.init(device),
        }
    }

    /// Applies the level to the next piece of a clip.
    ///
    /// # Shapes
    /// - frames and output: `[batch, frames, height, width, channels]`
    pub fn forward(&self, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        let hidden = self.attention.forward(self.residual_in.forward(frames, cache));
        self.residual_out.forward(hidden, cache)
    }
}

impl Head {
    /// Creates the last layers.
    pub(super) fn new(channels: [usize; 2], device: &Device) -> Self {
        Self {
            norm: RmsNorm::new(channels[0], device),
            conv: CausalConv3dConfig::new(channels, [3, 3, 3]).init(device),
        }
    }

    /// Applies the last layers to the next piece of a clip.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, in_channels]`
    /// - output: `[batch, frames, height, width, out_channels]`
    pub fn forward(&self, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        self.conv.forward_normed(frames, &self.norm, cache)
    }
}
