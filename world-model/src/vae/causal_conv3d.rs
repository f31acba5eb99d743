//! Convolution that sees the present and the past, never the future.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`CausalConv3d`).
//! Differs: activations are channels-last; the missing past is zero padding inside the convolution.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor, assert_shape};

use super::convolution::{Geometry, convolve, norm_silu_convolve};
use super::feature_cache::{FeatureCache, last_frames, with_history};
use super::norm::RmsNorm;

/// Configuration to create a [`CausalConv3d`].
#[derive(Config, Debug)]
pub struct CausalConv3dConfig {
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Kernel over frames, height and width; height and width odd.
    pub kernel_size: [usize; 3],
    /// Step over frames; more than 1 only in [`CausalConv3d::forward_valid`].
    #[config(default = 1)]
    pub stride_frames: usize,
}

/// Applies a 3-D convolution that pads time on the left only.
#[derive(Module, Debug)]
pub struct CausalConv3d {
    /// `[out_channels, in_channels, kernel_frames, kernel_height, kernel_width]`
    pub weight: Param<Tensor<5>>,
    /// `[out_channels]`
    pub bias: Param<Tensor<1>>,
    /// Step over frames.
    pub stride_frames: usize,
}

impl CausalConv3dConfig {
    /// Initializes a new [`CausalConv3d`].
    pub fn init(&self, device: &Device) -> CausalConv3d {
        let [channels_in, channels_out] = self.channels;
        let [kernel_frames, kernel_height, kernel_width] = self.kernel_size;
        let fan_in = channels_in * kernel_frames * kernel_height * kernel_width;
        let initializer = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        let shape = [channels_out, channels_in, kernel_frames, kernel_height, kernel_width];
        CausalConv3d {
            weight: initializer.init_with(shape, Some(fan_in), None, device),
            bias: initializer.init_with([channels_out], Some(fan_in), None, device),
            stride_frames: self.stride_frames,
        }
    }
}

impl CausalConv3d {
    /// Convolves the next piece of a clip; what came before is in the cache, or zero.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, in_channels]`
    /// - output: `[batch, frames, height, width, out_channels]`
    pub fn forward(&self, frames: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        let past = self.weight.dims()[2] - 1;
        if past == 0 {
            return self.convolve(frames, 0);
        }
        cache.visit(|slot| self.forward_after(slot.frames.as_ref(), frames))
    }

    /// Norms, applies SiLU and convolves the next piece of a clip.
    ///
    /// The cache holds frames before the norm: norming two frames again is cheaper than a pass over all of them.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, in_channels]`
    /// - output: `[batch, frames, height, width, out_channels]`
    pub fn forward_normed(&self, frames: Tensor<5>, norm: &RmsNorm<4>, cache: &mut FeatureCache) -> Tensor<5> {
        cache.visit(|slot| {
            let (joined, zero_frames, kept) = self.join(slot.frames.as_ref(), frames);
            let (weight, bias) = (self.weight.val(), self.bias.val());
            (
                norm_silu_convolve(joined, norm.factors(), weight, bias, self.geometry(zero_frames)),
                Some(kept),
            )
        })
    }

    /// Convolves frames after `history`, and returns the output and what the next piece needs as history.
    pub(super) fn forward_after(
        &self,
        history: Option<&Tensor<5>>,
        frames: Tensor<5>,
    ) -> (Tensor<5>, Option<Tensor<5>>) {
        let (joined, zero_frames, kept) = self.join(history, frames);
        (self.convolve(joined, zero_frames), Some(kept))
    }

    /// Convolves without any padding in time, with the stride of this layer.
    ///
    /// # Shapes
    /// - frames: `[batch, frames, height, width, in_channels]`
    /// - output: `[batch, (frames - kernel_frames) / stride_frames + 1, height, width, out_channels]`
    pub fn forward_valid(&self, frames: Tensor<5>) -> Tensor<5> {
        self.convolve(frames, 0)
    }

    /// Returns frames with their history, how many frames of it are missing, and the history of the next piece.
    fn join(&self, history: Option<&Tensor<5>>, frames: Tensor<5>) -> (Tensor<5>, usize, Tensor<5>) {
        let past = self.weight.dims()[2] - 1;
        let known = history.map_or(0, |frames| frames.dims()[1]);
        let joined = with_history(history, frames);
        let kept = last_frames(&joined, past);
        (joined, past - known, kept)
    }

    fn convolve(&self, frames: Tensor<5>, zero_frames: usize) -> Tensor<5> {
        let [_, channels_in, ..] = self.weight.dims();
        assert_shape!(frames, [_, _, _, _, channels_in]);
        convolve(frames, self.weight.val(), self.bias.val(), self.geometry(zero_frames))
    }

    fn geometry(&self, zero_frames: usize) -> Geometry {
        let [_, _, _, kernel_height, kernel_width] = self.weight.dims();
        let (height, width) = (kernel_height / 2, kernel_width / 2);
        Geometry {
            stride: [self.stride_frames, 1, 1],
            padding: [(zero_frames, 0), (height, height), (width, width)],
            doubles_size: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    #[test]
    fn pieces_equal_the_whole() {
        let device = Device::flex();
        let conv = CausalConv3dConfig::new([3, 5], [3, 3, 3]).init(&device);
        let clip = Tensor::<5>::random([2, 6, 4, 5, 3], Distribution::Default, &device);
        let whole = conv.forward(clip.clone(), &mut FeatureCache::one_shot());
        let mut cache = FeatureCache::streaming();
        let mut pieces = Vec::new();
        for (start, count) in [(0, 1), (1, 1), (2, 3), (5, 1)] {
            cache.rewind();
            pieces.push(conv.forward(clip.clone().narrow(1, start, count), &mut cache));
        }
        let joined = Tensor::cat(pieces, 1);
        joined
            .into_data()
            .assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    #[should_panic(expected = "assert_shape!(frames, [_, _, _, _, channels_in])")]
    fn wrong_channels_are_refused() {
        let device = Device::flex();
        let conv = CausalConv3dConfig::new([3, 5], [3, 3, 3]).init(&device);
        conv.forward(Tensor::zeros([1, 1, 4, 4, 2], &device), &mut FeatureCache::one_shot());
    }
}
