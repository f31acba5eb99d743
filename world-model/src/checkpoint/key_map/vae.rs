//! Names of the video VAE: the original `tokenizer.pth` and the diffusers layout.
//!
//! Modules carry the original names, except that numbers inside a `Sequential` become names. diffusers groups the
//! decoder's flat list by resolution, so its rules depend on how many blocks a resolution has.

use std::collections::BTreeSet;

use super::KeyMap;
use crate::checkpoint::CheckpointSource;

/// The original name → the module's. The number before `residual` keeps its rules away from `encoder.conv1`.
const ORIGINAL: [(&str, &str); 10] = [
    ("#.residual.0", "#.norm1"),
    ("#.residual.2", "#.conv1"),
    ("#.residual.3", "#.norm2"),
    ("#.residual.6", "#.conv2"),
    ("resample.1", "resample"),
    ("head.0", "head.norm"),
    ("head.2", "head.conv"),
    ("middle.0", "middle.residual_in"),
    ("middle.1", "middle.attention"),
    ("middle.2", "middle.residual_out"),
];

/// The diffusers name → the original one, for what does not depend on the number of blocks.
const DIFFUSERS: [(&str, &str); 15] = [
    ("^quant_conv", "^conv1"),
    ("^post_quant_conv", "^conv2"),
    ("^encoder.conv_in", "^encoder.conv1"),
    ("^decoder.conv_in", "^decoder.conv1"),
    ("norm_out", "head.0"),
    ("conv_out", "head.2"),
    ("mid_block.resnets.0", "middle.0"),
    ("mid_block.attentions.0", "middle.1"),
    ("mid_block.resnets.1", "middle.2"),
    ("^encoder.down_blocks.#", "^encoder.downsamples.#"),
    ("conv_shortcut", "shortcut"),
    ("norm1.gamma", "residual.0.gamma"),
    ("norm2.gamma", "residual.3.gamma"),
    ("#.conv1", "#.residual.2"),
    ("#.conv2", "#.residual.6"),
];

impl KeyMap {
    /// Chooses the names of a video VAE by looking at the keys of a checkpoint.
    pub fn vae(source: &CheckpointSource) -> Self {
        if source.keys().any(|key| key.starts_with("decoder.up_blocks.")) {
            // Counted up to the first gap, so that a number in a broken file cannot ask for a billion rules.
            let count = |start: &str| {
                let numbers: BTreeSet<usize> = source
                    .keys()
                    .filter_map(|key| key.strip_prefix(start)?.split('.').next()?.parse().ok())
                    .collect();
                (0..numbers.len()).take_while(|number| numbers.contains(number)).count()
            };
            Self::vae_diffusers(count("decoder.up_blocks."), count("decoder.up_blocks.0.resnets."))
        } else {
            Self::vae_original()
        }
    }

    /// Returns the names inside `tokenizer.pth` and `Wan2.1_VAE.pth`.
    pub fn vae_original() -> Self {
        Self::identity().with_rules(ORIGINAL)
    }

    /// Returns the names of diffusers' `AutoencoderKLWan` with so many residual blocks in each decoder level.
    pub fn vae_diffusers(levels: usize, blocks_per_level: usize) -> Self {
        let mut rules = Vec::new();
        for level in 0..levels {
            // A level is its residual blocks and, except for the last, one upsampler.
            let first = level * (blocks_per_level + 1);
            for block in 0..blocks_per_level {
                rules.push((
                    format!("^decoder.up_blocks.{level}.resnets.{block}"),
                    format!("^decoder.upsamples.{}", first + block),
                ));
            }
            rules.push((
                format!("^decoder.up_blocks.{level}.upsamplers.0"),
                format!("^decoder.upsamples.{}", first + blocks_per_level),
            ));
        }
        let rules = rules.iter().map(|(stored, module)| (stored.as_str(), module.as_str()));
        Self::identity()
            .with_rules(rules)
            .with_rules(DIFFUSERS)
            .with_rules(ORIGINAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn original_and_diffusers_names_meet_in_the_module() {
        let pairs = [
            ("conv1.weight", "quant_conv.weight"),
            ("conv2.bias", "post_quant_conv.bias"),
            ("encoder.conv1.weight", "encoder.conv_in.weight"),
            (
                "encoder.downsamples.10.residual.2.weight",
                "encoder.down_blocks.10.conv1.weight",
            ),
            (
                "encoder.downsamples.10.residual.3.gamma",
                "encoder.down_blocks.10.norm2.gamma",
            ),
            (
                "encoder.downsamples.5.time_conv.weight",
                "encoder.down_blocks.5.time_conv.weight",
            ),
            (
                "encoder.downsamples.2.resample.1.weight",
                "encoder.down_blocks.2.resample.1.weight",
            ),
            (
                "encoder.middle.0.residual.6.bias",
                "encoder.mid_block.resnets.0.conv2.bias",
            ),
            (
                "decoder.middle.1.to_qkv.weight",
                "decoder.mid_block.attentions.0.to_qkv.weight",
            ),
            ("decoder.head.0.gamma", "decoder.norm_out.gamma"),
            ("decoder.head.2.weight", "decoder.conv_out.weight"),
            (
                "decoder.upsamples.3.resample.1.weight",
                "decoder.up_blocks.0.upsamplers.0.resample.1.weight",
            ),
            (
                "decoder.upsamples.4.shortcut.weight",
                "decoder.up_blocks.1.resnets.0.conv_shortcut.weight",
            ),
            (
                "decoder.upsamples.14.residual.0.gamma",
                "decoder.up_blocks.3.resnets.2.norm1.gamma",
            ),
        ];
        let (original, diffusers) = (KeyMap::vae_original(), KeyMap::vae_diffusers(4, 3));
        for (first, second) in pairs {
            let path = original.to_module(first).unwrap();
            assert_eq!(diffusers.to_module(second).unwrap(), path);
            assert_eq!(original.to_stored(&path), first);
            assert_eq!(diffusers.to_stored(&path), second);
        }
    }
}
