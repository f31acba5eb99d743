//! Envs stepped one after the other.

use std::fmt;

use image::RgbImage;

use super::batch::{EnvBatch, EpisodeStart, check_count, check_specs, in_batch};
use crate::action::ActionChunk;
use crate::env::{Env, EnvSpec, check_chunk};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Steps its envs one after the other on the calling thread.
pub struct SerialBatch {
    pub(super) envs: Vec<Box<dyn Env>>,
}

impl fmt::Debug for SerialBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SerialBatch")
            .field("num_envs", &self.envs.len())
            .field("spec", self.spec())
            .finish()
    }
}

impl SerialBatch {
    /// Makes a batch of envs with equal spaces.
    ///
    /// # Errors
    /// [`EnvError::NoEnvs`] or [`EnvError::MixedSpecs`].
    pub fn new(envs: Vec<Box<dyn Env>>) -> Result<Self, EnvError> {
        check_specs(&envs)?;
        Ok(Self { envs })
    }

    pub(super) fn check_chunks(&self, chunks: &[ActionChunk]) -> Result<(), EnvError> {
        check_count("action chunks", self.envs.len(), chunks.len())?;
        for (index, (env, chunk)) in self.envs.iter().zip(chunks).enumerate() {
            if !chunk.is_empty() {
                check_chunk(env.spec(), chunk).map_err(in_batch(index))?;
            }
        }
        Ok(())
    }
}

impl EnvBatch for SerialBatch {
    fn spec(&self) -> &EnvSpec {
        self.envs[0].spec()
    }

    fn num_envs(&self) -> usize {
        self.envs.len()
    }

    fn reset(&mut self, starts: &[Option<EpisodeStart>]) -> Result<Vec<Option<(Observation, Info)>>, EnvError> {
        check_count("episode starts", self.envs.len(), starts.len())?;
        self.envs.iter_mut().zip(starts).enumerate().map(reset_one).collect()
    }

    fn step_chunk(&mut self, chunks: &[ActionChunk]) -> Result<Vec<Vec<Step>>, EnvError> {
        self.check_chunks(chunks)?;
        self.envs.iter_mut().zip(chunks).enumerate().map(step_one).collect()
    }

    fn render(&mut self) -> Result<Vec<RgbImage>, EnvError> {
        self.envs
            .iter_mut()
            .enumerate()
            .map(|(index, env)| env.render().map_err(in_batch(index)))
            .collect()
    }

    fn close(&mut self) -> Result<(), EnvError> {
        self.envs
            .iter_mut()
            .enumerate()
            .try_for_each(|(index, env)| env.close().map_err(in_batch(index)))
    }
}

/// An env of a batch with its position and what it is asked to do.
type Asked<'a, T> = (usize, (&'a mut Box<dyn Env>, &'a T));

pub(super) fn reset_one(
    (index, (env, start)): Asked<'_, Option<EpisodeStart>>,
) -> Result<Option<(Observation, Info)>, EnvError> {
    start
        .as_ref()
        .map(|start| env.reset(start.seed, &start.options))
        .transpose()
        .map_err(in_batch(index))
}

pub(super) fn step_one((index, (env, chunk)): Asked<'_, ActionChunk>) -> Result<Vec<Step>, EnvError> {
    if chunk.is_empty() {
        Ok(Vec::new())
    } else {
        env.step_chunk(chunk).map_err(in_batch(index))
    }
}
