//! Envs stepped on several threads.

use image::RgbImage;
use rayon::prelude::*;

use super::batch::{EnvBatch, EpisodeStart, check_count, in_batch};
use super::serial::{SerialBatch, reset_one, step_one};
use crate::action::ActionChunk;
use crate::env::{Env, EnvSpec};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Steps its envs on the threads of rayon's pool.
///
/// The episodes are those of a [`SerialBatch`], whatever the number of threads.
#[derive(Debug)]
pub struct ThreadedBatch {
    envs: SerialBatch,
}

impl ThreadedBatch {
    /// Makes a batch of envs with equal spaces.
    ///
    /// # Errors
    /// [`EnvError::NoEnvs`] or [`EnvError::MixedSpecs`].
    pub fn new(envs: Vec<Box<dyn Env>>) -> Result<Self, EnvError> {
        Ok(Self {
            envs: SerialBatch::new(envs)?,
        })
    }
}

impl EnvBatch for ThreadedBatch {
    fn spec(&self) -> &EnvSpec {
        self.envs.spec()
    }

    fn num_envs(&self) -> usize {
        self.envs.num_envs()
    }

    fn reset(&mut self, starts: &[Option<EpisodeStart>]) -> Result<Vec<Option<(Observation, Info)>>, EnvError> {
        check_count("episode starts", self.num_envs(), starts.len())?;
        in_order(
            self.envs
                .envs
                .par_iter_mut()
                .zip(starts)
                .enumerate()
                .map(reset_one)
                .collect(),
        )
    }

    fn step_chunk(&mut self, chunks: &[ActionChunk]) -> Result<Vec<Vec<Step>>, EnvError> {
        self.envs.check_chunks(chunks)?;
        in_order(
            self.envs
                .envs
                .par_iter_mut()
                .zip(chunks)
                .enumerate()
                .map(step_one)
                .collect(),
        )
    }

    fn render(&mut self) -> Result<Vec<RgbImage>, EnvError> {
        let envs = self.envs.envs.par_iter_mut().enumerate();
        in_order(envs.map(|(index, env)| env.render().map_err(in_batch(index))).collect())
    }

    fn close(&mut self) -> Result<(), EnvError> {
        self.envs.close()
    }
}

/// Returns the first error by position, not by time, so that the thread count never shows.
fn in_order<T>(answers: Vec<Result<T, EnvError>>) -> Result<Vec<T>, EnvError> {
    answers.into_iter().collect()
}
