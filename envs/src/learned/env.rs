//! `LearnedEnv`: one episode in a learned world.

use image::RgbImage;

use super::batch::LearnedBatch;
use super::snapshot::EnvSnapshot;
use super::world::LearnedWorld;
use crate::action::{Action, ActionChunk};
use crate::env::{Env, EnvSpec, ResetOptions, check_chunk};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};
use crate::vector::{EnvBatch, EpisodeStart};

/// A world model as an env: a batch of one.
#[derive(Debug)]
pub struct LearnedEnv {
    batch: LearnedBatch,
}

impl LearnedEnv {
    /// Makes an env of a world.
    ///
    /// # Errors
    /// Those of [`LearnedBatch::new`].
    pub fn new(world: LearnedWorld) -> Result<Self, EnvError> {
        Ok(Self {
            batch: LearnedBatch::new(world, 1)?,
        })
    }

    /// Returns the world that the env plays in.
    pub fn world(&self) -> &LearnedWorld {
        self.batch.world()
    }

    /// Returns everything that decides how this env goes on.
    ///
    /// # Errors
    /// [`EnvError::Closed`] after `close`.
    pub fn snapshot(&self) -> Result<EnvSnapshot, EnvError> {
        self.batch.snapshot(0)
    }

    /// Goes back, or over, to where the snapshot was taken.
    ///
    /// # Errors
    /// [`EnvError::ForeignSnapshot`] if it was taken with another model, [`EnvError::Closed`] after `close`.
    pub fn restore(&mut self, snapshot: &EnvSnapshot) -> Result<(), EnvError> {
        self.batch.restore(0, snapshot)
    }

    /// Makes another env that goes on from here, independently of this one.
    ///
    /// # Errors
    /// [`EnvError::Closed`] after `close`.
    pub fn fork(&self) -> Result<Self, EnvError> {
        let mut fork = Self::new(self.world().clone())?;
        fork.restore(&self.snapshot()?)?;
        Ok(fork)
    }
}

impl Env for LearnedEnv {
    fn spec(&self) -> &EnvSpec {
        self.batch.spec()
    }

    fn reset(&mut self, seed: Option<u64>, options: &ResetOptions) -> Result<(Observation, Info), EnvError> {
        let start = EpisodeStart {
            seed,
            options: options.clone(),
        };
        let answer = self.batch.reset(&[Some(start)]).map_err(alone)?;
        self.only(answer.into_iter().flatten())
    }

    fn step(&mut self, action: &Action) -> Result<Step, EnvError> {
        let steps = self.step_chunk(&action.clone().into())?;
        self.only(steps.into_iter())
    }

    fn step_chunk(&mut self, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        check_chunk(self.spec(), actions)?;
        let answer = self.batch.step_chunk(std::slice::from_ref(actions)).map_err(alone)?;
        self.only(answer.into_iter())
    }

    fn render(&mut self) -> Result<RgbImage, EnvError> {
        let answer = self.batch.render().map_err(alone)?;
        self.only(answer.into_iter())
    }

    fn close(&mut self) -> Result<(), EnvError> {
        self.batch.close()
    }
}

impl LearnedEnv {
    fn only<T>(&self, mut answers: impl Iterator<Item = T>) -> Result<T, EnvError> {
        answers.next().ok_or_else(|| EnvError::AnswerCount {
            env: self.spec().name.clone(),
            who: "world model",
            what: "answers",
            expected: 1,
            found: 0,
        })
    }
}

/// Takes the position in the batch off an error: this env is alone.
fn alone(error: EnvError) -> EnvError {
    match error {
        EnvError::InBatch { source, .. } => *source,
        other => other,
    }
}
