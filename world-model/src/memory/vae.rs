//! Frames to latents and back, in float32.
//!
//! A residual block from `a` to `b` channels holds its input for the skip, and input, padded copy and output of a
//! convolution, which are of its output's size: `a + 3 b` numbers per pixel of its level. A step that doubles the frame
//! rate holds its input, the pairs of frames, their interleaved copy and the joined clip: `7` times its input. The
//! attention in the middle holds three matrices of scores between all positions of a latent frame, for every frame at
//! once. The widest of these moments is the peak; the whole video comes on top, twice, because its axes are moved.
//!
//! Views go through one after the other, and the videos of those that are done wait for the last. Then all are joined and taken apart
//! into frames: three copies of them at once.
//!
//! In pieces of a few latent frames, every causal convolution keeps the two input frames that it saw last, and puts them in
//! front of the next piece.

use burn::tensor::Device;

use super::stage::{Precision, Stage, StageMemory, network_bytes};
use crate::vae::WanVaeConfig;

/// Bytes of a float32.
const F32_BYTES: u64 = 4;

/// Frames that a causal convolution remembers.
const KEPT_FRAMES: usize = 2;

/// Copies of the videos while they are joined and taken apart into frames.
const VIDEO_COPIES: u64 = 3;

/// What is encoded or decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VaeShape {
    /// Clips.
    pub batch: usize,
    /// Latent frames of a clip.
    pub latent_frames: usize,
    /// Latent frames that go through the network at once; all of them where it is `latent_frames`.
    pub latent_frames_at_once: usize,
    /// Height and width in pixels.
    pub size_px: [usize; 2],
}

/// Returns the memory of encoding a clip.
pub fn vae_encode_memory(config: &WanVaeConfig, shape: VaeShape, device: &Device) -> StageMemory {
    StageMemory {
        stage: Stage::VaeEncode,
        weights: network_bytes(&config.init(device), Precision::F32),
        activations: vae_encode_activations(config, shape, 1),
    }
}

/// Returns the memory of decoding a clip.
pub fn vae_decode_memory(config: &WanVaeConfig, shape: VaeShape, device: &Device) -> StageMemory {
    StageMemory {
        stage: Stage::VaeDecode,
        weights: network_bytes(&config.init(device), Precision::F32),
        activations: vae_decode_activations(config, shape, 1),
    }
}

/// Returns the bytes of the largest set of activations while so many views of a shape are encoded.
pub fn vae_encode_activations(config: &WanVaeConfig, shape: VaeShape, views: usize) -> u64 {
    let levels = Levels { config, shape };
    // The given frames of all views are there from the start.
    levels.activations(config.num_res_blocks) + (views as u64 - 1) * levels.video_bytes()
}

/// Returns the bytes of the largest set of activations while so many views of a shape are decoded and made frames.
pub fn vae_decode_activations(config: &WanVaeConfig, shape: VaeShape, views: usize) -> u64 {
    let levels = Levels { config, shape };
    let (views, video) = (views as u64, levels.video_bytes());
    // A decoder level has one block more.
    let last_view = levels.activations(config.num_res_blocks + 1) + (views - 1) * video;
    last_view.max(VIDEO_COPIES * views * video)
}

/// Sizes of the levels of a network, the finest first.
struct Levels<'a> {
    config: &'a WanVaeConfig,
    shape: VaeShape,
}

impl Levels<'_> {
    /// Bytes of the largest set of activations that lives at once.
    fn activations(&self, blocks_per_level: usize) -> u64 {
        let coarsest = self.config.dim_mult.len() - 1;
        let widest = (0..=coarsest)
            .flat_map(|level| [self.residual(level), self.step(level)])
            .chain([self.attention(coarsest)])
            .max()
            .unwrap_or(0);
        let kept = if self.is_whole() {
            0
        } else {
            self.kept(blocks_per_level)
        };
        F32_BYTES * (widest + kept) + 2 * self.video_bytes()
    }

    fn is_whole(&self) -> bool {
        self.shape.latent_frames_at_once >= self.shape.latent_frames
    }

    /// Counts the frames of a level that go through at once, with those that a convolution remembers.
    fn frames(&self, level: usize) -> usize {
        let after = self.config.temporal_downsample.iter().skip(level);
        let time = 1 << after.filter(|halves| **halves).count();
        if self.is_whole() {
            1 + (self.shape.latent_frames - 1) * time
        } else {
            self.shape.latent_frames_at_once * time + KEPT_FRAMES
        }
    }

    /// Counts the latent frames that go through at once.
    fn latent_frames(&self) -> usize {
        self.shape.latent_frames_at_once.min(self.shape.latent_frames)
    }

    /// Counts the pixels of one frame of a level, for all clips.
    fn pixels(&self, level: usize) -> u64 {
        let [height, width] = self.shape.size_px.map(|size| size >> level);
        (self.shape.batch * height * width) as u64
    }

    fn channels(&self, level: usize) -> u64 {
        self.config.level_channels(level) as u64
    }

    /// Numbers that the first residual block of a level holds: its input may be of either neighbour.
    fn residual(&self, level: usize) -> u64 {
        let channels = self.channels(level);
        let coarser = (level + 1 < self.config.dim_mult.len()).then(|| self.channels(level + 1) / 2);
        let finer = level.checked_sub(1).map(|level| self.channels(level));
        let input = channels.max(coarser.unwrap_or(0)).max(finer.unwrap_or(0));
        (input + 3 * channels) * self.frames(level) as u64 * self.pixels(level)
    }

    /// Numbers that the step from a level to the finer one holds.
    fn step(&self, level: usize) -> u64 {
        let doubles = level > 0 && self.config.temporal_downsample[level - 1];
        let factor = if doubles { 7 } else { 3 };
        factor * self.channels(level) * self.frames(level) as u64 * self.pixels(level)
    }

    fn attention(&self, coarsest: usize) -> u64 {
        let pixels = self.pixels(coarsest);
        let positions = pixels / self.shape.batch.max(1) as u64;
        let rows = 4 * self.channels(coarsest) + 3 * positions;
        rows * pixels * self.latent_frames() as u64
    }

    /// Numbers that all causal convolutions keep between two pieces.
    fn kept(&self, blocks_per_level: usize) -> u64 {
        let of_level = |level: usize| {
            let convolutions = 2 * blocks_per_level as u64 + 1;
            convolutions * self.channels(level) * KEPT_FRAMES as u64 * self.pixels(level)
        };
        (0..self.config.dim_mult.len()).map(of_level).sum()
    }

    /// Bytes of the whole video.
    fn video_bytes(&self) -> u64 {
        let frames = self.config.video_frames(self.shape.latent_frames) as u64;
        F32_BYTES * self.config.in_channels as u64 * frames * self.pixels(0)
    }
}
