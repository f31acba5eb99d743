//! The `EnvBatch` trait: several envs behind one call.

use image::RgbImage;

use crate::action::ActionChunk;
use crate::env::{Env, EnvSpec, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// How one env of a batch starts its episode.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpisodeStart {
    /// Seed of the episode; without one the env continues its own random sequence.
    pub seed: Option<u64>,
    /// Choices beside the seed.
    pub options: ResetOptions,
}

/// Several envs with equal spaces, stepped together.
///
/// Each env answers exactly as it would alone. Errors of one env come as [`EnvError::InBatch`].
pub trait EnvBatch: Send {
    /// Returns the spec of the first env; all have equal spaces.
    fn spec(&self) -> &EnvSpec;

    /// Returns the number of envs, at least one.
    fn num_envs(&self) -> usize;

    /// Starts episodes; an env with `None` is left alone and answers `None`.
    ///
    /// # Errors
    /// [`EnvError::BatchSize`], and [`EnvError::InBatch`] with an error of [`Env::reset`].
    fn reset(&mut self, starts: &[Option<EpisodeStart>]) -> Result<Vec<Option<(Observation, Info)>>, EnvError>;

    /// Advances each env by its chunk, ragged or not; an env with an empty chunk is left alone and answers nothing.
    ///
    /// # Errors
    /// [`EnvError::BatchSize`], and [`EnvError::InBatch`] with an error of [`Env::step_chunk`]. All actions of all envs
    /// are checked before the first is applied.
    fn step_chunk(&mut self, chunks: &[ActionChunk]) -> Result<Vec<Vec<Step>>, EnvError>;

    /// Returns a picture of each env for people.
    ///
    /// # Errors
    /// [`EnvError::InBatch`] with an error of [`Env::render`].
    fn render(&mut self) -> Result<Vec<RgbImage>, EnvError>;

    /// Frees what the envs hold; calling it again does nothing.
    ///
    /// # Errors
    /// [`EnvError::InBatch`] with an error of [`Env::close`].
    fn close(&mut self) -> Result<(), EnvError>;
}

impl<B: EnvBatch + ?Sized> EnvBatch for Box<B> {
    fn spec(&self) -> &EnvSpec {
        (**self).spec()
    }

    fn num_envs(&self) -> usize {
        (**self).num_envs()
    }

    fn reset(&mut self, starts: &[Option<EpisodeStart>]) -> Result<Vec<Option<(Observation, Info)>>, EnvError> {
        (**self).reset(starts)
    }

    fn step_chunk(&mut self, chunks: &[ActionChunk]) -> Result<Vec<Vec<Step>>, EnvError> {
        (**self).step_chunk(chunks)
    }

    fn render(&mut self) -> Result<Vec<RgbImage>, EnvError> {
        (**self).render()
    }

    fn close(&mut self) -> Result<(), EnvError> {
        (**self).close()
    }
}

/// Says which env of a batch an error came from.
pub(crate) fn in_batch(index: usize) -> impl FnOnce(EnvError) -> EnvError {
    move |error| EnvError::InBatch {
        index,
        source: Box::new(error),
    }
}

/// Checks that there is one of `what` per env.
pub(crate) fn check_count(what: &'static str, expected: usize, found: usize) -> Result<(), EnvError> {
    if found == expected {
        Ok(())
    } else {
        Err(EnvError::BatchSize { what, expected, found })
    }
}

/// Checks that there is an env, and that all have the spaces and the rate of the first.
pub(super) fn check_specs(envs: &[Box<dyn Env>]) -> Result<(), EnvError> {
    let first = envs.first().ok_or(EnvError::NoEnvs)?.spec();
    for (index, env) in envs.iter().enumerate() {
        let spec = env.spec();
        let what = if spec.observation_space != first.observation_space {
            "observation space"
        } else if spec.action_space != first.action_space {
            "action space"
        } else if spec.control_rate_hz != first.control_rate_hz {
            "control rate"
        } else {
            continue;
        };
        return Err(EnvError::MixedSpecs {
            index,
            what,
            first: first.name.clone(),
            found: spec.name.clone(),
        });
    }
    Ok(())
}
