//! Small worlds without trained weights, for tests.

use std::sync::Arc;

use burn::tensor::Device;
use worldloop_envs::Env;
use worldloop_envs::learned::model_actions_of;
use worldloop_envs::physics::{PhysicsConfig, PhysicsEnv};
use worldloop_world_model::judge::{Judge, JudgeError, JudgeRequest, Judgement};
use worldloop_world_model::pipeline::{Predict, PredictConfig};

use crate::rollout::{LearnedParts, World};

/// Side of the images in pixels.
pub(crate) const SIDE: u32 = 16;

/// Says success when the frame is bright enough: with random weights, now and then.
struct BrightnessJudge;

impl Judge for BrightnessJudge {
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError> {
        let mean = |request: &JudgeRequest<'_>| {
            let values = &request.frame.values;
            values.iter().sum::<f32>() / values.len() as f32
        };
        let judge = |request| {
            let progress = (0.5 + mean(request)).clamp(0.0, 1.0);
            Judgement {
                success_probability: if progress > 0.95 { 1.0 } else { 0.0 },
                progress,
            }
        };
        Ok(requests.iter().map(judge).collect())
    }
}

/// A tiny world model with random weights, for the actions of the physics world.
pub(crate) fn learned_parts() -> LearnedParts {
    let device = Device::flex();
    device.seed(5);
    let env = PhysicsEnv::new(PhysicsConfig {
        image_size: SIDE,
        ..PhysicsConfig::default()
    });
    let actions = model_actions_of(&env.spec().action_space);
    let config = PredictConfig::tiny(actions, [SIDE as usize; 2]);
    let networks = config.init(&device);
    let model = Predict::new(config, networks, None, None, &device).expect("the config is valid");
    LearnedParts {
        model: Arc::new(model),
        judge: Arc::new(BrightnessJudge),
        fingerprint: "tiny".into(),
    }
}

/// The physics world with images that fit the tiny world model.
pub(crate) fn physics() -> World {
    World::Physics { image_size: SIDE }
}

/// The tiny learned world.
pub(crate) fn learned() -> World {
    World::Learned(learned_parts())
}
