//! Video latents to tokens, and back.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`PatchEmbed`, `unpatchify`).
//! Differs: nothing.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, assert_shape};

use super::modulation::linear_without_bias;
use crate::layers::linear_rows;

/// Configuration of a [`PatchEmbed`].
#[derive(Config, Debug)]
pub struct PatchEmbedConfig {
    /// Channels of the input, mask channels included.
    pub channels: usize,
    /// Height and width of a patch.
    pub patch_spatial: usize,
    /// Frames of a patch.
    pub patch_temporal: usize,
    /// Width of a token.
    pub model_channels: usize,
}

/// Cuts latents into patches and projects each to a token.
#[derive(Module, Debug)]
pub struct PatchEmbed {
    /// Projection of a patch, its channels slowest and its columns fastest.
    pub proj: Linear,
    /// Height and width of a patch.
    pub patch_spatial: usize,
    /// Frames of a patch.
    pub patch_temporal: usize,
}

impl PatchEmbedConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> PatchEmbed {
        let d_patch = self.channels * self.patch_temporal * self.patch_spatial * self.patch_spatial;
        PatchEmbed {
            proj: linear_without_bias(d_patch, self.model_channels, device),
            patch_spatial: self.patch_spatial,
            patch_temporal: self.patch_temporal,
        }
    }
}

impl PatchEmbed {
    /// Returns the token grid `[frames, rows, columns]` of latents of `[frames, height, width]`.
    pub fn grid(&self, [frames, height, width]: [usize; 3]) -> [usize; 3] {
        [
            frames / self.patch_temporal,
            height / self.patch_spatial,
            width / self.patch_spatial,
        ]
    }

    /// Cuts latents into tokens.
    ///
    /// # Shapes
    /// - latents: `[batch, channels, frames, height, width]`
    /// - output: `[batch, frames / patch, rows * columns, model_channels]`
    ///
    /// # Panics
    /// If frames, height or width is not a multiple of the patch, or the channels are not those of the projection.
    pub fn forward(&self, latents: Tensor<5>) -> Tensor<4> {
        let [batch, channels, frames, height, width] = latents.dims();
        let (space, time) = (self.patch_spatial, self.patch_temporal);
        let [grid_frames, rows, columns] = self.grid([frames, height, width]);
        let covered = [grid_frames * time, rows * space, columns * space];
        assert_eq!(
            covered,
            [frames, height, width],
            "latents are no whole number of {time}x{space}x{space} patches"
        );
        let patches = latents
            .reshape([batch, channels, grid_frames, time, rows, space, columns, space])
            .permute([0, 2, 4, 6, 1, 3, 5, 7]) // [batch, frames, rows, columns, channels, time, space, space]
            .reshape([batch, grid_frames, rows * columns, channels * time * space * space]);
        linear_rows(&self.proj, patches)
    }
}

/// Puts projected tokens back in their places; a patch's channels are fastest here.
///
/// # Shapes
/// - tokens: `[batch, frames, rows * columns, patch * patch * patch_temporal * out_channels]`
/// - output: `[batch, out_channels, frames * patch_temporal, rows * patch, columns * patch]`
///
/// # Panics
/// If the tokens do not fill `grid`, or their width is no whole number of patches.
pub fn unpatchify(tokens: Tensor<4>, grid: [usize; 3], patch_spatial: usize, patch_temporal: usize) -> Tensor<5> {
    let [frames, rows, columns] = grid;
    let tokens_per_frame = rows * columns;
    assert_shape!(tokens, [_, frames, tokens_per_frame, _]);
    let [batch, _, _, d_patch] = tokens.dims();
    let (space, time) = (patch_spatial, patch_temporal);
    let channels = d_patch / (space * space * time);
    tokens
        .reshape([batch, frames, rows, columns, space, space, time, channels])
        .permute([0, 7, 1, 6, 2, 4, 3, 5]) // [batch, channels, frames, time, rows, space, columns, space]
        .reshape([batch, channels, frames * time, rows * space, columns * space])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tensor;

    use super::*;

    #[test]
    fn patches_are_channel_slowest_and_column_fastest() {
        let device = Device::flex();
        let mut embed = PatchEmbedConfig::new(2, 2, 1, 8).init(&device);
        embed.proj.weight = embed.proj.weight.map(|_| Tensor::eye(8, &device));
        let latents = Tensor::arange(0..16, &device).float().reshape([1, 2, 1, 2, 4]);
        let second: Vec<f32> = embed
            .forward(latents)
            .narrow(2, 1, 1)
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        assert_eq!(second, [2.0, 3.0, 6.0, 7.0, 10.0, 11.0, 14.0, 15.0]);
    }

    #[test]
    fn unpatchify_reads_channels_fastest() {
        let device = Device::flex();
        let tokens = Tensor::arange(0..8, &device).float().reshape([1, 1, 1, 8]);
        let latents: Vec<f32> = unpatchify(tokens, [1, 1, 1], 2, 1)
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        assert_eq!(latents, [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
    }
}
