//! What an environment shows to a policy.

use std::collections::BTreeMap;

use image::RgbImage;

/// What a policy sees after `reset` and after each step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// Camera images by camera name.
    pub images: BTreeMap<String, RgbImage>,
    /// Robot state in the order and units of the observation space; empty where the env has none.
    pub proprioception: Vec<f32>,
    /// The task in words.
    pub instruction: String,
    /// Ground truth by name that only a simulator knows, for example `block_position`; empty in learned worlds.
    pub privileged: BTreeMap<String, Vec<f32>>,
}
