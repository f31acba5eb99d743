//! The physics world as an environment.

use std::collections::BTreeMap;

use image::RgbImage;
use rand::RngExt;

use super::camera::{Camera, CameraFrame, THIRD_PERSON, WRIST};
use super::config::PhysicsConfig;
use super::controller;
use super::gripper::{MAX_OPENING, roll_pitch_yaw};
use super::privileged;
use super::ray_caster::RayCaster;
use super::scene::Scene;
use super::spaces;
use super::tasks::{Assessment, PhysicsTask, Situation};
use crate::action::Action;
use crate::env::{Env, EnvSpec, ResetOptions, check_action};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::seeding::{self, Rng};
use crate::step::{Info, Step};

/// Control steps per second of simulated time.
const CONTROL_RATE_HZ: f32 = 5.0;
/// Reward for success, beside the progress.
const SUCCESS_BONUS: f64 = 1.0;
/// Smallest and largest side of an image, in pixels.
const IMAGE_SIDES: (u32, u32) = (8, 2048);
/// Random stream of the scene's layout.
const LAYOUT_STREAM: u64 = 1;
/// Random stream of the seeds of episodes that were given none.
const SEED_STREAM: u64 = 2;
/// Physics steps before the first observation, in which a block settles on the table.
const SETTLING_STEPS: usize = 5;

/// The table-top world on rapier3d; the module's documentation has the details.
pub struct PhysicsEnv {
    config: PhysicsConfig,
    spec: EnvSpec,
    seeds: Rng,
    episode: Option<Episode>,
    closed: bool,
}

struct Episode {
    task: PhysicsTask,
    instruction: String,
    scene: Scene,
    start: Situation,
    progress: f32,
    steps: usize,
    ended: bool,
}

/// A state of a [`PhysicsEnv`] to come back to.
pub struct PhysicsSnapshot {
    episode: Episode,
}

impl std::fmt::Debug for PhysicsEnv {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps = self.episode.as_ref().map(|episode| episode.steps);
        formatter
            .debug_struct("PhysicsEnv")
            .field("config", &self.config)
            .field("steps", &steps)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for PhysicsSnapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Episode { task, steps, .. } = &self.episode;
        formatter
            .debug_struct("PhysicsSnapshot")
            .field("task", task)
            .field("steps", steps)
            .finish_non_exhaustive()
    }
}

impl PhysicsEnv {
    /// Makes an env; image sides outside 8 to 2048 pixels are brought inside.
    pub fn new(mut config: PhysicsConfig) -> Self {
        let (low, high) = IMAGE_SIDES;
        config.image_size = config.image_size.clamp(low, high);
        config.render_size = config.render_size.clamp(low, high);
        config.wrist_image_size = config.wrist_image_size.map(|side| side.clamp(low, high));
        let spec = EnvSpec {
            name: format!("physics/{}", config.task.name()),
            task: config.task.name().to_owned(),
            observation_space: spaces::observation_space(&config),
            action_space: spaces::action_space(),
            control_rate_hz: CONTROL_RATE_HZ,
            max_episode_steps: config.task.max_episode_steps(),
            deterministic: true,
        };
        Self {
            config,
            spec,
            seeds: seeding::rng(0, SEED_STREAM),
            episode: None,
            closed: false,
        }
    }

    /// Returns the configuration, with image sides inside their limits.
    pub fn config(&self) -> &PhysicsConfig {
        &self.config
    }

    /// Returns everything that the camera `third_person` or `wrist` sees now, in any size.
    ///
    /// # Errors
    /// [`EnvError::UnknownName`] for another camera, [`EnvError::ResetNeeded`] before the first `reset`.
    pub fn render_camera(&self, name: &str, width: u32, height: u32) -> Result<CameraFrame, EnvError> {
        let episode = self.current("render_camera")?;
        let camera = match name {
            THIRD_PERSON => Camera::third_person(),
            WRIST => Camera::wrist(&episode.scene.robot.tool),
            _ => {
                return Err(EnvError::UnknownName {
                    env: self.spec.name.clone(),
                    what: "camera",
                    expected: format!("{THIRD_PERSON}, {WRIST}"),
                    found: name.to_owned(),
                });
            }
        };
        let (low, high) = IMAGE_SIDES;
        let caster = RayCaster::new(&episode.scene, &camera, width.clamp(low, high), height.clamp(low, high));
        Ok(caster.frame(&camera))
    }

    /// Returns a copy of the present state.
    ///
    /// # Errors
    /// [`EnvError::ResetNeeded`] before the first `reset`.
    pub fn snapshot(&self) -> Result<PhysicsSnapshot, EnvError> {
        Ok(PhysicsSnapshot {
            episode: self.current("snapshot")?.duplicate(),
        })
    }

    /// Goes back to a state; the steps from there are the same as those from the original.
    ///
    /// # Errors
    /// [`EnvError::Closed`] after `close`.
    pub fn restore(&mut self, snapshot: &PhysicsSnapshot) -> Result<Observation, EnvError> {
        self.check_open()?;
        let episode = snapshot.episode.duplicate();
        self.name_task(episode.task);
        let observation = episode.observe(&self.config);
        self.episode = Some(episode);
        Ok(observation)
    }

    fn check_open(&self) -> Result<(), EnvError> {
        if self.closed {
            Err(EnvError::Closed {
                env: self.spec.name.clone(),
            })
        } else {
            Ok(())
        }
    }

    fn current(&self, call: &'static str) -> Result<&Episode, EnvError> {
        self.check_open()?;
        let needed = || EnvError::ResetNeeded {
            env: self.spec.name.clone(),
            call,
            when: "before the first reset",
        };
        self.episode.as_ref().ok_or_else(needed)
    }

    fn chosen_task(&self, options: &ResetOptions) -> Result<PhysicsTask, EnvError> {
        if options.initial.is_some() {
            return Err(EnvError::InitialState {
                env: self.spec.name.clone(),
                expected: "no initial observation (the seed decides where episodes start)".to_owned(),
                found: "an initial observation".to_owned(),
            });
        }
        let Some(name) = &options.task else {
            return Ok(self.config.task);
        };
        PhysicsTask::from_name(name).ok_or_else(|| EnvError::UnknownName {
            env: self.spec.name.clone(),
            what: "task",
            expected: PhysicsTask::ALL.map(PhysicsTask::name).join(", "),
            found: name.clone(),
        })
    }

    fn name_task(&mut self, task: PhysicsTask) {
        self.spec.name = format!("physics/{}", task.name());
        task.name().clone_into(&mut self.spec.task);
        self.spec.max_episode_steps = task.max_episode_steps();
    }
}

impl Env for PhysicsEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: Option<u64>, options: &ResetOptions) -> Result<(Observation, Info), EnvError> {
        self.check_open()?;
        let task = self.chosen_task(options)?;
        self.name_task(task);
        if let Some(seed) = seed {
            self.seeds = seeding::rng(seed, SEED_STREAM);
        }
        let seed = seed.unwrap_or_else(|| self.seeds.random());
        let episode = Episode::new(task, seed, &self.config);
        let observation = episode.observe(&self.config);
        let info = episode.info(&task.assess(&episode.start, &episode.start));
        self.episode = Some(episode);
        Ok((observation, info))
    }

    fn step(&mut self, action: &Action) -> Result<Step, EnvError> {
        self.check_open()?;
        check_action(&self.spec, action)?;
        let reset_needed = |when| EnvError::ResetNeeded {
            env: self.spec.name.clone(),
            call: "step",
            when,
        };
        let Some(episode) = &mut self.episode else {
            return Err(reset_needed("before the first reset"));
        };
        if episode.ended {
            return Err(reset_needed("after the episode ended"));
        }
        let mut values = [0.0; 7];
        values.copy_from_slice(&action.0);
        Ok(episode.step(&values, &self.config))
    }

    fn render(&mut self) -> Result<RgbImage, EnvError> {
        let side = self.config.render_size;
        let episode = self.current("render")?;
        Ok(RayCaster::new(&episode.scene, &Camera::third_person(), side, side).rgb())
    }

    fn close(&mut self) -> Result<(), EnvError> {
        self.episode = None;
        self.closed = true;
        Ok(())
    }
}

impl Episode {
    fn new(task: PhysicsTask, seed: u64, config: &PhysicsConfig) -> Self {
        let mut rng = seeding::rng(seed, LAYOUT_STREAM);
        let layout = task.draw_layout(&mut rng, &config.randomization);
        let mut scene = Scene::new(task, &layout);
        for _ in 0..SETTLING_STEPS {
            controller::advance(&mut scene);
        }
        let start = situation(&scene);
        let progress = task.assess(&start, &start).progress;
        Self {
            task,
            instruction: task.instruction(&layout),
            scene,
            start,
            progress,
            steps: 0,
            ended: false,
        }
    }

    fn step(&mut self, values: &[f32; 7], config: &PhysicsConfig) -> Step {
        controller::apply_action(&mut self.scene, values);
        let assessment = self.task.assess(&situation(&self.scene), &self.start);
        let gain = f64::from(assessment.progress) - f64::from(self.progress);
        self.progress = assessment.progress;
        self.steps += 1;
        self.ended = assessment.success;
        Step {
            observation: self.observe(config),
            reward: gain + if assessment.success { SUCCESS_BONUS } else { 0.0 },
            terminated: assessment.success,
            truncated: false,
            info: self.info(&assessment),
        }
    }

    fn observe(&self, config: &PhysicsConfig) -> Observation {
        let picture = |camera: &Camera, side| RayCaster::new(&self.scene, camera, side, side).rgb();
        let mut images = BTreeMap::new();
        images.insert(
            THIRD_PERSON.to_owned(),
            picture(&Camera::third_person(), config.image_size),
        );
        if let Some(side) = config.wrist_image_size {
            images.insert(WRIST.to_owned(), picture(&Camera::wrist(&self.scene.robot.tool), side));
        }
        let robot = &self.scene.robot;
        let mut proprioception = robot.tool.translation.to_array().to_vec();
        proprioception.extend(roll_pitch_yaw(robot.tool.rotation).to_array());
        proprioception.push(robot.opening / MAX_OPENING);
        Observation {
            images,
            proprioception,
            instruction: self.instruction.clone(),
            privileged: privileged::read(&self.scene),
        }
    }

    fn info(&self, assessment: &Assessment) -> Info {
        let metrics = [("progress", assessment.progress), ("distance", assessment.distance)];
        Info {
            success: Some(assessment.success),
            metrics: metrics
                .into_iter()
                .map(|(name, value)| (name.to_owned(), f64::from(value)))
                .collect(),
        }
    }

    fn duplicate(&self) -> Self {
        Self {
            instruction: self.instruction.clone(),
            scene: self.scene.duplicate(),
            ..*self
        }
    }
}

fn situation(scene: &Scene) -> Situation {
    Situation {
        tool: scene.robot.tool.translation,
        block: scene.block_pose().map_or(scene.target, |pose| pose.translation),
        target: scene.target,
        held: scene.robot.held.is_some(),
    }
}
