//! Convolution over channels-last video.

use burn::tensor::Tensor;
use burn::tensor::module::conv3d;
use burn::tensor::ops::{ConvOptions, PadMode};

/// Stride and padding of a convolution over frames, height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Step per axis.
    pub(super) stride: [usize; 3],
    /// Zeros before and after, per axis.
    pub(super) padding: [(usize, usize); 3],
}

/// Convolves channels-last video.
///
/// # Shapes
/// - frames: `[batch, frames, height, width, in_channels]`
/// - weight: `[out_channels, in_channels, kernel_frames, kernel_height, kernel_width]`
/// - bias: `[out_channels]`
/// - output: `[batch, frames', height', width', out_channels]`
pub(super) fn convolve(frames: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>, geometry: Geometry) -> Tensor<5> {
    // Burn pads both sides of an axis alike; an uneven rest is padded before.
    let even = geometry.padding.map(|(before, after)| before.min(after));
    let [time, rows, columns] = geometry.padding.map(|(before, after)| {
        let even = before.min(after);
        (before - even, after - even)
    });
    let channels_first = frames.permute([0, 4, 1, 2, 3]);
    let padded = if [time, rows, columns] == [(0, 0); 3] {
        channels_first
    } else {
        channels_first.pad([time, rows, columns], PadMode::Constant(0.0))
    };
    let options = ConvOptions::new(geometry.stride, even, [1, 1, 1], 1);
    conv3d(padded, weight, Some(bias), options).permute([0, 2, 3, 4, 1])
}
