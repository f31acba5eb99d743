//! Halving and doubling of height, width and frame rate.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`Resample`).
//! Differs:
//! - `downsample2d/3d` and `upsample2d/3d` are two types with an optional `time_conv`.
//! - the first frame of a clip is recognised by the cache, so whole clips need no second code path.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use super::causal_conv3d::{CausalConv3d, CausalConv3dConfig};
use super::convolution::{Geometry, convolve};
use super::feature_cache::{FeatureCache, last_frames, with_history};

/// Halves height and width.
const HALVE: Geometry = Geometry {
    stride: [1, 2, 2],
    padding: [(0, 0), (0, 1), (0, 1)],
    doubles_size: false,
};

/// Doubles height and width.
const DOUBLE: Geometry = Geometry {
    stride: [1, 1, 1],
    padding: [(0, 0), (1, 1), (1, 1)],
    doubles_size: true,
};

/// A 3x3 convolution of every frame by itself.
#[derive(Module, Debug)]
pub struct FrameConv {
    /// `[out_channels, in_channels, 3, 3]`
    pub weight: Param<Tensor<4>>,
    /// `[out_channels]`
    pub bias: Param<Tensor<1>>,
}

impl FrameConv {
    fn new(channels: [usize; 2], device: &Device) -> Self {
        let [channels_in, channels_out] = channels;
        let fan_in = channels_in * 9;
        let initializer = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        Self {
            weight: initializer.init_with([channels_out, channels_in, 3, 3], Some(fan_in), None, device),
            bias: initializer.init_with([channels_out], Some(fan_in), None, device),
        }
    }

    fn convolve(&self, frames: Tensor<5>, geometry: Geometry) -> Tensor<5> {
        convolve(frames, self.weight.val().unsqueeze_dim(2), self.bias.val(), geometry)
    }
}

/// Halves height and width and, with a `time_conv`, the frame rate.
#[derive(Module, Debug)]
pub struct Downsample {
    /// Spatial convolution; `resample.1` upstream.
    pub resample: FrameConv,
    /// Temporal convolution of stride 2.
    pub time_conv: Option<CausalConv3d>,
}

impl Downsample {
    /// Creates a downsampling step.
    pub fn new(channels: usize, temporal: bool, device: &Device) -> Self {
        let time_conv = || {
            CausalConv3dConfig::new([channels, channels], [3, 1, 1])
                .with_stride_frames(2)
                .init(device)
        };
        Self {
            resample: FrameConv::new([channels, channels], device),
            time_conv: temporal.then(time_conv),
        }
    }

    /// Downsamples the next piece of a clip; the first frame of a clip passes through in time.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, channels]`, at the start of a clip an odd number of frames, later
    ///   an even one (with `time_conv`)
    /// - output: `[batch, frames', height / 2, width / 2, channels]`
    pub fn forward(&self, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        let frames = self.resample.convolve(frames, HALVE);
        let Some(time_conv) = &self.time_conv else {
            return frames;
        };
        cache.visit(|slot| {
            let kept = last_frames(&frames, 1);
            let halved = if slot.started {
                time_conv.forward_valid(with_history(slot.frames.as_ref(), frames))
            } else if frames.dims()[1] == 1 {
                frames
            } else {
                let first = frames.clone().narrow(1, 0, 1);
                Tensor::cat(vec![first, time_conv.forward_valid(frames)], 1)
            };
            (halved, Some(kept))
        })
    }
}

/// Doubles height and width, halves the channels and, with a `time_conv`, doubles the frame rate.
#[derive(Module, Debug)]
pub struct Upsample {
    /// Spatial convolution; `resample.1` upstream.
    pub resample: FrameConv,
    /// Temporal convolution to twice the channels, which become two frames.
    pub time_conv: Option<CausalConv3d>,
}

impl Upsample {
    /// Creates an upsampling step.
    pub fn new(channels: usize, temporal: bool, device: &Device) -> Self {
        let time_conv = || CausalConv3dConfig::new([channels, 2 * channels], [3, 1, 1]).init(device);
        Self {
            resample: FrameConv::new([channels, channels / 2], device),
            time_conv: temporal.then(time_conv),
        }
    }

    /// Upsamples the next piece of a clip; the first frame of a clip stays one frame.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, channels]`
    /// - output: `[batch, frames', 2 * height, 2 * width, channels / 2]`, `frames'` is twice `frames`, less one at
    ///   the start of a clip (with `time_conv`)
    pub fn forward(&self, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        let frames = match &self.time_conv {
            Some(time_conv) => double_frame_rate(time_conv, frames, cache),
            None => frames,
        };
        self.resample.convolve(frames, DOUBLE)
    }
}

/// Doubles the frame rate of all frames but the first of a clip, which later frames do not see either.
fn double_frame_rate(time_conv: &CausalConv3d, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
    cache.visit(|slot| {
        if slot.started {
            let (pairs, kept) = time_conv.forward_after(slot.frames.as_ref(), frames);
            return (interleave(pairs), kept);
        }
        let count = frames.dims()[1];
        if count == 1 {
            return (frames, None);
        }
        let first = frames.clone().narrow(1, 0, 1);
        let (pairs, kept) = time_conv.forward_after(None, frames.narrow(1, 1, count - 1));
        (Tensor::cat(vec![first, interleave(pairs)], 1), kept)
    })
}

/// Turns the two halves of the channels into two successive frames.
fn interleave(pairs: Tensor<5>) -> Tensor<5> {
    let [batch, frames, height, width, channels] = pairs.dims();
    pairs
        .reshape([batch, frames, height, width, 2, channels / 2])
        .permute([0, 1, 4, 2, 3, 5]) // [batch, frames, 2, height, width, channels / 2]
        .reshape([batch, 2 * frames, height, width, channels / 2])
}
