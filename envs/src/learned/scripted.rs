//! A world model and a judge without any weights, for tests and for trying things out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::RngExt;
use worldloop_world_model::judge::{Judge, JudgeError, JudgeRequest, Judgement};
use worldloop_world_model::{
    ActionDimension, Frame, Prediction, PredictionRequest, WorldModel, WorldModelError, WorldModelSpec, WorldState,
};

use super::config::{LearnedConfig, LearnedTask};
use super::frame_image::image_from_frame;
use super::world::LearnedWorld;
use crate::error::EnvError;
use crate::observation::Observation;
use crate::seeding;

/// How far an action of 1 moves the point, in frame values.
const STEP_SIZE: f32 = 0.15;
/// How much of the blue channel is replaced by noise in each frame.
const NOISE_SHARE: f32 = 0.25;
/// Distance from the goal at which a judge is half sure of success.
const GOAL_RADIUS: f32 = 0.3;
/// Random stream of the start positions.
const START_STREAM: u64 = 0x57A7;
/// Tasks of the scripted world with their goals.
const GOALS: [(&str, [f32; 2]); 2] = [("reach", [0.7, 0.7]), ("push", [-0.7, 0.7])];

/// A world whose frames are computed by simple arithmetic.
///
/// The red channel is the `x` of a point and the green one its `y`, both in `[-1, 1]`; the actions `delta_x` and
/// `delta_y` move it. The blue channel mixes the blue of the frame before with noise that depends on the seed, the
/// chunk and the position in it, so a frame shows whether chunks were counted correctly.
#[derive(Debug)]
pub struct ScriptedWorldModel {
    spec: WorldModelSpec,
    look_ahead: f32,
    calls: AtomicUsize,
}

impl Default for ScriptedWorldModel {
    fn default() -> Self {
        Self::new(4)
    }
}

impl ScriptedWorldModel {
    /// Makes a causal model with one 8x8 camera, `third_person`, and chunks of `chunk_length` actions.
    pub fn new(chunk_length: usize) -> Self {
        let dimension = |name: &str| ActionDimension {
            name: name.into(),
            unit: String::new(),
            low: -1.0,
            high: 1.0,
            mean: 0.0,
            std: 1.0,
            scale: 1.0,
        };
        let spec = WorldModelSpec {
            name: "scripted".into(),
            cameras: vec!["third_person".into()],
            height: 8,
            width: 8,
            action: ["delta_x", "delta_y"].map(dimension).to_vec(),
            action_frame: "image".into(),
            chunk_length,
            context_frames: 1,
            frame_rate_hz: 5.0,
        };
        Self {
            spec,
            look_ahead: 0.0,
            calls: AtomicUsize::new(0),
        }
    }

    /// Sets the cameras; all see the same.
    #[must_use]
    pub fn with_cameras(mut self, cameras: &[&str]) -> Self {
        self.spec.cameras = cameras.iter().map(|&camera| camera.to_owned()).collect();
        self
    }

    /// Sets how much the later actions of a chunk change its earlier frames, as attention that runs both ways does.
    #[must_use]
    pub fn with_look_ahead(mut self, look_ahead: f32) -> Self {
        self.look_ahead = look_ahead;
        self
    }

    /// Returns how often the model was asked to predict, each batch counted once.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Returns a frame with the point at `x` and `y`.
    pub fn frame(&self, [x, y]: [f32; 2]) -> Frame {
        let plane = self.spec.height * self.spec.width;
        let values = [x, y, 0.0]
            .into_iter()
            .flat_map(|value| std::iter::repeat_n(value, plane))
            .collect();
        Frame {
            height: self.spec.height,
            width: self.spec.width,
            values,
        }
    }

    /// Returns a first observation with the point at `position`.
    pub fn observation(&self, position: [f32; 2], instruction: &str) -> Observation {
        let image = image_from_frame(&self.frame(position));
        let images = self
            .spec
            .cameras
            .iter()
            .map(|camera| (camera.clone(), image.clone()))
            .collect();
        Observation {
            images,
            instruction: instruction.to_owned(),
            ..Observation::default()
        }
    }

    /// Returns the settings for the tasks of a [`ScriptedJudge`], 20 steps each.
    pub fn config() -> LearnedConfig {
        let task = |(name, _): (&str, _)| LearnedTask {
            name: name.into(),
            max_episode_steps: 20,
        };
        LearnedConfig {
            name: "scripted".into(),
            ..LearnedConfig::new(GOALS.map(task).to_vec())
        }
    }

    /// Joins this model, a judge and start positions that depend on the seed.
    ///
    /// # Errors
    /// Those of [`LearnedWorld::new`].
    pub fn world(self: &Arc<Self>, config: LearnedConfig) -> Result<LearnedWorld, EnvError> {
        let model = Arc::clone(self);
        let initial = move |seed: u64, task: &str| -> Result<Observation, EnvError> {
            let mut rng = seeding::rng(seed, START_STREAM);
            let position = [rng.random_range(-0.5..0.5), rng.random_range(-0.5..0.5)];
            Ok(model.observation(position, &format!("{task} the goal")))
        };
        let model: Arc<dyn WorldModel> = Arc::clone(self) as _;
        LearnedWorld::new(model, Arc::new(ScriptedJudge::default()), initial, config)
    }

    fn next_frame(&self, previous: &Frame, actions: &[Vec<f32>], position: usize, noise: &[f32]) -> Frame {
        let plane = self.spec.height * self.spec.width;
        let later: f32 = actions[position + 1..].iter().map(|action| action[0]).sum();
        let values = previous
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| match index / plane {
                2 => (1.0 - NOISE_SHARE) * value + NOISE_SHARE * noise[index % plane] + self.look_ahead * later,
                channel => (value + STEP_SIZE * actions[position][channel]).clamp(-1.0, 1.0),
            });
        Frame {
            values: values.collect(),
            ..*previous
        }
    }

    fn predict_one(&self, request: &PredictionRequest<'_>) -> Result<Prediction, WorldModelError> {
        self.spec.check_actions(request.actions)?;
        self.spec.check_context(&request.state.context)?;
        let mut rng = seeding::rng(request.state.seed, request.state.chunk_index);
        let mut next_state = request.state.clone();
        let mut frames = vec![Vec::new(); self.spec.cameras.len()];
        for position in 0..request.actions.len() {
            let noise: Vec<f32> = (0..self.spec.height * self.spec.width)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect();
            for (context, frames) in next_state.context.iter_mut().zip(&mut frames) {
                if let Some(previous) = context.last() {
                    let frame = self.next_frame(previous, request.actions, position, &noise);
                    context.remove(0);
                    context.push(frame.clone());
                    frames.push(frame);
                }
            }
        }
        next_state.chunk_index += 1;
        Ok(Prediction {
            frames,
            gripper_poses: vec![None; request.actions.len()],
            next_state,
        })
    }
}

impl WorldModel for ScriptedWorldModel {
    fn spec(&self) -> &WorldModelSpec {
        &self.spec
    }

    fn start(
        &self,
        context: Vec<Vec<Frame>>,
        _proprioception: &[f32],
        seed: u64,
    ) -> Result<WorldState, WorldModelError> {
        self.spec.check_context(&context)?;
        Ok(WorldState {
            context,
            gripper_pose: None,
            seed,
            chunk_index: 0,
        })
    }

    fn predict(&self, requests: &[PredictionRequest<'_>]) -> Result<Vec<Prediction>, WorldModelError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        requests.iter().map(|request| self.predict_one(request)).collect()
    }
}

/// Judges frames of a [`ScriptedWorldModel`] by the distance of the point from the goal of the task.
#[derive(Debug, Default)]
pub struct ScriptedJudge {
    calls: AtomicUsize,
}

impl ScriptedJudge {
    /// Returns how often the judge was asked, each batch counted once.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn judge_one(request: &JudgeRequest<'_>) -> Result<Judgement, JudgeError> {
        let goal = GOALS.iter().find(|(task, _)| *task == request.task);
        let (_, [goal_x, goal_y]) = goal.ok_or_else(|| JudgeError::UnknownTask {
            known: GOALS.map(|(task, _)| task).join(", "),
            found: request.task.to_owned(),
        })?;
        let plane = request.frame.height * request.frame.width;
        let (x, y) = (request.frame.values[0], request.frame.values[plane]);
        let distance = (x - goal_x).hypot(y - goal_y);
        Ok(Judgement {
            success_probability: (1.0 - 0.5 * distance / GOAL_RADIUS).clamp(0.0, 1.0),
            progress: (1.0 - 0.5 * distance).clamp(0.0, 1.0),
        })
    }
}

impl Judge for ScriptedJudge {
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        requests.iter().map(Self::judge_one).collect()
    }
}
