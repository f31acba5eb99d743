//! A model, a judge and a source of initial states, joined and checked.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use worldloop_world_model::judge::{Judge, JudgeRequest, Judgement};
use worldloop_world_model::{Frame, Prediction, PredictionRequest, WorldModel};

use super::action_contract::{action_space_of, check_action_contract};
use super::config::{LearnedConfig, LearnedTask};
use super::frame_image::frame_from_image;
use super::initial_state::InitialStates;
use crate::env::EnvSpec;
use crate::error::EnvError;
use crate::observation::Observation;
use crate::space::{ContinuousSpace, ImageSpace, ObservationSpace};

/// Everything that the episodes of a learned world have in common; clones share it.
#[derive(Clone)]
pub struct LearnedWorld {
    pub(super) model: Arc<dyn WorldModel>,
    judge: Arc<dyn Judge>,
    initial: Arc<Mutex<dyn InitialStates>>,
    pub(super) config: Arc<LearnedConfig>,
    pub(super) judge_camera: usize,
}

impl fmt::Debug for LearnedWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.spec();
        f.debug_struct("LearnedWorld")
            .field("model", model)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl LearnedWorld {
    /// Joins a model, a judge and a source of initial states.
    ///
    /// # Errors
    /// [`EnvError::Setting`], [`EnvError::UnknownName`] or [`EnvError::ActionContract`] if the settings do not fit the
    /// model.
    pub fn new(
        model: Arc<dyn WorldModel>,
        judge: Arc<dyn Judge>,
        initial: impl InitialStates + 'static,
        config: LearnedConfig,
    ) -> Result<Self, EnvError> {
        check_config(&config)?;
        let spec = model.spec();
        if let Some(space) = &config.action_space {
            check_action_contract(&config.name, space, spec)?;
        }
        let camera = config.judge_camera.as_deref();
        let judge_camera = camera.map_or(Some(0), |camera| spec.cameras.iter().position(|name| name == camera));
        let judge_camera = judge_camera.ok_or_else(|| EnvError::UnknownName {
            env: config.name.clone(),
            what: "camera",
            expected: spec.cameras.join(", "),
            found: camera.unwrap_or_default().to_owned(),
        })?;
        let for_model = |what, least: usize, found: usize| {
            if found >= least {
                Ok(())
            } else {
                Err(setting(&config, what, format!("at least {least}"), found.to_string()))
            }
        };
        for_model("the model's number of cameras", 1, spec.cameras.len())?;
        for_model("the model's chunk length", 1, spec.chunk_length)?;
        for_model("the model's number of context frames", 1, spec.context_frames)?;
        for_model("the model's number of action values", 1, spec.action_dim())?;
        let initial = Arc::new(Mutex::new(initial));
        Ok(Self {
            model,
            judge,
            initial,
            config: Arc::new(config),
            judge_camera,
        })
    }

    /// Returns the world model.
    pub fn model(&self) -> &Arc<dyn WorldModel> {
        &self.model
    }

    /// Returns the settings.
    pub fn config(&self) -> &LearnedConfig {
        &self.config
    }

    pub(super) fn env_spec(&self, task: &LearnedTask) -> EnvSpec {
        let model = self.model.spec();
        let image = |camera: &String| ImageSpace {
            camera: camera.clone(),
            height: model.height as u32,
            width: model.width as u32,
        };
        EnvSpec {
            name: format!("{}/{}", self.config.name, task.name),
            task: task.name.clone(),
            observation_space: ObservationSpace {
                images: model.cameras.iter().map(image).collect(),
                proprioception: ContinuousSpace::default(),
            },
            action_space: self
                .config
                .action_space
                .clone()
                .unwrap_or_else(|| action_space_of(model)),
            control_rate_hz: model.frame_rate_hz,
            max_episode_steps: task.max_episode_steps,
            deterministic: true,
        }
    }

    pub(super) fn task(&self, name: Option<&str>) -> Result<&LearnedTask, EnvError> {
        let tasks = &self.config.tasks;
        let found = name.map_or(tasks.first(), |name| tasks.iter().find(|task| task.name == name));
        found.ok_or_else(|| EnvError::UnknownName {
            env: self.config.name.clone(),
            what: "task",
            expected: tasks
                .iter()
                .map(|task| task.name.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            found: name.unwrap_or_default().to_owned(),
        })
    }

    pub(super) fn initial(&self, seed: u64, task: &str) -> Result<Observation, EnvError> {
        // A source that panicked in another thread holds no half-written state that matters here.
        self.initial
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .initial(seed, task)
    }

    /// Returns the context frames that an observation gives, per camera; its one image stands for all of them.
    pub(super) fn context(&self, observation: &Observation) -> Result<Vec<Vec<Frame>>, EnvError> {
        let spec = self.model.spec();
        let wrong = |camera: &str, found: String| EnvError::InitialState {
            env: self.config.name.clone(),
            expected: format!("an image of {}x{} pixels of camera `{camera}`", spec.width, spec.height),
            found,
        };
        let frames = |camera: &String| {
            let image = observation.images.get(camera).ok_or_else(|| {
                let cameras: Vec<&str> = observation.images.keys().map(String::as_str).collect();
                wrong(camera, format!("images of the cameras [{}]", cameras.join(", ")))
            })?;
            let (width, height) = image.dimensions();
            if (width as usize, height as usize) != (spec.width, spec.height) {
                return Err(wrong(
                    camera,
                    format!("one of {width}x{height} (`fit_image` brings it to size)"),
                ));
            }
            Ok(vec![frame_from_image(image); spec.context_frames])
        };
        spec.cameras.iter().map(frames).collect()
    }

    /// Predicts with one model call for all requests, and checks that the answer is complete.
    pub(super) fn predict(&self, requests: &[PredictionRequest<'_>]) -> Result<Vec<Prediction>, EnvError> {
        let predictions = self.model.predict(requests)?;
        self.check_count("world model", "predictions", requests.len(), predictions.len())?;
        let cameras = self.model.spec().cameras.len();
        for (request, prediction) in requests.iter().zip(&predictions) {
            self.check_count("world model", "cameras", cameras, prediction.frames.len())?;
            let poses = prediction.gripper_poses.len();
            self.check_count("world model", "gripper poses", request.actions.len(), poses)?;
            for frames in &prediction.frames {
                self.check_count("world model", "frames", request.actions.len(), frames.len())?;
            }
        }
        Ok(predictions)
    }

    /// Judges all frames with one call, and checks that the answer is complete.
    pub(super) fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, EnvError> {
        let judgements = self.judge.judge(requests)?;
        self.check_count("judge", "judgements", requests.len(), judgements.len())?;
        Ok(judgements)
    }

    fn check_count(
        &self,
        who: &'static str,
        what: &'static str,
        expected: usize,
        found: usize,
    ) -> Result<(), EnvError> {
        if found == expected {
            return Ok(());
        }
        Err(EnvError::AnswerCount {
            env: self.config.name.clone(),
            who,
            what,
            expected,
            found,
        })
    }
}

fn check_config(config: &LearnedConfig) -> Result<(), EnvError> {
    if config.tasks.is_empty() {
        return Err(setting(config, "tasks", "at least one task".into(), "none".into()));
    }
    if let Some(task) = config.tasks.iter().find(|task| task.max_episode_steps == 0) {
        let found = format!("0 for `{}`", task.name);
        return Err(setting(config, "max_episode_steps", "at least 1".into(), found));
    }
    let threshold = config.success_threshold;
    if !(threshold > 0.0 && threshold <= 1.0) {
        return Err(setting(
            config,
            "success_threshold",
            "a number above 0, at most 1".into(),
            threshold.to_string(),
        ));
    }
    if config.success_frames == 0 {
        return Err(setting(config, "success_frames", "at least 1".into(), "0".into()));
    }
    if !config.success_bonus.is_finite() {
        return Err(setting(
            config,
            "success_bonus",
            "a finite number".into(),
            config.success_bonus.to_string(),
        ));
    }
    Ok(())
}

fn setting(config: &LearnedConfig, setting: &'static str, expected: String, found: String) -> EnvError {
    EnvError::Setting {
        env: config.name.clone(),
        setting,
        expected,
        found,
    }
}
