//! What a [`Dit`](super::Dit) looks like, under the upstream field names.

use burn::config::Config;
use thiserror::Error;

use super::conditioning::{ActionConfig, ActionGrouping, CameraConfig, ConditioningConfig, ViewsConfig};
use super::rope3d::{Rope3d, RopeExponents};

/// Most transformer blocks; released networks have 36.
const MAX_BLOCKS: usize = 1024;

/// Largest size of anything else; released networks stay at a hundred thousand.
const MAX_SIZE: usize = 1 << 24;

/// Epsilon of diffusers' norms of queries and keys.
const DIFFUSERS_QK_NORM_EPS: f64 = 1e-5;

/// Configuration of a [`Dit`](super::Dit).
#[derive(Config, Debug)]
pub struct DitConfig {
    /// Width of the residual stream; a multiple of `num_heads`.
    pub model_channels: usize,
    /// Number of transformer blocks.
    pub num_blocks: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// Width of the feed-forward layer over `model_channels`.
    #[config(default = 4.0)]
    pub mlp_ratio: f64,
    /// Latent channels in, without the mask channels.
    #[config(default = 16)]
    pub in_channels: usize,
    /// Latent channels out.
    #[config(default = 16)]
    pub out_channels: usize,
    /// Height and width of a patch, in latent pixels.
    #[config(default = 2)]
    pub patch_spatial: usize,
    /// Length of a patch, in latent frames.
    #[config(default = 1)]
    pub patch_temporal: usize,
    /// Whether the padding mask is a further input channel.
    #[config(default = true)]
    pub concat_padding_mask: bool,
    /// Rank of the modulation's low-rank path.
    #[config(default = 256)]
    pub adaln_lora_dim: usize,
    /// Width of the context that cross-attention reads.
    #[config(default = 1024)]
    pub crossattn_emb_channels: usize,
    /// Whether the text embedding is projected to `crossattn_emb_channels` first.
    #[config(default = true)]
    pub use_crossattn_projection: bool,
    /// Width of the text embedding before the projection.
    #[config(default = 100352)]
    pub crossattn_proj_in_channels: usize,
    /// Factor on the timestep before it is embedded.
    #[config(default = 0.001)]
    pub timestep_scale: f64,
    /// Stretch of the rotary positions over height.
    #[config(default = 3.0)]
    pub rope_h_extrapolation_ratio: f64,
    /// Stretch of the rotary positions over width.
    #[config(default = 3.0)]
    pub rope_w_extrapolation_ratio: f64,
    /// Stretch of the rotary positions over time.
    #[config(default = 1.0)]
    pub rope_t_extrapolation_ratio: f64,
    /// Whether rotary exponents are rounded to bfloat16 (NVIDIA's code) or exact (diffusers).
    #[config(default = "RopeExponents::Bf16")]
    pub rope_exponents: RopeExponents,
    /// Added to the mean square in the norms of queries and keys (NVIDIA 1e-6, diffusers 1e-5).
    #[config(default = 1e-6)]
    pub qk_norm_eps: f64,
    /// What is rounded to the dtype of the weights beyond NVIDIA's networks, which compute time, modulations and last layer in
    /// float32; in float32 it changes nothing.
    pub rounding: Option<DitRounding>,
    /// What conditions the network beside text and given frames.
    #[config(default = "ConditioningConfig::new()")]
    pub conditioning: ConditioningConfig,
}

/// What a network rounds to the dtype of its weights after every step.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum DitRounding {
    /// Time, modulations and last layer, as NVIDIA's distilled model.
    Time,
    /// Those, and norms of queries, keys and time before their weight, as diffusers.
    TimeAndNorms,
}

/// A configuration that no network can be built from.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum DitConfigError {
    /// A field that must be positive is zero.
    #[error("DiT config: `{field}` is 0; set it to at least 1")]
    Zero {
        /// Name of the field.
        field: &'static str,
    },
    /// A field is larger than in any network that could be built.
    #[error("DiT config: `{field}` is {found}; it must be at most {most}")]
    TooLarge {
        /// Name of the field.
        field: &'static str,
        /// Largest value allowed.
        most: usize,
        /// Value found.
        found: usize,
    },
    /// The width cannot be split over the heads, or a head not over the rotary axes.
    #[error(
        "DiT config: model_channels {model_channels} over num_heads {num_heads} must give whole, even heads of at \
         least 12 channels; change either"
    )]
    HeadDim {
        /// Width of the residual stream.
        model_channels: usize,
        /// Number of heads.
        num_heads: usize,
    },
    /// A field that must be a positive, finite number is not.
    #[error("DiT config: `{field}` is {found}; it must be a positive, finite number")]
    NotPositive {
        /// Name of the field.
        field: &'static str,
        /// Value found.
        found: f64,
    },
    /// Each view reads its own share of the context, in which there is no place for the tokens of actions.
    #[error("DiT config: views and actions by cross-attention cannot be in one network; add the actions to the time")]
    ActionTokensWithViews,
    /// The map of neighbouring cameras does not fit the cameras.
    #[error(
        "DiT config: `cross_view_attn_map` must have one list for each of the {cameras} cameras, of numbers below \
         {cameras}"
    )]
    Neighbours {
        /// Number of cameras.
        cameras: usize,
    },
}

impl DitConfig {
    /// Returns the released 2B network.
    pub fn predict2_5_2b() -> Self {
        Self::new(2048, 28, 16)
    }

    /// Returns the released 14B network.
    pub fn predict2_5_14b() -> Self {
        Self::new(5120, 36, 40)
    }

    /// Returns the released 2B network that was distilled to four steps; its time runs from 0 to 1.
    pub fn predict2_5_2b_distilled() -> Self {
        Self::predict2_5_2b()
            .with_timestep_scale(1.0)
            .with_rounding(Some(DitRounding::Time))
    }

    /// Returns the released action-conditioned 2B network (7-D actions, four per latent frame).
    pub fn action_cond_2b() -> Self {
        let action = ActionConfig::new(
            7,
            ActionGrouping::PerLatentFrame {
                temporal_compression_ratio: 4,
            },
        );
        Self::predict2_5_2b().with_conditioning(ConditioningConfig::new().with_action(Some(action)))
    }

    /// Returns a 2B network of the older class, whose embedding sees all 12 actions of a chunk at once.
    pub fn action_cond_whole_chunk_2b() -> Self {
        let config = Self::action_cond_2b();
        Self {
            conditioning: config.conditioning.with_action(Some(ActionConfig::new(
                7,
                ActionGrouping::WholeChunk {
                    num_action_per_chunk: 12,
                },
            ))),
            ..config
        }
    }

    /// Returns the causal 2B network for a humanoid (29-D actions, four per latent frame), which makes one latent frame after
    /// the other; its time runs from 0 to 1.
    pub fn streaming_action_gr1_2b() -> Self {
        let mut config = Self::action_cond_2b().with_timestep_scale(1.0);
        if let Some(action) = &mut config.conditioning.action {
            action.action_dim = 29;
        }
        config
    }

    /// Returns the released 2B network for seven cameras of a car, 8 latent frames each.
    ///
    /// Its guidance starts from the unconditional velocity, where that of the other networks starts from the
    /// conditional one.
    pub fn auto_multiview_2b() -> Self {
        let views = ViewsConfig::new(8, 7).with_view_condition_dim(Some(7));
        Self::predict2_5_2b()
            .with_rope_t_extrapolation_ratio(8.0 / 24.0)
            .with_conditioning(ConditioningConfig::new().with_views(Some(views)))
    }

    /// Returns the released camera-controlled 2B network for three cameras of a robot (`robot/multiview-agibot`).
    ///
    /// Its views follow each other on one time axis without a restart and are told apart by their rays.
    pub fn robot_multiview_agibot_2b() -> Self {
        Self::predict2_5_2b().with_conditioning(ConditioningConfig::new().with_camera(Some(CameraConfig::new())))
    }

    /// Returns the network with diffusers' numerics: exact rotary exponents, another epsilon in the norms of queries and keys, and
    /// no float32 where the weights are of another dtype.
    ///
    /// Source: `models/transformers/transformer_cosmos.py` of diffusers@58eb52c.
    #[must_use]
    pub fn with_diffusers_numerics(self) -> Self {
        self.with_rope_exponents(RopeExponents::Exact)
            .with_qk_norm_eps(DIFFUSERS_QK_NORM_EPS)
            .with_rounding(Some(DitRounding::TimeAndNorms))
    }

    /// Returns an action-conditioned network that runs in milliseconds on a CPU, for tests and examples.
    pub fn tiny() -> Self {
        let action = ActionConfig::new(
            7,
            ActionGrouping::PerLatentFrame {
                temporal_compression_ratio: 4,
            },
        );
        Self::new(48, 2, 2)
            .with_adaln_lora_dim(16)
            .with_crossattn_emb_channels(32)
            .with_crossattn_proj_in_channels(40)
            .with_conditioning(ConditioningConfig::new().with_action(Some(action)))
    }

    /// Returns the width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.model_channels / self.num_heads
    }

    /// Returns the width of the feed-forward layer.
    pub fn mlp_channels(&self) -> usize {
        (self.model_channels as f64 * self.mlp_ratio) as usize
    }

    /// Returns the channels that are cut into patches: latents, condition mask, padding mask, those of conditions.
    pub fn patch_channels(&self) -> usize {
        let masks = 1 + usize::from(self.concat_padding_mask);
        self.in_channels
            .saturating_add(masks)
            .saturating_add(self.conditioning.channels())
    }

    /// Returns the width of the text embedding that [`Dit::project_context`](super::Dit::project_context) takes.
    pub fn text_channels(&self) -> usize {
        if self.use_crossattn_projection {
            self.crossattn_proj_in_channels
        } else {
            self.crossattn_emb_channels
        }
    }

    /// Returns the rotary positions of this network.
    pub fn rope(&self) -> Rope3d {
        let ratios = [
            self.rope_t_extrapolation_ratio,
            self.rope_h_extrapolation_ratio,
            self.rope_w_extrapolation_ratio,
        ];
        Rope3d::new(self.head_dim(), ratios, self.rope_exponents)
    }

    /// Returns how many numbers a patch has, in or out, or the largest number there is.
    fn patch_values(&self) -> usize {
        let channels = self.patch_channels().max(self.out_channels);
        [self.patch_temporal, self.patch_spatial, self.patch_spatial]
            .into_iter()
            .fold(channels, usize::saturating_mul)
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// The first field that no network can be built from.
    pub fn validate(&self) -> Result<(), DitConfigError> {
        let sizes = [
            ("model_channels", self.model_channels),
            ("num_blocks", self.num_blocks),
            ("num_heads", self.num_heads),
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels),
            ("patch_spatial", self.patch_spatial),
            ("patch_temporal", self.patch_temporal),
            ("adaln_lora_dim", self.adaln_lora_dim),
            ("crossattn_emb_channels", self.crossattn_emb_channels),
            ("mlp_ratio * model_channels", self.mlp_channels()),
            ("crossattn_proj_in_channels", self.text_channels()),
            ("values of a patch", self.patch_values()),
        ];
        check_sizes(&sizes)?;
        if self.num_blocks > MAX_BLOCKS {
            return Err(DitConfigError::TooLarge {
                field: "num_blocks",
                most: MAX_BLOCKS,
                found: self.num_blocks,
            });
        }
        let numbers = [
            ("timestep_scale", self.timestep_scale),
            ("rope_h_extrapolation_ratio", self.rope_h_extrapolation_ratio),
            ("rope_w_extrapolation_ratio", self.rope_w_extrapolation_ratio),
            ("rope_t_extrapolation_ratio", self.rope_t_extrapolation_ratio),
            ("qk_norm_eps", self.qk_norm_eps),
        ];
        if let Some((field, found)) = numbers
            .into_iter()
            .find(|(_, number)| !(number.is_finite() && *number > 0.0))
        {
            return Err(DitConfigError::NotPositive { field, found });
        }
        let (model_channels, num_heads) = (self.model_channels, self.num_heads);
        if !model_channels.is_multiple_of(num_heads) || !self.head_dim().is_multiple_of(2) || self.head_dim() < 12 {
            return Err(DitConfigError::HeadDim {
                model_channels,
                num_heads,
            });
        }
        self.conditioning.validate()
    }
}

/// Checks sizes of any part of the network.
pub(super) fn check_sizes(sizes: &[(&'static str, usize)]) -> Result<(), DitConfigError> {
    for &(field, found) in sizes {
        if found == 0 {
            return Err(DitConfigError::Zero { field });
        }
        if found > MAX_SIZE {
            let most = MAX_SIZE;
            return Err(DitConfigError::TooLarge { field, most, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn presets_are_valid() {
        for config in [
            DitConfig::predict2_5_2b(),
            DitConfig::predict2_5_2b_distilled(),
            DitConfig::predict2_5_14b(),
            DitConfig::action_cond_2b(),
            DitConfig::action_cond_whole_chunk_2b(),
            DitConfig::streaming_action_gr1_2b(),
            DitConfig::auto_multiview_2b(),
            DitConfig::robot_multiview_agibot_2b(),
            DitConfig::tiny(),
        ] {
            assert_eq!(config.validate(), Ok(()));
        }
    }

    #[test]
    fn presets_have_the_published_sizes() {
        // Weights are drawn when they are first used, so that counting them costs nothing.
        let parameters = |config: DitConfig| config.init(&Device::flex()).num_params();
        let base = parameters(DitConfig::predict2_5_2b());
        assert_eq!(base, 2_059_174_912);
        assert_eq!(parameters(DitConfig::predict2_5_14b()), 14_368_047_104);
        assert_eq!(parameters(DitConfig::action_cond_2b()), base + 67_592_192);
        assert_eq!(parameters(DitConfig::robot_multiview_agibot_2b()), base + 88_080_384);
        // Seven channels more in patches of 2x2, and seven embeddings of seven numbers.
        assert_eq!(parameters(DitConfig::auto_multiview_2b()), base + 7 * 4 * 2048 + 7 * 7);
    }

    #[test]
    fn a_config_survives_its_json() {
        let config = DitConfig::tiny().with_rope_exponents(RopeExponents::Exact);
        let json = serde_json::to_string(&config).expect("serialisable");
        let read: DitConfig = serde_json::from_str(&json).expect("readable");
        assert_eq!(serde_json::to_string(&read).expect("serialisable"), json);
    }

    #[test]
    fn sizes_beyond_any_network_are_refused() {
        let error = DitConfig::new(48, usize::MAX, 2)
            .validate()
            .expect_err("too many blocks");
        assert!(error.to_string().contains("`num_blocks`"), "{error}");
        let action = ActionConfig::new(
            usize::MAX,
            ActionGrouping::WholeChunk {
                num_action_per_chunk: 2,
            },
        );
        let config = DitConfig::tiny().with_conditioning(ConditioningConfig::new().with_action(Some(action)));
        let error = config.validate().expect_err("too many numbers of an action");
        assert!(error.to_string().contains("`action_dim`"), "{error}");
    }

    #[test]
    fn heads_that_do_not_divide_the_width_are_refused() {
        let error = DitConfig::new(50, 1, 4).validate().expect_err("50 over 4");
        assert_eq!(
            error,
            DitConfigError::HeadDim {
                model_channels: 50,
                num_heads: 4
            }
        );
    }
}
