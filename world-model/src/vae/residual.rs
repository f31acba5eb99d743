//! Residual block of the VAE.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`ResidualBlock`).
//! Differs: `residual.{0,2,3,6}` are named `norm1`, `conv1`, `norm2`, `conv2`; there is no dropout.

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::causal_conv3d::{CausalConv3d, CausalConv3dConfig};
use super::feature_cache::FeatureCache;
use super::norm::RmsNorm;

/// Configuration to create a [`ResidualBlock`].
#[derive(Config, Debug)]
pub struct ResidualBlockConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
}

/// Norm, SiLU and convolution, twice, added to the input.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    /// First norm.
    pub norm1: RmsNorm<4>,
    /// First convolution.
    pub conv1: CausalConv3d,
    /// Second norm.
    pub norm2: RmsNorm<4>,
    /// Second convolution.
    pub conv2: CausalConv3d,
    /// 1x1x1 convolution of the input, where the channels change.
    pub shortcut: Option<CausalConv3d>,
}

impl ResidualBlockConfig {
    /// Initializes a new [`ResidualBlock`].
    pub fn init(&self, device: &Device) -> ResidualBlock {
        let [channels_in, channels_out] = self.channels;
        let shortcut = || CausalConv3dConfig::new([channels_in, channels_out], [1, 1, 1]).init(device);
        ResidualBlock {
            norm1: RmsNorm::new(channels_in, device),
            conv1: CausalConv3dConfig::new([channels_in, channels_out], [3, 3, 3]).init(device),
            norm2: RmsNorm::new(channels_out, device),
            conv2: CausalConv3dConfig::new([channels_out, channels_out], [3, 3, 3]).init(device),
            shortcut: (channels_in != channels_out).then(shortcut),
        }
    }
}

impl ResidualBlock {
    /// Applies the block to the next piece of a clip.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, in_channels]`
    /// - output: `[batch, frames, height, width, out_channels]`
    pub fn forward(&self, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        let hidden = self.conv1.forward_normed(frames.clone(), &self.norm1, cache);
        let hidden = self.conv2.forward_normed(hidden, &self.norm2, cache);
        let skipped = match &self.shortcut {
            Some(shortcut) => shortcut.forward(frames, cache),
            None => frames,
        };
        hidden + skipped
    }
}
