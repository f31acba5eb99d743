//! Building a transformer from a case: its config under upstream's or diffusers' field names, and its weights.

use std::collections::BTreeMap;
use std::error::Error;

use burn::tensor::Device;
use serde_json::Value;
use worldloop::world_model::checkpoint::{CheckpointSource, KeyMap, load_into};
use worldloop::world_model::dit::{
    ActionConfig, ActionGrouping, CameraConfig, ConditioningConfig, Dit, DitConfig, ImageContextConfig, RopeExponents,
    ViewsConfig,
};
use worldloop_tests::{Case, CaseError};

/// Reads a config under NVIDIA's field names.
pub(crate) fn nvidia_config(case: &Case, json: &Value, rope: RopeExponents) -> Result<DitConfig, CaseError> {
    let size = |name: &str| case.field::<usize>(json, name);
    let number = |name: &str| case.field::<f64>(json, name);
    let switch = |name: &str| case.field::<bool>(json, name);
    // Settings that no release has; a case that changes one is told so, not compared with another network.
    for (name, known) in [
        ("rope_enable_fps_modulation", false),
        ("extra_per_block_abs_pos_emb", false),
        ("use_adaln_lora", true),
    ] {
        if json.get(name).is_some() && switch(name)? != known {
            return Err(CaseError::Field {
                id: case.id.clone(),
                field: format!("{name}: expected {known}, the only one there is here"),
            });
        }
    }
    let config = DitConfig::new(size("model_channels")?, size("num_blocks")?, size("num_heads")?)
        .with_mlp_ratio(number("mlp_ratio")?)
        .with_in_channels(size("in_channels")?)
        .with_out_channels(size("out_channels")?)
        .with_patch_spatial(size("patch_spatial")?)
        .with_patch_temporal(size("patch_temporal")?)
        .with_concat_padding_mask(switch("concat_padding_mask")?)
        .with_adaln_lora_dim(size("adaln_lora_dim")?)
        .with_crossattn_emb_channels(size("crossattn_emb_channels")?)
        .with_use_crossattn_projection(switch("use_crossattn_projection")?)
        .with_crossattn_proj_in_channels(size("crossattn_proj_in_channels")?)
        .with_timestep_scale(number("timestep_scale")?)
        .with_rope_h_extrapolation_ratio(number("rope_h_extrapolation_ratio")?)
        .with_rope_w_extrapolation_ratio(number("rope_w_extrapolation_ratio")?)
        .with_rope_t_extrapolation_ratio(number("rope_t_extrapolation_ratio")?)
        .with_rope_exponents(rope);
    let conditioning = ConditioningConfig::new()
        .with_action(action_config(case, json)?)
        .with_views(views_config(case, json)?)
        .with_camera(camera_config(case));
    Ok(config.with_conditioning(conditioning))
}

fn action_config(case: &Case, json: &Value) -> Result<Option<ActionConfig>, CaseError> {
    let size = |name: &str| case.field::<usize>(json, name);
    let Ok(action_dim) = size("action_dim") else {
        return Ok(None);
    };
    let grouping = match size("num_action_per_chunk") {
        Ok(num_action_per_chunk) => ActionGrouping::WholeChunk { num_action_per_chunk },
        Err(_) => ActionGrouping::PerLatentFrame {
            temporal_compression_ratio: size("temporal_compression_ratio")?,
        },
    };
    let hidden = size("hidden_dim_in_action_embedder").ok();
    Ok(Some(
        ActionConfig::new(action_dim, grouping).with_hidden_dim_in_action_embedder(hidden),
    ))
}

/// Reads what tells views apart; a switch that a class does not have is off.
fn views_config(case: &Case, json: &Value) -> Result<Option<ViewsConfig>, CaseError> {
    let size = |name: &str| case.field::<usize>(json, name);
    let is_on = |name: &str| case.field::<bool>(json, name).unwrap_or(false);
    let (Ok(state_t), Ok(cameras)) = (size("state_t"), size("n_cameras_emb")) else {
        return Ok(None);
    };
    let channels = is_on("concat_view_embedding")
        .then(|| size("view_condition_dim"))
        .transpose()?;
    let map = is_on("enable_cross_view_attn")
        .then(|| neighbours(case, json, cameras))
        .transpose()?;
    Ok(Some(
        ViewsConfig::new(state_t, cameras)
            .with_view_condition_dim(channels)
            .with_adaln_view_embedding(is_on("adaln_view_embedding"))
            .with_cross_view_attn_map(map),
    ))
}

/// Turns the map of camera names to one of camera numbers.
fn neighbours(case: &Case, json: &Value, cameras: usize) -> Result<Vec<Vec<usize>>, CaseError> {
    let ids: BTreeMap<String, usize> = case.field(json, "camera_to_view_id")?;
    let map: BTreeMap<String, Vec<String>> = case.field(json, "cross_view_attn_map_str")?;
    let id = |name: &String| {
        ids.get(name).copied().ok_or_else(|| CaseError::Field {
            id: case.id.clone(),
            field: format!("camera_to_view_id.{name}"),
        })
    };
    let mut neighbours = vec![Vec::new(); cameras];
    for (name, others) in &map {
        let others: Result<Vec<usize>, CaseError> = others.iter().map(id).collect();
        if let Some(list) = neighbours.get_mut(id(name)?) {
            *list = others?;
        }
    }
    Ok(neighbours)
}

/// Networks conditioned on cameras are those whose inputs hold rays.
fn camera_config(case: &Case) -> Option<CameraConfig> {
    let rays = case.array("in.camera").ok()?;
    let channels = rays.shape.last().copied()?;
    Some(CameraConfig::new().with_camera_channels(channels))
}

/// Reads a config under the field names of diffusers' `CosmosTransformer3DModel`.
pub(crate) fn diffusers_config(
    case: &Case,
    json: &Value,
    rope: RopeExponents,
    qk_norm_eps: f64,
) -> Result<DitConfig, CaseError> {
    let size = |name: &str| case.field::<usize>(json, name);
    let heads = size("num_attention_heads")?;
    let [patch_temporal, patch_spatial, _]: [usize; 3] = case.field(json, "patch_size")?;
    let [t, h, w]: [f64; 3] = case.field(json, "rope_scale")?;
    let image = size("img_context_dim_in").ok();
    let image = image.map(|channels| ImageContextConfig::new().with_image_channels(channels));
    Ok(
        DitConfig::new(heads * size("attention_head_dim")?, size("num_layers")?, heads)
            .with_mlp_ratio(case.field(json, "mlp_ratio")?)
            // diffusers counts the condition mask as a channel of the latents.
            .with_in_channels(size("in_channels")? - 1)
            .with_out_channels(size("out_channels")?)
            .with_patch_spatial(patch_spatial)
            .with_patch_temporal(patch_temporal)
            .with_concat_padding_mask(case.field(json, "concat_padding_mask")?)
            .with_adaln_lora_dim(size("adaln_lora_dim")?)
            .with_crossattn_emb_channels(size("text_embed_dim")?)
            .with_use_crossattn_projection(case.field(json, "use_crossattn_projection")?)
            .with_crossattn_proj_in_channels(size("crossattn_proj_in_channels")?)
            // Its time is the flow time itself.
            .with_timestep_scale(1.0)
            .with_rope_t_extrapolation_ratio(t)
            .with_rope_h_extrapolation_ratio(h)
            .with_rope_w_extrapolation_ratio(w)
            .with_rope_exponents(rope)
            .with_qk_norm_eps(qk_norm_eps)
            .with_conditioning(ConditioningConfig::new().with_image(image)),
    )
}

/// Initialises the network and fills it with the case's weights.
pub(crate) fn load(case: &Case, config: &DitConfig, device: &Device) -> Result<Dit, Box<dyn Error>> {
    config.validate()?;
    let source = CheckpointSource::open(case.weights("dit")?)?;
    let mut dit = config.init(device);
    load_into(&mut dit, &source, &KeyMap::dit(&source))?;
    Ok(dit)
}
