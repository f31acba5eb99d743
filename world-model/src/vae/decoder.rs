//! Decoder of the VAE: latents to video.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`Decoder3d`).
//! Differs: as the encoder.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::causal_conv3d::{CausalConv3d, CausalConv3dConfig};
use super::config::WanVaeConfig;
use super::encoder::{Head, Middle};
use super::feature_cache::FeatureCache;
use super::resample::Upsample;
use super::residual::{ResidualBlock, ResidualBlockConfig};

/// One entry of the decoder's list of layers.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a network has a dozen layers, and Burn modules cannot be boxed"
)]
pub enum DecoderLayer {
    /// A residual block.
    Residual(ResidualBlock),
    /// An upsampling step.
    Upsample(Upsample),
}

/// Decodes latents to video.
#[derive(Module, Debug)]
pub struct VaeDecoder {
    /// First convolution.
    pub conv1: CausalConv3d,
    /// The coarsest level.
    pub middle: Middle,
    /// Residual blocks and upsampling steps, coarsest level first.
    pub upsamples: Vec<DecoderLayer>,
    /// The last convolution.
    pub head: Head,
}

impl VaeDecoder {
    /// Creates the decoder of `config`.
    pub fn new(config: &WanVaeConfig, device: &Device) -> Self {
        let coarsest = config.level_channels(config.dim_mult.len() - 1);
        let mut upsamples = Vec::new();
        let mut channels = coarsest;
        for level in (0..config.dim_mult.len()).rev() {
            for _ in 0..=config.num_res_blocks {
                let out = config.level_channels(level);
                upsamples.push(DecoderLayer::Residual(
                    ResidualBlockConfig::new([channels, out]).init(device),
                ));
                channels = out;
            }
            if level > 0 {
                let temporal = config.temporal_downsample[level - 1];
                upsamples.push(DecoderLayer::Upsample(Upsample::new(channels, temporal, device)));
                channels /= 2;
            }
        }
        Self {
            conv1: CausalConv3dConfig::new([config.z_dim, coarsest], [3, 3, 3]).init(device),
            middle: Middle::new(coarsest, device),
            upsamples,
            head: Head::new([channels, config.in_channels], device),
        }
    }

    /// Decodes the next piece of a clip.
    ///
    /// # Shapes
    /// - latents: `[batch, latent_frames, latent_height, latent_width, z_dim]`
    /// - output: `[batch, frames, height, width, in_channels]`
    pub fn forward(&self, latents: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        let mut hidden = self.middle.forward(self.conv1.forward(latents, cache), cache);
        for layer in &self.upsamples {
            hidden = match layer {
                DecoderLayer::Residual(block) => block.forward(hidden, cache),
                DecoderLayer::Upsample(step) => step.forward(hidden, cache),
            };
        }
        self.head.forward(hidden, cache)
    }
}
