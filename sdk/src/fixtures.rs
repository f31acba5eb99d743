//! Small worlds without trained weights, for tests.

use std::sync::Arc;

use burn::tensor::Device;
use worldloop_envs::Env;
use worldloop_envs::physics::{PhysicsConfig, PhysicsEnv};
use worldloop_world_model::diffusion::SamplerConfig;
use worldloop_world_model::dit::DitConfig;
use worldloop_world_model::judge::{Judge, JudgeError, JudgeRequest, Judgement};
use worldloop_world_model::pipeline::{ActionReference, Feedback, NoiseSeed, Predict, PredictConfig};
use worldloop_world_model::vae::WanVaeConfig;
use worldloop_world_model::{ActionDimension, WorldModelSpec};

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
    let dimensions = env.spec().action_space.dimensions.iter();
    let action = dimensions
        .map(|dimension| ActionDimension {
            name: dimension.name.clone(),
            unit: dimension.unit.clone(),
            low: dimension.low,
            high: dimension.high,
            mean: 0.0,
            std: 1.0,
            scale: 1.0,
        })
        .collect();
    let config = PredictConfig {
        spec: WorldModelSpec {
            name: "tiny".into(),
            cameras: vec!["third_person".into()],
            height: SIDE as usize,
            width: SIDE as usize,
            action,
            action_frame: "gripper".into(),
            chunk_length: 8,
            context_frames: 1,
            frame_rate_hz: env.spec().control_rate_hz,
        },
        vae: WanVaeConfig::tiny(),
        dit: DitConfig {
            in_channels: 8,
            out_channels: 8,
            ..DitConfig::tiny()
        },
        sampler: SamplerConfig {
            num_steps: 1,
            ..SamplerConfig::default()
        },
        feedback: Feedback::Float,
        noise_seed: NoiseSeed::EpisodeAndChunk,
        action_reference: ActionReference::default(),
        text_tokens: 1,
    };
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
