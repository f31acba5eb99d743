//! The worlds that the tests play in.

use std::sync::{Arc, OnceLock};

use burn::tensor::Device;
use worldloop::envs::learned::{
    LearnedConfig, LearnedEnv, LearnedTask, LearnedWorld, ScriptedWorldModel, model_actions_of,
};
use worldloop::envs::physics::{PhysicsConfig, PhysicsEnv, PhysicsTask};
use worldloop::envs::{Action, ActionChunk, ContinuousSpace, Env, EnvError, Observation, ResetOptions, Step, seeding};
use worldloop::world_model::judge::{Judge, JudgeError, JudgeRequest, Judgement};
use worldloop::world_model::pipeline::{Predict, PredictConfig};
use worldloop::world_model::{WorldModel, WorldModelSpec};

/// Side of the images of the network world, in pixels.
pub(crate) const SIDE: usize = 16;
/// Actions per chunk of the network world.
pub(crate) const CHUNK: usize = 8;

/// The physics world with small images.
pub(crate) fn physics(task: PhysicsTask) -> PhysicsEnv {
    PhysicsEnv::new(PhysicsConfig {
        image_size: SIDE as u32,
        ..PhysicsConfig::for_task(task)
    })
}

/// A learned world without weights.
pub(crate) fn scripted() -> LearnedWorld {
    let model = Arc::new(ScriptedWorldModel::default());
    model.world(ScriptedWorldModel::config()).expect("the settings fit")
}

/// The weights are drawn once: the tests of one process share the device's random numbers.
static NETWORK: OnceLock<Arc<Predict>> = OnceLock::new();

/// A learned world of the real architecture, with random weights and the actions of the physics world.
///
/// Episodes start from the physics world.
pub(crate) fn network() -> LearnedWorld {
    let mut simulator = physics(PhysicsTask::Reach);
    let space = simulator.spec().action_space.clone();
    let model = Arc::clone(NETWORK.get_or_init(|| Arc::new(network_model(&space))));
    let task = |task: PhysicsTask| LearnedTask {
        name: task.name().to_owned(),
        max_episode_steps: task.max_episode_steps(),
    };
    let config = LearnedConfig {
        action_space: Some(space),
        ..LearnedConfig::new(PhysicsTask::ALL.map(task).to_vec())
    };
    let initial = move |seed: u64, task: &str| -> Result<Observation, EnvError> {
        let options = ResetOptions {
            task: Some(task.to_owned()),
            initial: None,
        };
        Ok(simulator.reset(Some(seed), &options)?.0)
    };
    LearnedWorld::new(model, Arc::new(BrightnessJudge), initial, config).expect("the settings fit")
}

/// An env of the network world.
pub(crate) fn network_env() -> LearnedEnv {
    LearnedEnv::new(network()).expect("the world is valid")
}

fn network_model(space: &ContinuousSpace) -> Predict {
    let config = PredictConfig::tiny(model_actions_of(space), [SIDE; 2]);
    let device = Device::flex();
    device.seed(3);
    let networks = config.init(&device);
    Predict::new(config, networks, None, None, &device).expect("the config is valid")
}

/// Takes the brightness for the progress, and is never sure of success.
#[derive(Debug)]
struct BrightnessJudge;

impl Judge for BrightnessJudge {
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError> {
        let judge = |request: &JudgeRequest<'_>| {
            let values = &request.frame.values;
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            Judgement {
                success_probability: 0.0,
                progress: (0.5 + 0.5 * mean).clamp(0.0, 1.0),
            }
        };
        Ok(requests.iter().map(judge).collect())
    }
}

/// Draws actions for a model or an env with this action space.
pub(crate) fn random_actions(space: &ContinuousSpace, seed: u64, count: usize) -> Vec<Action> {
    let mut rng = seeding::rng(seed, 77);
    (0..count).map(|_| space.sample(&mut rng)).collect()
}

/// Resets with a seed and plays random actions in chunks; returns everything that was seen.
pub(crate) fn play(env: &mut dyn Env, seed: u64, count: usize, chunk: usize) -> (Observation, Vec<Step>) {
    let (first, _) = env
        .reset(Some(seed), &ResetOptions::default())
        .expect("the seed is valid");
    let actions = random_actions(&env.spec().action_space.clone(), seed, count);
    let mut steps: Vec<Step> = Vec::new();
    for chunk in actions.chunks(chunk) {
        if !steps.last().is_some_and(Step::is_last) {
            let chunk = ActionChunk(chunk.to_vec());
            steps.extend(env.step_chunk(&chunk).expect("the actions are valid"));
        }
    }
    (first, steps)
}

/// Returns the spec of the network world's model.
pub(crate) fn model_spec(world: &LearnedWorld) -> WorldModelSpec {
    WorldModel::spec(&**world.model()).clone()
}
