//! Attention among the positions of one frame.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`AttentionBlock`).
//! Differs: 1x1 convolutions are matrix products over channels-last rows.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, activation::softmax};

use super::norm::RmsNorm;

/// Configuration to create a [`SpatialAttention`].
#[derive(Config, Debug)]
pub struct SpatialAttentionConfig {
    /// Channels of the frames.
    pub channels: usize,
}

/// A 1x1 convolution, kept in the checkpoint's shape.
#[derive(Module, Debug)]
pub struct PointwiseConv {
    /// `[out_channels, in_channels, 1, 1]`
    pub weight: Param<Tensor<4>>,
    /// `[out_channels]`
    pub bias: Param<Tensor<1>>,
}

/// Single-head attention over all positions of a frame, added to the input.
#[derive(Module, Debug)]
pub struct SpatialAttention {
    /// Norm before the projections.
    pub norm: RmsNorm<3>,
    /// Queries, keys and values.
    pub to_qkv: PointwiseConv,
    /// Output projection.
    pub proj: PointwiseConv,
}

impl SpatialAttentionConfig {
    /// Initializes a new [`SpatialAttention`]; the output projection starts at zero, as upstream.
    pub fn init(&self, device: &Device) -> SpatialAttention {
        let initializer = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        let channels = self.channels;
        SpatialAttention {
            norm: RmsNorm::new(channels, device),
            to_qkv: PointwiseConv::new([channels, 3 * channels], &initializer, device),
            proj: PointwiseConv::new([channels, channels], &Initializer::Zeros, device),
        }
    }
}

impl PointwiseConv {
    fn new(channels: [usize; 2], initializer: &Initializer, device: &Device) -> Self {
        let [channels_in, channels_out] = channels;
        Self {
            weight: initializer.init_with([channels_out, channels_in, 1, 1], Some(channels_in), None, device),
            bias: initializer.init_with([channels_out], Some(channels_in), None, device),
        }
    }

    /// Mixes channels.
    ///
    /// # Shapes
    /// - rows: `[frames, positions, in_channels]`
    /// - output: `[frames, positions, out_channels]`
    fn forward(&self, rows: Tensor<3>) -> Tensor<3> {
        let [channels_out, channels_in, _, _] = self.weight.dims();
        let [frames, positions, _] = rows.dims();
        let weight = self.weight.val().reshape([channels_out, channels_in]).transpose();
        let mixed = rows.reshape([frames * positions, channels_in]).matmul(weight);
        (mixed + self.bias.val().unsqueeze()).reshape([frames, positions, channels_out])
    }
}

impl SpatialAttention {
    /// Mixes the positions of every frame.
    ///
    /// # Shapes
    /// - frames and output: `[batch, frames, height, width, channels]`
    pub fn forward(&self, frames: Tensor<5>) -> Tensor<5> {
        let [batch, count, height, width, channels] = frames.dims();
        let rows = self
            .norm
            .forward(frames.clone())
            .reshape([batch * count, height * width, channels]);
        let [query, key, value] = self
            .to_qkv
            .forward(rows)
            .split(channels, 2)
            .try_into()
            .expect("the projection has three times the channels");
        let scores = query.matmul(key.transpose()).div_scalar((channels as f64).sqrt());
        let mixed = self.proj.forward(softmax(scores, 2).matmul(value));
        frames + mixed.reshape([batch, count, height, width, channels])
    }
}
