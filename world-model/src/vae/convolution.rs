//! Convolution over channels-last video, with what comes right before it.

use burn::tensor::Tensor;
use burn::tensor::module::conv3d;
use burn::tensor::ops::{ConvOptions, PadMode};

use super::norm::norm_silu;

/// Stride and padding of a convolution over frames, height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Step per axis.
    pub(super) stride: [usize; 3],
    /// Zeros before and after, per axis.
    pub(super) padding: [(usize, usize); 3],
    /// Whether every pixel is repeated twice in height and width first.
    pub(super) doubles_size: bool,
}

/// Convolves channels-last video.
///
/// # Shapes
/// - frames: `[batch, frames, height, width, in_channels]`
/// - weight: `[out_channels, in_channels, kernel_frames, kernel_height, kernel_width]`
/// - bias: `[out_channels]`
/// - output: `[batch, frames', height', width', out_channels]`
pub(super) fn convolve(frames: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>, geometry: Geometry) -> Tensor<5> {
    #[cfg(feature = "flex")]
    if kernels_apply(&frames, &weight) {
        use super::kernel::VideoConvolution;
        return Tensor::from_dispatch(burn::backend::Dispatch::video_convolution(
            frames.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            geometry,
        ));
    }
    let frames = if geometry.doubles_size {
        double_size(frames)
    } else {
        frames
    };
    general_convolution(frames, weight, bias, geometry)
}

/// Norms every pixel, applies SiLU, and convolves without doubling the size.
///
/// # Shapes
/// - frames: `[batch, frames, height, width, in_channels]`
/// - gamma: `[in_channels]`
/// - weight: `[out_channels, in_channels, kernel_frames, kernel_height, kernel_width]`
/// - bias: `[out_channels]`
/// - output: `[batch, frames', height', width', out_channels]`
pub(super) fn norm_silu_convolve(
    frames: Tensor<5>,
    gamma: Tensor<1>,
    weight: Tensor<5>,
    bias: Tensor<1>,
    geometry: Geometry,
) -> Tensor<5> {
    #[cfg(feature = "flex")]
    if kernels_apply(&frames, &weight) {
        use super::kernel::VideoConvolution;
        return Tensor::from_dispatch(burn::backend::Dispatch::video_norm_silu_convolution(
            frames.into_dispatch(),
            gamma.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
            geometry,
        ));
    }
    general_convolution(norm_silu(frames, gamma), weight, bias, geometry)
}

/// Returns whether the operands are where, and what, this crate's kernels work on.
#[cfg(feature = "flex")]
fn kernels_apply(frames: &Tensor<5>, weight: &Tensor<5>) -> bool {
    use burn::tensor::{DType, Device};
    frames.device() == Device::flex() && frames.dtype() == DType::F32 && weight.dtype() == DType::F32
}

/// Convolves on any device.
fn general_convolution(frames: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>, geometry: Geometry) -> Tensor<5> {
    // Burn pads both sides of an axis alike; an uneven rest is padded before.
    let even = geometry.padding.map(|(before, after)| before.min(after));
    let uneven = geometry.padding.map(|(before, after)| {
        let even = before.min(after);
        (before - even, after - even)
    });
    let channels_first = frames.permute([0, 4, 1, 2, 3]);
    let padded = if uneven == [(0, 0); 3] {
        channels_first
    } else {
        channels_first.pad(uneven, PadMode::Constant(0.0))
    };
    let options = ConvOptions::new(geometry.stride, even, [1, 1, 1], 1);
    conv3d(padded, weight, Some(bias), options).permute([0, 2, 3, 4, 1])
}

/// Repeats every pixel twice in height and width.
fn double_size(frames: Tensor<5>) -> Tensor<5> {
    let [batch, count, height, width, channels] = frames.dims();
    let rows = batch * count * height;
    frames
        .reshape([rows, 1, width, 1, channels])
        .expand([rows, 2, width, 2, channels])
        .reshape([batch, count, 2 * height, 2 * width, channels])
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    const GEOMETRIES: [([usize; 3], Geometry); 5] = [
        (
            [3, 3, 3],
            Geometry {
                stride: [1, 1, 1],
                padding: [(2, 0), (1, 1), (1, 1)],
                doubles_size: false,
            },
        ),
        (
            [3, 1, 1],
            Geometry {
                stride: [2, 1, 1],
                padding: [(0, 0), (0, 0), (0, 0)],
                doubles_size: false,
            },
        ),
        (
            [1, 3, 3],
            Geometry {
                stride: [1, 2, 2],
                padding: [(0, 0), (0, 1), (0, 1)],
                doubles_size: false,
            },
        ),
        (
            [1, 3, 3],
            Geometry {
                stride: [1, 1, 1],
                padding: [(0, 0), (1, 1), (1, 1)],
                doubles_size: true,
            },
        ),
        (
            [3, 3, 3],
            Geometry {
                stride: [1, 1, 1],
                padding: [(1, 0), (1, 1), (1, 1)],
                doubles_size: false,
            },
        ),
    ];

    fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), device).require_grad()
    }

    fn assert_close<const D: usize>(found: Tensor<D>, expected: Tensor<D>, what: &str) {
        let scale: f32 = expected.clone().abs().max().into_scalar();
        let worst: f32 = (found - expected).abs().max().into_scalar();
        assert!(
            worst <= 2e-5 * scale.max(1.0),
            "{what}: off by {worst} at scale {scale}"
        );
    }

    #[test]
    fn kernels_equal_the_general_convolution_and_its_gradients() {
        let device = Device::flex().autodiff();
        for (channels, (kernel, geometry)) in [[3, 5], [16, 16], [7, 40], [20, 8], [33, 17]]
            .into_iter()
            .zip(GEOMETRIES)
        {
            let [channels_in, channels_out] = channels;
            let frames = random([2, 5, 6, 14, channels_in], &device);
            let weight = random([channels_out, channels_in, kernel[0], kernel[1], kernel[2]], &device);
            let bias = random([channels_out], &device);
            let fast = convolve(frames.clone(), weight.clone(), bias.clone(), geometry);
            let doubled = if geometry.doubles_size {
                double_size(frames.clone())
            } else {
                frames.clone()
            };
            let general = general_convolution(doubled, weight.clone(), bias.clone(), geometry);
            assert_close(fast.clone().inner(), general.clone().inner(), "output");
            let upstream = random(fast.dims(), &device);
            let found = (fast * upstream.clone()).sum().backward();
            let expected = (general * upstream).sum().backward();
            let grad = "gradients reach every operand";
            assert_close(
                frames.grad(&found).expect(grad),
                frames.grad(&expected).expect(grad),
                "frames",
            );
            assert_close(
                weight.grad(&found).expect(grad),
                weight.grad(&expected).expect(grad),
                "weight",
            );
            assert_close(
                bias.grad(&found).expect(grad),
                bias.grad(&expected).expect(grad),
                "bias",
            );
        }
    }

    #[test]
    fn fused_norm_equals_its_parts_and_their_gradients() {
        let device = Device::flex().autodiff();
        for channels_in in [3, 16, 20] {
            let (kernel, geometry) = GEOMETRIES[0];
            let frames = random([2, 3, 4, 7, channels_in], &device);
            let gamma = random([channels_in], &device);
            let weight = random([8, channels_in, kernel[0], kernel[1], kernel[2]], &device);
            let bias = random([8], &device);
            let fast = norm_silu_convolve(frames.clone(), gamma.clone(), weight.clone(), bias.clone(), geometry);
            let normed = norm_silu(frames.clone(), gamma.clone());
            let general = general_convolution(normed, weight.clone(), bias.clone(), geometry);
            assert_close(fast.clone().inner(), general.clone().inner(), "output");
            let upstream = random(fast.dims(), &device);
            let found = (fast * upstream.clone()).sum().backward();
            let expected = (general * upstream).sum().backward();
            let grad = "gradients reach every operand";
            assert_close(
                frames.grad(&found).expect(grad),
                frames.grad(&expected).expect(grad),
                "frames",
            );
            assert_close(
                gamma.grad(&found).expect(grad),
                gamma.grad(&expected).expect(grad),
                "gamma",
            );
            assert_close(
                weight.grad(&found).expect(grad),
                weight.grad(&expected).expect(grad),
                "weight",
            );
            assert_close(
                bias.grad(&found).expect(grad),
                bias.grad(&expected).expect(grad),
                "bias",
            );
        }
    }
}
