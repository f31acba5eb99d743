//! Convolution over channels-last video.

use burn::tensor::Tensor;
use burn::tensor::module::conv3d;
use burn::tensor::ops::ConvOptions;

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
    let options = ConvOptions::new_with_padding(geometry.stride, geometry.padding, [1, 1, 1], 1);
    let channels_first = frames.permute([0, 4, 1, 2, 3]);
    conv3d(channels_first, weight, Some(bias), options).permute([0, 2, 3, 4, 1])
}
