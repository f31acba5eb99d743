//! What to time, read from JSON.

use std::path::Path;

use serde::Deserialize;
use worldloop_world_model::dit::{ActionConfig, ActionGrouping, ConditioningConfig, DitConfig};
use worldloop_world_model::vae::WanVaeConfig;

use super::error::BenchmarkError;

/// A network and the shapes to time it on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BenchmarkConfig {
    /// The diffusion transformer.
    Dit(DitBenchmark),
    /// The video VAE.
    Vae(VaeBenchmark),
}

/// Sizes of a diffusion transformer and of its input, under the upstream names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DitBenchmark {
    /// What the sizes are chosen for.
    #[serde(default)]
    pub comment: String,
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Number of transformer blocks.
    pub num_blocks: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// Width of the feed-forward layer over `model_channels`.
    pub mlp_ratio: f64,
    /// Rank of the modulation's low-rank path.
    pub adaln_lora_dim: usize,
    /// Latent channels in, without the mask channels.
    pub in_channels: usize,
    /// Latent channels out.
    pub out_channels: usize,
    /// Height and width of a patch, in latent pixels.
    pub patch_spatial: usize,
    /// Length of a patch, in latent frames.
    pub patch_temporal: usize,
    /// Whether the padding mask is a further input channel.
    pub concat_padding_mask: bool,
    /// Width of the context that cross-attention reads.
    pub crossattn_emb_channels: usize,
    /// Width of the text embedding before its projection.
    pub crossattn_proj_in_channels: usize,
    /// Tokens of the text embedding.
    pub context_tokens: usize,
    /// Numbers of one action.
    pub action_dim: usize,
    /// Actions of one latent frame.
    pub actions_per_latent_frame: usize,
    /// Stretch of the rotary positions over time, height and width.
    pub rope_ratio_thw: [f64; 3],
    /// Clips at once.
    pub batch: usize,
    /// Latent frames of a clip, the given one included.
    pub latent_frames: usize,
    /// Height of the latents.
    pub latent_height: usize,
    /// Width of the latents.
    pub latent_width: usize,
    /// Element type of the weights: `f32`, `bf16` or `f16`.
    pub dtype: String,
}

/// Sizes of a VAE and of the clips it is timed on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeBenchmark {
    /// What the sizes are chosen for.
    #[serde(default)]
    pub comment: String,
    /// Channels of the first level.
    pub base_dim: usize,
    /// Channel multiple per level.
    pub dim_mult: Vec<usize>,
    /// Channels of the latents.
    pub z_dim: usize,
    /// Residual blocks per encoder level.
    pub num_res_blocks: usize,
    /// Whether the step after each level also halves the frame rate.
    pub temporal_downsample: Vec<bool>,
    /// Clips at once.
    pub batch: usize,
    /// Frames of a clip.
    pub frames: usize,
    /// Height of a frame in pixels.
    pub height: usize,
    /// Width of a frame in pixels.
    pub width: usize,
    /// Element type of the weights: `f32`, `bf16` or `f16`.
    pub dtype: String,
}

impl BenchmarkConfig {
    /// Reads a config file and checks it.
    ///
    /// # Errors
    /// A [`BenchmarkError`] that names the file or the field.
    pub fn read(path: &Path) -> Result<Self, BenchmarkError> {
        let text = std::fs::read(path).map_err(|source| BenchmarkError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let config: Self = serde_json::from_slice(&text).map_err(|source| BenchmarkError::Config {
            path: path.to_path_buf(),
            source,
        })?;
        match &config {
            Self::Dit(dit) => dit.validate()?,
            Self::Vae(vae) => vae.validate()?,
        }
        Ok(config)
    }

    /// Returns the element type of the weights.
    pub fn dtype(&self) -> &str {
        match self {
            Self::Dit(dit) => &dit.dtype,
            Self::Vae(vae) => &vae.dtype,
        }
    }
}

impl DitBenchmark {
    /// Returns the network's config.
    pub fn network(&self) -> DitConfig {
        let grouping = ActionGrouping::PerLatentFrame {
            temporal_compression_ratio: self.actions_per_latent_frame,
        };
        let action = ActionConfig::new(self.action_dim, grouping);
        let [time, height, width] = self.rope_ratio_thw;
        DitConfig::new(self.model_channels, self.num_blocks, self.num_heads)
            .with_mlp_ratio(self.mlp_ratio)
            .with_adaln_lora_dim(self.adaln_lora_dim)
            .with_in_channels(self.in_channels)
            .with_out_channels(self.out_channels)
            .with_patch_spatial(self.patch_spatial)
            .with_patch_temporal(self.patch_temporal)
            .with_concat_padding_mask(self.concat_padding_mask)
            .with_crossattn_emb_channels(self.crossattn_emb_channels)
            .with_crossattn_proj_in_channels(self.crossattn_proj_in_channels)
            .with_rope_t_extrapolation_ratio(time)
            .with_rope_h_extrapolation_ratio(height)
            .with_rope_w_extrapolation_ratio(width)
            .with_conditioning(ConditioningConfig::new().with_action(Some(action)))
    }

    fn validate(&self) -> Result<(), BenchmarkError> {
        self.network().validate()?;
        check_size("batch", self.batch, 1)?;
        check_size("context_tokens", self.context_tokens, 1)?;
        // The first latent frame is given, so that one action embedding is left only with two.
        check_size("latent_frames", self.latent_frames, 2)?;
        check_multiple("latent_frames", self.latent_frames, self.patch_temporal)?;
        check_multiple("latent_height", self.latent_height, self.patch_spatial)?;
        check_multiple("latent_width", self.latent_width, self.patch_spatial)
    }
}

impl VaeBenchmark {
    /// Returns the network's config.
    pub fn network(&self) -> WanVaeConfig {
        let (mean, std) = (vec![0.0; self.z_dim], vec![1.0; self.z_dim]);
        let (channels, halves) = (self.dim_mult.clone(), self.temporal_downsample.clone());
        WanVaeConfig::new(self.base_dim, channels, self.z_dim, halves, mean, std)
            .with_num_res_blocks(self.num_res_blocks)
    }

    fn validate(&self) -> Result<(), BenchmarkError> {
        let network = self.network();
        network.validate()?;
        check_size("batch", self.batch, 1)?;
        check_size("frames", self.frames, 1)?;
        let time = network.temporal_compression();
        if !(self.frames - 1).is_multiple_of(time) {
            let expected = format!("1 more than a multiple of {time}");
            return Err(BenchmarkError::Value {
                field: "frames",
                expected,
                found: self.frames.to_string(),
            });
        }
        check_multiple("height", self.height, network.spatial_compression())?;
        check_multiple("width", self.width, network.spatial_compression())
    }
}

fn check_size(field: &'static str, found: usize, least: usize) -> Result<(), BenchmarkError> {
    if found >= least {
        return Ok(());
    }
    Err(BenchmarkError::Value {
        field,
        expected: format!("at least {least}"),
        found: found.to_string(),
    })
}

fn check_multiple(field: &'static str, found: usize, of: usize) -> Result<(), BenchmarkError> {
    if found > 0 && found.is_multiple_of(of) {
        return Ok(());
    }
    Err(BenchmarkError::Value {
        field,
        expected: format!("a positive multiple of {of}"),
        found: found.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAE: &str = r#"{"kind": "vae", "base_dim": 8, "dim_mult": [1, 2], "z_dim": 4, "num_res_blocks": 1,
        "temporal_downsample": [true], "batch": 1, "frames": 3, "height": 8, "width": 8, "dtype": "f32"}"#;

    fn read(text: &str) -> Result<BenchmarkConfig, BenchmarkError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        BenchmarkConfig::read(file.path())
    }

    #[test]
    fn the_kind_decides_on_the_network() {
        assert!(matches!(read(VAE).unwrap(), BenchmarkConfig::Vae(vae) if vae.network().z_dim == 4));
    }

    #[test]
    fn the_configs_in_the_repository_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/benchmark");
        let dit = BenchmarkConfig::read(&folder.join("dit-512x8.json")).unwrap();
        assert!(matches!(dit, BenchmarkConfig::Dit(dit) if dit.network().validate().is_ok()));
        let vae = BenchmarkConfig::read(&folder.join("vae-32.json")).unwrap();
        assert!(matches!(vae, BenchmarkConfig::Vae(vae) if vae.network().z_dim == 16));
    }

    #[test]
    fn unknown_and_missing_keys_are_named() {
        let unknown = read(&VAE.replace("\"batch\"", "\"batches\"")).unwrap_err();
        assert!(format!("{unknown}").contains("batches"), "{unknown}");
        let missing = read(&VAE.replace("\"frames\": 3,", "")).unwrap_err();
        assert!(format!("{missing}").contains("frames"), "{missing}");
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let frames = read(&VAE.replace("\"frames\": 3", "\"frames\": 4"))
            .unwrap_err()
            .to_string();
        assert!(
            frames.contains("`frames`") && frames.contains("multiple of 2"),
            "{frames}"
        );
    }
}
