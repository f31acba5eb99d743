//! One episode in a learned world: where it stands, and what a predicted frame does to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use worldloop_world_model::judge::{JudgeRequest, Judgement};
use worldloop_world_model::{Frame, GripperPose, Prediction, PredictionRequest, WorldState};

use super::config::LearnedTask;
use super::frame_image::image_from_frame;
use super::truncation::StepEvidence;
use super::world::LearnedWorld;
use crate::action::Action;
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// An episode; a clone of it is a snapshot.
#[derive(Debug, Clone)]
pub(super) struct Episode {
    pub(super) task: LearnedTask,
    instruction: String,
    /// What the judge's camera saw when the episode began.
    first: Arc<Frame>,
    /// State at the last chunk boundary.
    boundary: WorldState,
    /// Actions since that boundary, each answered with a frame already; fewer than a chunk.
    pending: Vec<Vec<f32>>,
    /// Latest frame per camera.
    latest: Vec<Frame>,
    step: usize,
    progress: f32,
    solved_in_a_row: usize,
    pub(super) over: bool,
}

impl Episode {
    pub(super) fn new(
        task: &LearnedTask,
        instruction: String,
        state: WorldState,
        latest: Vec<Frame>,
        judge_camera: usize,
    ) -> Self {
        Self {
            task: task.clone(),
            instruction,
            first: Arc::new(latest[judge_camera].clone()),
            boundary: state,
            pending: Vec::new(),
            latest,
            step: 0,
            progress: 0.0,
            solved_in_a_row: 0,
            over: false,
        }
    }

    /// Returns how many of `actions` the next prediction takes: up to the chunk boundary or the time limit.
    pub(super) fn next_length(&self, world: &LearnedWorld, actions: usize) -> usize {
        let to_boundary = world.model.spec().chunk_length - self.pending.len();
        let to_limit = self
            .time_limit(world)
            .map_or(usize::MAX, |limit| limit.saturating_sub(self.step));
        actions.min(to_boundary).min(to_limit)
    }

    /// Takes actions that the next prediction is to answer.
    pub(super) fn take_actions(&mut self, actions: &[Action]) {
        self.pending.extend(actions.iter().map(|action| action.0.clone()));
    }

    pub(super) fn request(&self) -> PredictionRequest<'_> {
        PredictionRequest {
            state: &self.boundary,
            actions: &self.pending,
        }
    }

    pub(super) fn judge_request<'a>(&'a self, frame: &'a Frame, gripper_pose: Option<GripperPose>) -> JudgeRequest<'a> {
        JudgeRequest {
            frame,
            first_frame: &self.first,
            gripper_pose,
            task: &self.task.name,
            instruction: &self.instruction,
        }
    }

    pub(super) fn latest(&self) -> &[Frame] {
        &self.latest
    }

    /// Asks for the judgement of the first observation.
    pub(super) fn first_judge_request(&self) -> JudgeRequest<'_> {
        self.judge_request(&self.first, self.boundary.gripper_pose)
    }

    /// Notes what the judge says of the first observation.
    pub(super) fn begin(
        &mut self,
        world: &LearnedWorld,
        judgement: Judgement,
    ) -> Result<(Observation, Info), EnvError> {
        self.check_judgement(world, judgement)?;
        self.progress = judgement.progress;
        Ok((self.observation(world), info(judgement, false)))
    }

    /// Goes through the last `judgements.len()` frames of a prediction, and stops after a step that is last.
    pub(super) fn advance(
        &mut self,
        world: &LearnedWorld,
        prediction: Prediction,
        judgements: &[Judgement],
    ) -> Result<Vec<Step>, EnvError> {
        let answered = self.pending.len() - judgements.len();
        let mut cameras: Vec<_> = prediction
            .frames
            .into_iter()
            .map(|frames| frames.into_iter().skip(answered))
            .collect();
        let mut steps = Vec::with_capacity(judgements.len());
        for judgement in judgements {
            let frames: Vec<Frame> = cameras.iter_mut().filter_map(Iterator::next).collect();
            steps.push(self.one_step(world, frames, *judgement)?);
            if self.over {
                break;
            }
        }
        if self.pending.len() == world.model.spec().chunk_length {
            self.boundary = prediction.next_state;
            self.pending.clear();
        }
        Ok(steps)
    }

    fn one_step(&mut self, world: &LearnedWorld, frames: Vec<Frame>, judgement: Judgement) -> Result<Step, EnvError> {
        self.step += 1;
        self.check_judgement(world, judgement)?;
        let config = &world.config;
        let solved = judgement.success_probability >= config.success_threshold;
        self.solved_in_a_row = if solved { self.solved_in_a_row + 1 } else { 0 };
        let success = self.solved_in_a_row >= config.success_frames;
        let gain = f64::from(judgement.progress) - f64::from(self.progress);
        self.progress = judgement.progress;
        let evidence = StepEvidence {
            previous: &self.latest,
            frames: &frames,
            judgement,
            step: self.step,
        };
        let distrusted = config.guard.as_ref().is_some_and(|guard| guard.truncates(&evidence));
        let truncated = distrusted || self.time_limit(world).is_some_and(|limit| self.step >= limit);
        self.latest = frames;
        self.over = success || truncated;
        Ok(Step {
            observation: self.observation(world),
            reward: gain + if success { config.success_bonus } else { 0.0 },
            terminated: success,
            truncated,
            info: info(judgement, success),
        })
    }

    fn observation(&self, world: &LearnedWorld) -> Observation {
        let cameras = world.model.spec().cameras.iter().cloned();
        Observation {
            images: cameras.zip(self.latest.iter().map(image_from_frame)).collect(),
            proprioception: Vec::new(),
            instruction: self.instruction.clone(),
            privileged: BTreeMap::new(),
        }
    }

    fn time_limit(&self, world: &LearnedWorld) -> Option<usize> {
        world.config.time_limit.then_some(self.task.max_episode_steps)
    }

    fn check_judgement(&self, world: &LearnedWorld, judgement: Judgement) -> Result<(), EnvError> {
        let figures = [
            ("success probability", judgement.success_probability),
            ("progress", judgement.progress),
        ];
        match figures.into_iter().find(|(_, value)| !value.is_finite()) {
            Some((what, value)) => Err(EnvError::JudgementNotFinite {
                env: world.config.name.clone(),
                what,
                value,
                step: self.step,
            }),
            None => Ok(()),
        }
    }
}

fn info(judgement: Judgement, success: bool) -> Info {
    let metrics = [
        ("success_probability", judgement.success_probability),
        ("progress", judgement.progress),
    ];
    let metrics = metrics
        .into_iter()
        .map(|(name, value)| (name.to_owned(), f64::from(value)))
        .collect();
    Info {
        success: Some(success),
        metrics,
    }
}
