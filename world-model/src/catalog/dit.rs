//! Sizes of a diffusion transformer from the shapes of its weights.
//!
//! Shapes do not show everything. Assumed are patches of 2x2 latent pixels, as many latent channels in as out, and four
//! actions per latent frame where the columns allow it, though a network of the older class may have such columns too; time
//! scale and rotary stretch are those of the base model.

use burn::tensor::Device;

use super::error::RecognizeError;
use super::model::SamplerPreset;
use super::released::released_models;
use super::shapes::Shapes;
use crate::checkpoint::{CheckpointSource, KeyMap, LoadReport, compare};
use crate::dit::{
    ActionConfig, ActionGrouping, CameraConfig, ConditioningConfig, DitConfig, ImageContextConfig, ViewsConfig,
};

/// Latent pixels of a patch.
const PATCH: usize = 4;

/// Actions of one latent frame in every release.
const ACTIONS_PER_FRAME: usize = 4;

/// Most cameras that are believed; released networks know seven.
const MAX_CAMERAS: usize = 64;

/// Returns whether there is a diffusion transformer at all; one of its tensors may be missing.
pub(super) fn is_transformer(shapes: &Shapes<'_>) -> bool {
    let typical = [
        "x_embedder.proj.weight",
        "t_embedding_norm.weight",
        "blocks.0.adaln_modulation_self_attn.linear_1.weight",
    ];
    typical.iter().filter(|tensor| shapes.has(tensor)).count() > 1
}

/// Reads the sizes off the shapes.
pub(super) fn config(shapes: &Shapes<'_>) -> Result<DitConfig, RecognizeError> {
    let [model_channels, columns] = shapes.sizes("x_embedder.proj.weight")?;
    let [head_dim] = shapes.sizes_in_any("blocks.", ".self_attn.q_norm.weight")?;
    let [_, crossattn_emb_channels] = shapes.sizes_in_any("blocks.", ".cross_attn.k_proj.weight")?;
    let [hidden, _] = shapes.sizes_in_any("blocks.", ".mlp.layer1.weight")?;
    let [adaln_lora_dim, _] = shapes.sizes_in_any("blocks.", ".adaln_modulation_self_attn.linear_1.weight")?;
    let [patch_outputs, _] = shapes.sizes("final_layer.linear.weight")?;
    let projection: Option<[usize; 2]> = shapes.optional("crossattn_proj.weight")?;

    let conditioning = conditioning(shapes, model_channels)?;
    let latent_channels = patch_outputs / PATCH;
    // The condition mask is one more channel, the padding mask a second one.
    let masks = (columns / PATCH).checked_sub(latent_channels + conditioning.channels());
    let concat_padding_mask = match masks {
        Some(1) => false,
        Some(2) => true,
        _ => {
            let expected = "four columns for each latent channel, mask and channel of views";
            return Err(shapes.unexpected("x_embedder.proj.weight", expected));
        }
    };
    let config = DitConfig::new(model_channels, shapes.count("blocks.")?, model_channels / head_dim)
        .with_mlp_ratio(hidden as f64 / model_channels as f64)
        .with_in_channels(latent_channels)
        .with_out_channels(latent_channels)
        .with_concat_padding_mask(concat_padding_mask)
        .with_adaln_lora_dim(adaln_lora_dim)
        .with_crossattn_emb_channels(crossattn_emb_channels)
        .with_use_crossattn_projection(projection.is_some())
        .with_crossattn_proj_in_channels(projection.map_or(crossattn_emb_channels, |[_, input]| input))
        .with_conditioning(conditioning);
    config.validate().map_err(|source| RecognizeError::Transformer {
        location: shapes.location(),
        source,
    })?;
    Ok(config)
}

fn conditioning(shapes: &Shapes<'_>, model_channels: usize) -> Result<ConditioningConfig, RecognizeError> {
    let action = shapes.optional("conditioning.action.embedding.fc1.weight")?;
    let image = shapes.optional("conditioning.image.proj.weight")?;
    let camera = shapes.optional("blocks.0.cam_encoder.weight")?;
    Ok(ConditioningConfig::new()
        .with_action(action.map(|[hidden, columns]| action_config(hidden, columns, model_channels)))
        .with_image(image.map(|[_, image_channels]| ImageContextConfig::new().with_image_channels(image_channels)))
        .with_camera(camera.map(|[_, channels]| CameraConfig::new().with_camera_channels(channels)))
        .with_views(views(shapes)?))
}

fn action_config(hidden: usize, columns: usize, model_channels: usize) -> ActionConfig {
    let (action_dim, grouping) = if columns.is_multiple_of(ACTIONS_PER_FRAME) {
        let temporal_compression_ratio = ACTIONS_PER_FRAME;
        let grouping = ActionGrouping::PerLatentFrame {
            temporal_compression_ratio,
        };
        (columns / ACTIONS_PER_FRAME, grouping)
    } else {
        let num_action_per_chunk = 1;
        (columns, ActionGrouping::WholeChunk { num_action_per_chunk })
    };
    let hidden = (hidden != 4 * model_channels).then_some(hidden);
    ActionConfig::new(action_dim, grouping).with_hidden_dim_in_action_embedder(hidden)
}

/// Reads what tells views apart; their length leaves no trace, nor do the neighbours of a camera.
fn views(shapes: &Shapes<'_>) -> Result<Option<ViewsConfig>, RecognizeError> {
    const CHANNELS: &str = "conditioning.views.channels.weight";
    const MODULATION: &str = "conditioning.views.modulation.embedder.weight";
    let channels: Option<[usize; 2]> = shapes.optional(CHANNELS)?;
    let modulation: Option<[usize; 2]> = shapes.optional(MODULATION)?;
    let (tensor, cameras) = match (channels, modulation) {
        (Some([cameras, _]), _) => (CHANNELS, cameras),
        (None, Some([cameras, _])) => (MODULATION, cameras),
        (None, None) => return Ok(None),
    };
    if cameras > MAX_CAMERAS {
        return Err(shapes.unexpected(tensor, "at most 64 cameras"));
    }
    let others = |camera: usize| (0..cameras).filter(|other| *other != camera).collect();
    let neighbours = shapes
        .has("blocks.0.cross_view.norm.gamma")
        .then(|| (0..cameras).map(others).collect());
    Ok(Some(
        ViewsConfig::new(1, cameras)
            .with_view_condition_dim(channels.map(|[_, width]| width))
            .with_adaln_view_embedding(modulation.is_some())
            .with_cross_view_attn_map(neighbours),
    ))
}

/// Returns the released models whose weights have the shapes of this network.
///
/// Those of a causal network are those of its teacher, which goes by another time: it is taken for itself only by name.
pub(super) fn released(config: &DitConfig) -> Vec<super::ReleasedModel> {
    let mut models = released_models();
    models
        .retain(|model| !matches!(model.sampler, SamplerPreset::Stream(_)) && traces(&model.network) == traces(config));
    models
}

/// Returns the released model that shares most tensors with a checkpoint, and what becomes of each; none where few fit.
pub(super) fn closest(source: &CheckpointSource, device: &Device) -> Option<(super::ReleasedModel, LoadReport)> {
    let key_map = KeyMap::dit(source);
    let reports = released_models().into_iter().filter_map(|model| {
        let report = compare(&model.network.init(device), source, &key_map).ok()?;
        Some((model, report))
    });
    let left_over = |report: &LoadReport| report.missing.len() + report.unused.len() + report.mismatched.len();
    let (model, report) = reports.min_by_key(|(_, report)| left_over(report))?;
    (report.loaded.len() > left_over(&report)).then_some((model, report))
}

/// Returns a config in which everything is the same that leaves no trace in the shapes of the weights.
fn traces(config: &DitConfig) -> Option<String> {
    let mut config = config
        .clone()
        .with_timestep_scale(1.0)
        .with_rounding(None)
        .with_rope_t_extrapolation_ratio(1.0)
        .with_rope_h_extrapolation_ratio(1.0)
        .with_rope_w_extrapolation_ratio(1.0);
    if let Some(action) = &mut config.conditioning.action {
        action.action_dim *= action.actions_per_group();
        let num_action_per_chunk = 1;
        action.grouping = ActionGrouping::WholeChunk { num_action_per_chunk };
    }
    if let Some(views) = &mut config.conditioning.views {
        views.state_t = 1;
    }
    serde_json::to_string(&config).ok()
}
