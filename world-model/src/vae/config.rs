//! Sizes of the VAE and the statistics of its latents.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8`.
//! Differs:
//! - `temperal_downsample` is spelled `temporal_downsample`.
//! - latent statistics and the output clamp are part of the config.

use burn::config::Config;

/// Most levels; the released VAE has four.
const MAX_LEVELS: usize = 8;

/// Most residual blocks of a level.
const MAX_RES_BLOCKS: usize = 64;

/// Most channels of anything; the released VAE has 384.
const MAX_CHANNELS: usize = 1 << 14;

/// Mean of the 16 released latent channels.
const WAN21_LATENTS_MEAN: [f32; 16] = [
    -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517, -0.3632, -0.1922,
    -0.9497, 0.2503, -0.2921,
];

/// Standard deviation of the 16 released latent channels.
const WAN21_LATENTS_STD: [f32; 16] = [
    2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253,
    2.8251, 1.9160,
];

/// Configuration to create a [`WanVae`](super::WanVae).
#[derive(Config, Debug, PartialEq)]
pub struct WanVaeConfig {
    /// Channels of the first level; level `i` has `base_dim * dim_mult[i]`.
    pub base_dim: usize,
    /// Channel multiple per level; each level but the last halves height and width.
    pub dim_mult: Vec<usize>,
    /// Channels of the latents.
    pub z_dim: usize,
    /// Residual blocks per encoder level; a decoder level has one more.
    #[config(default = 2)]
    pub num_res_blocks: usize,
    /// Whether the step after level `i` also halves the frame rate; one entry per step.
    pub temporal_downsample: Vec<bool>,
    /// Channels of the video.
    #[config(default = 3)]
    pub in_channels: usize,
    /// Mean per latent channel, subtracted after encoding.
    pub latents_mean: Vec<f32>,
    /// Standard deviation per latent channel, divided by after encoding.
    pub latents_std: Vec<f32>,
    /// Whether mean and inverse deviation are rounded to bfloat16, as the released pipelines do.
    #[config(default = false)]
    pub latents_bf16: bool,
    /// Whether decoded video is clamped to `[-1, 1]`.
    #[config(default = false)]
    pub clamp_output: bool,
}

/// Why a [`WanVaeConfig`] describes no network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaeConfigError {
    /// A size that must be positive is zero.
    #[error("`{field}` of the VAE config is zero: give a positive size")]
    Zero {
        /// Name of the field.
        field: &'static str,
    },
    /// A size is larger than in any network that could be built.
    #[error("`{field}` of the VAE config is {found}: give at most {most}")]
    TooLarge {
        /// Name of the field.
        field: &'static str,
        /// Largest value allowed.
        most: usize,
        /// Value found.
        found: usize,
    },
    /// A list has the wrong length.
    #[error("`{field}` of the VAE config has {found} entries, {expected} are needed ({reason})")]
    Length {
        /// Name of the field.
        field: &'static str,
        /// Entries needed.
        expected: usize,
        /// Entries found.
        found: usize,
        /// What fixes the number.
        reason: &'static str,
    },
    /// A decoder level cannot halve its channels.
    #[error("level {level} of the VAE has {channels} channels, which cannot be halved: make base_dim * dim_mult even")]
    OddChannels {
        /// Index of the level, counted from the finest.
        level: usize,
        /// Channels of the level.
        channels: usize,
    },
    /// A latent statistic cannot be used.
    #[error("latents_std[{channel}] of the VAE config is {value}: give a positive number")]
    Deviation {
        /// Index of the channel.
        channel: usize,
        /// What was found, as text.
        value: String,
    },
}

/// Most pixels of a batch's frames that go through the network at once, if more than one latent frame does.
///
/// On the finest level of the released VAE they are 0.8 GB per tensor.
const PIXELS_AT_ONCE: usize = 1 << 21;

pub(super) fn latent_frames_at_once(temporal_compression: usize, pixels: usize) -> usize {
    (PIXELS_AT_ONCE / (temporal_compression * pixels).max(1)).max(1)
}

impl WanVaeConfig {
    /// Returns the configuration of the released Wan2.1 VAE.
    pub fn wan2_1() -> Self {
        Self::new(
            96,
            vec![1, 2, 4, 4],
            16,
            vec![false, true, true],
            WAN21_LATENTS_MEAN.to_vec(),
            WAN21_LATENTS_STD.to_vec(),
        )
    }

    /// Returns a configuration that runs in milliseconds: 4x in space, 4x in time, 8 latent channels.
    pub fn tiny() -> Self {
        Self::new(8, vec![1, 2, 4], 8, vec![true, true], vec![0.0; 8], vec![1.0; 8]).with_num_res_blocks(1)
    }

    /// Returns by how much height and width shrink.
    pub fn spatial_compression(&self) -> usize {
        1 << (self.dim_mult.len().max(1) - 1)
    }

    /// Returns by how much the frame rate shrinks.
    pub fn temporal_compression(&self) -> usize {
        1 << self.temporal_downsample.iter().filter(|&&halves| halves).count()
    }

    /// Returns the latent frames of a clip of `frames` frames.
    pub fn latent_frames(&self, frames: usize) -> usize {
        1 + frames.saturating_sub(1) / self.temporal_compression()
    }

    /// Returns the frames of a clip of `latent_frames` latent frames.
    pub fn video_frames(&self, latent_frames: usize) -> usize {
        1 + latent_frames.saturating_sub(1) * self.temporal_compression()
    }

    /// Returns how many latent frames of `pixels` pixels per frame, of all clips of a batch, go through the network at once.
    ///
    /// Longer clips are cut into pieces of so many, which changes nothing but the memory that they take.
    pub fn latent_frames_at_once(&self, pixels: usize) -> usize {
        latent_frames_at_once(self.temporal_compression(), pixels)
    }

    /// Returns the channels of level `level`, counted from the finest.
    pub(crate) fn level_channels(&self, level: usize) -> usize {
        self.base_dim * self.dim_mult[level]
    }

    /// Checks that the fields fit together.
    ///
    /// # Errors
    /// A [`VaeConfigError`] that names the field.
    pub fn validate(&self) -> Result<(), VaeConfigError> {
        let sizes = [
            ("base_dim", self.base_dim),
            ("z_dim", self.z_dim),
            ("in_channels", self.in_channels),
            ("dim_mult", self.dim_mult.len()),
            ("dim_mult entry", self.dim_mult.iter().copied().min().unwrap_or(0)),
        ];
        if let Some(&(field, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(VaeConfigError::Zero { field });
        }
        let widest = self.dim_mult.iter().copied().max().unwrap_or(0);
        for (field, found, most) in [
            (
                "base_dim * dim_mult",
                self.base_dim.saturating_mul(widest),
                MAX_CHANNELS,
            ),
            ("z_dim", self.z_dim, MAX_CHANNELS),
            ("in_channels", self.in_channels, MAX_CHANNELS),
            ("dim_mult", self.dim_mult.len(), MAX_LEVELS),
            ("num_res_blocks", self.num_res_blocks, MAX_RES_BLOCKS),
        ] {
            if found > most {
                return Err(VaeConfigError::TooLarge { field, most, found });
            }
        }
        let lengths = [
            (
                "temporal_downsample",
                self.temporal_downsample.len(),
                self.dim_mult.len() - 1,
                "one per step between levels",
            ),
            (
                "latents_mean",
                self.latents_mean.len(),
                self.z_dim,
                "one per latent channel",
            ),
            (
                "latents_std",
                self.latents_std.len(),
                self.z_dim,
                "one per latent channel",
            ),
        ];
        for (field, found, expected, reason) in lengths {
            if found != expected {
                return Err(VaeConfigError::Length {
                    field,
                    expected,
                    found,
                    reason,
                });
            }
        }
        for level in 1..self.dim_mult.len() {
            let channels = self.level_channels(level);
            if !channels.is_multiple_of(2) {
                return Err(VaeConfigError::OddChannels { level, channels });
            }
        }
        match self
            .latents_std
            .iter()
            .position(|value| !value.is_finite() || *value <= 0.0)
        {
            Some(channel) => Err(VaeConfigError::Deviation {
                channel,
                value: self.latents_std[channel].to_string(),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_config_is_valid_and_compresses_8_by_4() {
        let config = WanVaeConfig::wan2_1();
        assert_eq!(config.validate(), Ok(()));
        assert_eq!((config.spatial_compression(), config.temporal_compression()), (8, 4));
        assert_eq!((config.latent_frames(13), config.video_frames(4)), (4, 13));
    }

    #[test]
    fn wrong_lengths_are_named() {
        let mut config = WanVaeConfig::tiny();
        config.temporal_downsample.pop();
        let error = config.validate().expect_err("a step is missing");
        assert!(error.to_string().contains("temporal_downsample"), "{error}");
    }

    #[test]
    fn config_survives_json() {
        let config = WanVaeConfig::tiny().with_clamp_output(true);
        let json = serde_json::to_string(&config).expect("config serialises");
        assert_eq!(
            serde_json::from_str::<WanVaeConfig>(&json).expect("config parses"),
            config
        );
    }
}
