//! Names of the diffusion transformer: NVIDIA's `.pt` files and the diffusers layout.
//!
//! Modules carry NVIDIA's names, except that numbers inside a `Sequential` become names.

use super::KeyMap;
use crate::checkpoint::CheckpointSource;

/// What files hold beside the weights: counters of training, tables that are recomputed, states of the engine.
const IGNORED: [&str; 3] = ["accum_*", "pos_embedder*", "*_extra_state"];

/// Name part that activation checkpointing inserts.
const WRAPPER: &str = "_checkpoint_wrapped_module";

/// NVIDIA's name → the module's.
const NVIDIA: [(&str, &str); 25] = [
    ("^x_embedder.proj.1", "^x_embedder.proj"),
    ("^t_embedder.1", "^t_embedder"),
    ("^crossattn_proj.0", "^crossattn_proj"),
    ("^action_embedder_B_D", "^conditioning.action.embedding"),
    ("^action_embedder_B_3D", "^conditioning.action.shared"),
    ("^img_context_proj.0", "^conditioning.image.proj"),
    ("cross_attn.q_img", "cross_attn.image.q_img"),
    ("cross_attn.k_img", "cross_attn.image.k_img"),
    ("cross_attn.v_img", "cross_attn.image.v_img"),
    ("cross_attn.q_img_norm", "cross_attn.image.q_img_norm"),
    ("cross_attn.k_img_norm", "cross_attn.image.k_img_norm"),
    ("^view_embeddings", "^conditioning.views.channels"),
    ("^adaln_view_embedder", "^conditioning.views.modulation.embedder"),
    ("^adaln_view_proj", "^conditioning.views.modulation.proj"),
    ("cross_view_attn", "cross_view.attention"),
    ("layer_norm_cross_view_attn.weight", "cross_view.norm.gamma"),
    ("layer_norm_cross_view_attn.bias", "cross_view.norm.beta"),
    ("adaln_modulation_self_attn.1", "adaln_modulation_self_attn.linear_1"),
    ("adaln_modulation_self_attn.2", "adaln_modulation_self_attn.linear_2"),
    ("adaln_modulation_cross_attn.1", "adaln_modulation_cross_attn.linear_1"),
    ("adaln_modulation_cross_attn.2", "adaln_modulation_cross_attn.linear_2"),
    ("adaln_modulation_mlp.1", "adaln_modulation_mlp.linear_1"),
    ("adaln_modulation_mlp.2", "adaln_modulation_mlp.linear_2"),
    (
        "^final_layer.adaln_modulation.1",
        "^final_layer.adaln_modulation.linear_1",
    ),
    (
        "^final_layer.adaln_modulation.2",
        "^final_layer.adaln_modulation.linear_2",
    ),
];

/// The diffusers name → NVIDIA's.
const DIFFUSERS: [(&str, &str); 23] = [
    ("^patch_embed.proj", "^x_embedder.proj.1"),
    ("^time_embed.t_embedder", "^t_embedder.1"),
    ("^time_embed.norm", "^t_embedding_norm"),
    ("^norm_out.linear_1", "^final_layer.adaln_modulation.1"),
    ("^norm_out.linear_2", "^final_layer.adaln_modulation.2"),
    ("^proj_out", "^final_layer.linear"),
    ("^transformer_blocks.#", "^blocks.#"),
    ("norm1.linear_1", "adaln_modulation_self_attn.1"),
    ("norm1.linear_2", "adaln_modulation_self_attn.2"),
    ("norm2.linear_1", "adaln_modulation_cross_attn.1"),
    ("norm2.linear_2", "adaln_modulation_cross_attn.2"),
    ("norm3.linear_1", "adaln_modulation_mlp.1"),
    ("norm3.linear_2", "adaln_modulation_mlp.2"),
    ("attn1", "self_attn"),
    ("attn2", "cross_attn"),
    ("to_q", "q_proj"),
    ("to_k", "k_proj"),
    ("to_v", "v_proj"),
    ("to_out.0", "output_proj"),
    ("norm_q", "q_norm"),
    ("norm_k", "k_norm"),
    ("ff.net.0.proj", "mlp.layer1"),
    ("ff.net.2", "mlp.layer2"),
];

impl KeyMap {
    /// Chooses the names of a diffusion transformer by looking at the keys of a checkpoint.
    ///
    /// Where training saved both raw (`net.`) and averaged (`net_ema.`) weights, the averaged ones are taken.
    pub fn dit(source: &CheckpointSource) -> Self {
        let has_start = |start: &str| source.keys().any(|key| key.starts_with(start));
        if has_start("transformer_blocks.") {
            Self::dit_diffusers()
        } else if has_start("net_ema.") {
            Self::dit_nvidia().with_prefixes(["net_ema."]).with_ignored(["net.*"])
        } else {
            Self::dit_nvidia().with_prefixes(["net."])
        }
    }

    /// Returns NVIDIA's names without a prefix.
    pub fn dit_nvidia() -> Self {
        Self::identity()
            .with_dropped_part(WRAPPER)
            .with_ignored(IGNORED)
            .with_rules(NVIDIA)
    }

    /// Returns the names of diffusers' `CosmosTransformer3DModel`.
    pub fn dit_diffusers() -> Self {
        Self::identity().with_rules(DIFFUSERS).with_rules(NVIDIA)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvidia_and_diffusers_names_meet_in_the_module() {
        let pairs = [
            ("x_embedder.proj.1.weight", "patch_embed.proj.weight"),
            ("t_embedder.1.linear_2.weight", "time_embed.t_embedder.linear_2.weight"),
            ("t_embedding_norm.weight", "time_embed.norm.weight"),
            (
                "blocks.11.adaln_modulation_mlp.2.weight",
                "transformer_blocks.11.norm3.linear_2.weight",
            ),
            (
                "blocks.0.self_attn.output_proj.weight",
                "transformer_blocks.0.attn1.to_out.0.weight",
            ),
            (
                "blocks.0.cross_attn.k_norm.weight",
                "transformer_blocks.0.attn2.norm_k.weight",
            ),
            (
                "blocks.3.mlp.layer1.weight",
                "transformer_blocks.3.ff.net.0.proj.weight",
            ),
            ("final_layer.adaln_modulation.1.weight", "norm_out.linear_1.weight"),
            ("final_layer.linear.weight", "proj_out.weight"),
            ("crossattn_proj.0.bias", "crossattn_proj.0.bias"),
            ("img_context_proj.0.bias", "img_context_proj.0.bias"),
            (
                "blocks.2.cross_attn.q_img_norm.weight",
                "transformer_blocks.2.attn2.q_img_norm.weight",
            ),
        ];
        let action = "action_embedder_B_3D.fc1.weight";
        assert_eq!(
            KeyMap::dit_nvidia().to_module(action).unwrap(),
            "conditioning.action.shared.fc1.weight"
        );
        for (nvidia, diffusers) in pairs {
            let path = KeyMap::dit_nvidia().to_module(nvidia).unwrap();
            assert_eq!(KeyMap::dit_diffusers().to_module(diffusers).unwrap(), path);
            assert_eq!(KeyMap::dit_nvidia().to_stored(&path), nvidia);
            assert_eq!(KeyMap::dit_diffusers().to_stored(&path), diffusers);
        }
    }

    #[test]
    fn views_and_cameras_have_their_places() {
        let pairs = [
            ("view_embeddings.weight", "conditioning.views.channels.weight"),
            (
                "adaln_view_embedder.weight",
                "conditioning.views.modulation.embedder.weight",
            ),
            ("adaln_view_proj.bias", "conditioning.views.modulation.proj.bias"),
            (
                "blocks.1.layer_norm_cross_view_attn.weight",
                "blocks.1.cross_view.norm.gamma",
            ),
            (
                "blocks.1.layer_norm_cross_view_attn.bias",
                "blocks.1.cross_view.norm.beta",
            ),
            (
                "blocks.1.cross_view_attn.q_norm.weight",
                "blocks.1.cross_view.attention.q_norm.weight",
            ),
            ("blocks.1.cam_encoder.weight", "blocks.1.cam_encoder.weight"),
        ];
        for (nvidia, path) in pairs {
            assert_eq!(KeyMap::dit_nvidia().to_module(nvidia).unwrap(), path);
            assert_eq!(KeyMap::dit_nvidia().to_stored(path), nvidia);
        }
    }

    #[test]
    fn counters_buffers_and_extra_states_are_ignored() {
        let map = KeyMap::dit_nvidia().with_prefixes(["net."]);
        for key in [
            "net.accum_iteration",
            "net.pos_embedder.seq",
            "net.pos_embedder_options.n_cameras_3.dim_spatial_range",
            "net.blocks.0.self_attn.q_norm._extra_state",
        ] {
            assert_eq!(map.to_module(key), None, "{key}");
        }
    }

    #[test]
    fn wrappers_of_activation_checkpointing_disappear() {
        let path = KeyMap::dit_nvidia()
            .to_module("blocks.0._checkpoint_wrapped_module.mlp.layer1.weight")
            .unwrap();
        assert_eq!(path, "blocks.0.mlp.layer1.weight");
    }
}
