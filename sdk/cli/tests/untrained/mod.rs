//! A folder of weights for a small learned world, as initialised: enough to run everything, good for nothing.

#![expect(clippy::unwrap_used, reason = "a part of a test, where a failure may panic")]

use std::path::Path;

use worldloop::device::{self, Device};
use worldloop::envs::Env;
use worldloop::envs::learned::model_actions_of;
use worldloop::envs::physics::{PhysicsConfig, PhysicsEnv};
use worldloop::policies::cloned::ClonedNetworkConfig;
use worldloop::world_model::checkpoint::{CheckpointWriter, KeyMap, SaveDtype};
use worldloop::world_model::judge::JudgeNetworkConfig;
use worldloop::world_model::pipeline::PredictConfig;

/// Side of the images in pixels.
const SIDE: usize = 32;

/// Writes world model, judge and cloned policies.
pub(crate) fn write_weights(folder: &Path) {
    let device = device::select("flex").unwrap();
    device.seed(11);
    std::fs::create_dir_all(folder).unwrap();
    let config = world_config();
    CheckpointWriter::new(SaveDtype::F16)
        .with_module("", &config.init(&device), &KeyMap::identity())
        .with_metadata("config", serde_json::to_string(&config).unwrap())
        .save(folder.join("world.safetensors"))
        .unwrap();
    let tasks = ["reach", "push", "pick_and_place"].map(str::to_owned).to_vec();
    let judge = JudgeNetworkConfig::new(tasks, SIDE, SIDE);
    CheckpointWriter::new(SaveDtype::F16)
        .with_module("", &judge.init(&device), &KeyMap::identity())
        .with_metadata("config", serde_json::to_string(&judge).unwrap())
        .save(folder.join("judge.safetensors"))
        .unwrap();
    for name in ["cloned-1.safetensors", "cloned-2.safetensors", "cloned.safetensors"] {
        std::fs::write(folder.join(name), cloned(&device)).unwrap();
    }
}

fn cloned(device: &Device) -> Vec<u8> {
    let config = ClonedNetworkConfig::new()
        .with_image_size(SIDE)
        .with_channels([8, 8, 8])
        .with_d_hidden(16);
    config.init(device).to_safetensors(&config).unwrap()
}

fn world_config() -> PredictConfig {
    let env = PhysicsEnv::new(PhysicsConfig::default());
    PredictConfig::tiny(model_actions_of(&env.spec().action_space), [SIDE; 2])
}
