//! Names of the text encoder: the files of Qwen2.5-VL checkpoints and the state of transformers' class.
//!
//! Modules carry the names of the text tower, which lies under another prefix in each.

use super::KeyMap;

/// What the text tower lies under: in transformers' state, and in the files of checkpoints. Alone it has no prefix.
const PREFIXES: [&str; 2] = ["model.language_model.", "model."];

/// What files hold beside the text tower: the image tower, the logits, a table that is recomputed. The projection of
/// the text belongs to the diffusion transformer, which may lie in the same file.
const IGNORED: [&str; 4] = ["visual.*", "lm_head.*", "*rotary_emb.inv_freq", "crossattn_proj.*"];

impl KeyMap {
    /// Returns the names of a text encoder, under any of its prefixes.
    pub fn text_encoder() -> Self {
        Self::identity().with_prefixes(PREFIXES).with_ignored(IGNORED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_leads_to_the_same_module() {
        for key in ["embed_tokens.weight", "layers.27.self_attn.q_proj.bias", "norm.weight"] {
            for prefix in ["", "model.", "model.language_model."] {
                let stored = format!("{prefix}{key}");
                assert_eq!(KeyMap::text_encoder().to_module(&stored).as_deref(), Some(key));
            }
        }
    }

    #[test]
    fn image_tower_and_logits_are_ignored() {
        for key in [
            "visual.blocks.0.attn.qkv.weight",
            "model.visual.merger.mlp.0.bias",
            "lm_head.weight",
            "model.layers.0.self_attn.rotary_emb.inv_freq",
            "crossattn_proj.0.weight",
        ] {
            assert_eq!(KeyMap::text_encoder().to_module(key), None, "{key}");
        }
    }
}
