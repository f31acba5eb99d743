//! The whole VAE.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`WanVAE_`, `Wan2pt1VAEInterface`).
//! Differs:
//! - `Wan2pt1VAEInterface` is [`WanVae`].
//! - whole clips go through in one call instead of one latent frame at a time; the result is the same.
//! - encoding returns the log-variance too.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, assert_shape};

use super::causal_conv3d::{CausalConv3d, CausalConv3dConfig};
use super::config::{WanVaeConfig, latent_frames_at_once};
use super::decoder::VaeDecoder;
use super::encoder::VaeEncoder;
use super::feature_cache::FeatureCache;
use super::latent_stats::LatentStats;
use crate::layers::untracked_cast;

/// Encodes video to latents and decodes latents to video.
#[derive(Module, Debug)]
pub struct WanVae {
    /// Video to latent statistics.
    pub encoder: VaeEncoder,
    /// 1x1x1 convolution after the encoder.
    pub conv1: CausalConv3d,
    /// 1x1x1 convolution before the decoder.
    pub conv2: CausalConv3d,
    /// Latents to video.
    pub decoder: VaeDecoder,
    /// Constants that normalise latents.
    #[module(skip)]
    pub stats: LatentStats,
    /// Channels of the latents.
    pub z_dim: usize,
    /// By how much height and width shrink.
    pub spatial_compression: usize,
    /// By how much the frame rate shrinks.
    pub temporal_compression: usize,
    /// Whether decoded video is clamped to `[-1, 1]`.
    pub clamp_output: bool,
}

/// What the encoder says about a clip: a normal distribution per latent value, not normalised.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// `[batch, z_dim, latent_frames, latent_height, latent_width]`
    pub mean: Tensor<5>,
    /// `[batch, z_dim, latent_frames, latent_height, latent_width]`
    pub logvar: Tensor<5>,
}

/// What the encoder remembers of a clip that comes in pieces; clone it to fork the clip.
#[derive(Debug, Clone)]
pub struct EncoderState(FeatureCache);

/// What the decoder remembers of a clip that comes in pieces; clone it to fork the clip.
#[derive(Debug, Clone)]
pub struct DecoderState(FeatureCache);

impl EncoderState {
    /// Starts a clip.
    pub fn new() -> Self {
        Self(FeatureCache::streaming())
    }
}

impl Default for EncoderState {
    fn default() -> Self {
        Self::new()
    }
}

impl DecoderState {
    /// Starts a clip.
    pub fn new() -> Self {
        Self(FeatureCache::streaming())
    }
}

impl Default for DecoderState {
    fn default() -> Self {
        Self::new()
    }
}

impl WanVaeConfig {
    /// Initializes a new [`WanVae`]; a config from outside goes through [`WanVaeConfig::validate`] first.
    ///
    /// # Panics
    /// If the config is not valid.
    pub fn init(&self, device: &Device) -> WanVae {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let pointwise = |channels| CausalConv3dConfig::new([channels, channels], [1, 1, 1]).init(device);
        WanVae {
            encoder: VaeEncoder::new(self, device),
            conv1: pointwise(2 * self.z_dim),
            conv2: pointwise(self.z_dim),
            decoder: VaeDecoder::new(self, device),
            stats: LatentStats::new(self),
            z_dim: self.z_dim,
            spatial_compression: self.spatial_compression(),
            temporal_compression: self.temporal_compression(),
            clamp_output: self.clamp_output,
        }
    }
}

impl WanVae {
    /// Encodes a whole clip; one of many or large frames piece by piece, which gives the same and takes less memory.
    ///
    /// # Shapes
    /// - video: `[batch, in_channels, frames, height, width]`, RGB in `[-1, 1]`; `frames` is one more than a
    ///   multiple of the temporal compression, `height` and `width` are multiples of the spatial one
    ///
    /// # Panics
    /// If the number of frames or the size does not fit.
    pub fn encode(&self, video: Tensor<5>) -> Posterior {
        let [batch, _, frames, height, width] = video.dims();
        let time = self.temporal_compression;
        assert!(
            frames % time == 1 % time,
            "a clip has {frames} frames, one more than a multiple of {time} is needed"
        );
        self.assert_size(height, width);
        self.encode_cut(video, latent_frames_at_once(time, batch * height * width))
    }

    /// Encodes a whole clip in pieces of so many latent frames.
    fn encode_cut(&self, video: Tensor<5>, at_once: usize) -> Posterior {
        let (frames, time) = (video.dims()[2], self.temporal_compression);
        if frames.div_ceil(time) <= at_once {
            return self.encode_with(video, &mut FeatureCache::one_shot());
        }
        let mut state = EncoderState::new();
        let first = frames.min(1 + (at_once - 1) * time);
        let later = (first..frames).step_by(at_once * time);
        let pieces: Vec<Posterior> = std::iter::once((0, first))
            .chain(later.map(|start| (start, (at_once * time).min(frames - start))))
            .map(|(start, count)| self.encode_chunk(video.clone().narrow(2, start, count), &mut state))
            .collect();
        let (means, logvars) = pieces.into_iter().map(|piece| (piece.mean, piece.logvar)).unzip();
        Posterior {
            mean: Tensor::cat(means, 2),
            logvar: Tensor::cat(logvars, 2),
        }
    }

    /// Encodes the next piece of a clip: first `1 + k * temporal compression` frames, later `k * temporal compression`.
    ///
    /// # Shapes
    /// - video: `[batch, in_channels, frames, height, width]`, RGB in `[-1, 1]`
    ///
    /// # Panics
    /// If the number of frames or the size does not fit.
    pub fn encode_chunk(&self, video: Tensor<5>, state: &mut EncoderState) -> Posterior {
        let [_, _, frames, height, width] = video.dims();
        let time = self.temporal_compression;
        let extra = if state.0.is_fresh() { 1 % time } else { 0 };
        assert!(
            frames % time == extra,
            "a piece has {frames} frames, {extra} more than a multiple of {time} is needed"
        );
        self.assert_size(height, width);
        self.encode_with(video, &mut state.0)
    }

    /// Encodes a whole clip to the normalised mean, which is what the diffusion transformer works on.
    ///
    /// # Shapes
    /// - video: `[batch, in_channels, frames, height, width]`, RGB in `[-1, 1]`
    /// - output: `[batch, z_dim, latent_frames, latent_height, latent_width]`
    pub fn encode_latents(&self, video: Tensor<5>) -> Tensor<5> {
        self.stats.normalize(self.encode(video).mean)
    }

    /// Decodes a whole clip from latents that are not normalised; one of many or large frames piece by piece.
    ///
    /// # Shapes
    /// - latents: `[batch, z_dim, latent_frames, latent_height, latent_width]`
    /// - output: `[batch, in_channels, frames, height, width]`, RGB around `[-1, 1]`
    pub fn decode(&self, latents: Tensor<5>) -> Tensor<5> {
        let [batch, _, _, height, width] = latents.dims();
        let pixels = batch * height * width * self.spatial_compression.pow(2);
        self.decode_cut(latents, latent_frames_at_once(self.temporal_compression, pixels))
    }

    /// Decodes a whole clip in pieces of so many latent frames.
    fn decode_cut(&self, latents: Tensor<5>, at_once: usize) -> Tensor<5> {
        let frames = latents.dims()[2];
        if frames <= at_once {
            return self.decode_with(latents, &mut FeatureCache::one_shot());
        }
        let mut state = DecoderState::new();
        let starts = (0..frames).step_by(at_once);
        let pieces = starts.map(|start| {
            let piece = latents.clone().narrow(2, start, at_once.min(frames - start));
            self.decode_chunk(piece, &mut state)
        });
        Tensor::cat(pieces.collect(), 2)
    }

    /// Decodes a whole clip from normalised latents.
    ///
    /// # Shapes
    /// - latents: `[batch, z_dim, latent_frames, latent_height, latent_width]`
    /// - output: `[batch, in_channels, frames, height, width]`, RGB around `[-1, 1]`
    pub fn decode_latents(&self, latents: Tensor<5>) -> Tensor<5> {
        self.decode(self.stats.denormalize(latents))
    }

    /// Decodes the next piece of a clip from latents that are not normalised; any number of latent frames.
    ///
    /// # Shapes
    /// - latents: `[batch, z_dim, latent_frames, latent_height, latent_width]`
    /// - output: `[batch, in_channels, frames, height, width]`, RGB around `[-1, 1]`
    pub fn decode_chunk(&self, latents: Tensor<5>, state: &mut DecoderState) -> Tensor<5> {
        self.decode_with(latents, &mut state.0)
    }

    fn encode_with(&self, video: Tensor<5>, cache: &mut FeatureCache) -> Posterior {
        cache.rewind();
        let video = untracked_cast(video, self.dtype());
        let encoded = self.encoder.forward(video.permute([0, 2, 3, 4, 1]), cache);
        let statistics = self.conv1.forward(encoded, cache).permute([0, 4, 1, 2, 3]);
        let statistics = untracked_cast(statistics, DType::F32);
        Posterior {
            mean: statistics.clone().narrow(1, 0, self.z_dim),
            logvar: statistics.narrow(1, self.z_dim, self.z_dim),
        }
    }

    fn decode_with(&self, latents: Tensor<5>, cache: &mut FeatureCache) -> Tensor<5> {
        assert_shape!(latents, [_, self.z_dim, ..]);
        cache.rewind();
        let latents = untracked_cast(latents, self.dtype());
        let hidden = self.conv2.forward(latents.permute([0, 2, 3, 4, 1]), cache);
        let video = self.decoder.forward(hidden, cache).permute([0, 4, 1, 2, 3]);
        let video = untracked_cast(video, DType::F32);
        if self.clamp_output {
            video.clamp(-1.0, 1.0)
        } else {
            video
        }
    }

    /// Returns the dtype of the weights, in which the convolutions run; video and latents are float32 outside.
    pub fn dtype(&self) -> DType {
        self.conv1.weight.dtype()
    }

    fn assert_size(&self, height: usize, width: usize) {
        let space = self.spatial_compression;
        assert!(
            height.is_multiple_of(space) && width.is_multiple_of(space),
            "frames are {height}x{width}, multiples of {space} are needed"
        );
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    fn clip(frames: usize, device: &Device) -> Tensor<5> {
        Tensor::random([2, 3, frames, 16, 24], Distribution::Uniform(-1.0, 1.0), device)
    }

    #[test]
    fn latents_are_four_times_smaller_in_space_and_time() {
        let device = Device::flex();
        let vae = WanVaeConfig::tiny().init(&device);
        let posterior = vae.encode(clip(9, &device));
        assert_eq!(posterior.mean.dims(), [2, 8, 3, 4, 6]);
        assert_eq!(posterior.logvar.dims(), [2, 8, 3, 4, 6]);
        assert_eq!(vae.decode(posterior.mean).dims(), [2, 3, 9, 16, 24]);
    }

    #[test]
    fn streamed_decode_equals_one_shot() {
        let device = Device::flex();
        let vae = WanVaeConfig::tiny().init(&device);
        let latents = Tensor::<5>::random([2, 8, 5, 4, 6], Distribution::Default, &device);
        let whole = vae.decode(latents.clone());
        let mut state = DecoderState::new();
        let mut pieces = Vec::new();
        for (start, count) in [(0, 1), (1, 1), (2, 2), (4, 1)] {
            pieces.push(vae.decode_chunk(latents.clone().narrow(2, start, count), &mut state));
        }
        Tensor::cat(pieces, 2)
            .into_data()
            .assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn streamed_encode_equals_one_shot() {
        let device = Device::flex();
        let vae = WanVaeConfig::tiny().init(&device);
        let video = clip(17, &device);
        let whole = vae.encode(video.clone()).mean;
        let mut state = EncoderState::new();
        let mut pieces = Vec::new();
        for (start, count) in [(0, 1), (1, 4), (5, 8), (13, 4)] {
            pieces.push(vae.encode_chunk(video.clone().narrow(2, start, count), &mut state).mean);
        }
        Tensor::cat(pieces, 2)
            .into_data()
            .assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn clips_that_are_cut_equal_whole_ones() {
        let device = Device::flex();
        let vae = WanVaeConfig::tiny().init(&device);
        let near = |left: Tensor<5>, right: Tensor<5>| {
            let tolerance = Tolerance::absolute(1e-5);
            left.into_data().assert_approx_eq::<f32>(&right.into_data(), tolerance);
        };
        let video = clip(17, &device);
        let whole = vae.encode_cut(video.clone(), 5);
        let decoded = vae.decode_cut(whole.mean.clone(), 5);
        for at_once in 1..5 {
            let cut = vae.encode_cut(video.clone(), at_once);
            near(cut.mean, whole.mean.clone());
            near(cut.logvar, whole.logvar.clone());
            near(vae.decode_cut(whole.mean.clone(), at_once), decoded.clone());
        }
        // Small clips go through whole, those of the released size in pieces.
        assert!(latent_frames_at_once(4, 256 * 320) >= 4);
        assert_eq!(latent_frames_at_once(4, 704 * 1280), 1);
    }

    #[test]
    fn a_cloned_decoder_state_forks_the_clip() {
        let device = Device::flex();
        let vae = WanVaeConfig::tiny().init(&device);
        let latents = Tensor::<5>::random([1, 8, 3, 4, 4], Distribution::Default, &device);
        let mut state = DecoderState::new();
        vae.decode_chunk(latents.clone().narrow(2, 0, 1), &mut state);
        let mut fork = state.clone();
        vae.decode_chunk(latents.clone().narrow(2, 2, 1), &mut state);
        let forked = vae.decode_chunk(latents.clone().narrow(2, 1, 1), &mut fork);
        let whole = vae.decode(latents.narrow(2, 0, 2)).narrow(2, 1, 4);
        forked
            .into_data()
            .assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn one_level_compresses_nothing() {
        let device = Device::flex();
        let vae = WanVaeConfig::new(4, vec![1], 2, vec![], vec![0.0; 2], vec![1.0; 2]).init(&device);
        let mean = vae.encode(clip(3, &device)).mean;
        assert_eq!(mean.dims(), [2, 2, 3, 16, 24]);
        assert_eq!(vae.decode(mean).dims(), [2, 3, 3, 16, 24]);
    }

    #[test]
    #[should_panic(expected = "one more than a multiple of 4 is needed")]
    fn clips_of_other_lengths_are_refused() {
        let device = Device::flex();
        WanVaeConfig::tiny().init(&device).encode(clip(8, &device));
    }
}
