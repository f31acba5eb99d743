//! The `Wrapper` trait, and the env that a wrapper makes of another.

use image::RgbImage;

use crate::action::{Action, ActionChunk};
use crate::env::{Env, EnvSpec, ResetOptions, check_chunk};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Changes one aspect of an env.
///
/// Every method passes the call on by default; a wrapper overrides what it changes. Single steps arrive as chunks of
/// one, so a wrapper is written once for both.
pub trait Wrapper: Send {
    /// Returns the spec of the wrapped env, given that of the env inside.
    ///
    /// # Errors
    /// [`EnvError`] if the wrapper does not fit the env.
    fn adapt_spec(&self, inner: &EnvSpec) -> Result<EnvSpec, EnvError> {
        Ok(inner.clone())
    }

    /// Starts an episode.
    ///
    /// # Errors
    /// Those of [`Env::reset`].
    fn reset(
        &mut self,
        env: &mut dyn Env,
        seed: Option<u64>,
        options: &ResetOptions,
    ) -> Result<(Observation, Info), EnvError> {
        env.reset(seed, options)
    }

    /// Advances; the sizes of the actions have been checked, and there is at least one.
    ///
    /// # Errors
    /// Those of [`Env::step_chunk`].
    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        env.step_chunk(actions)
    }

    /// Returns a picture for people.
    ///
    /// # Errors
    /// Those of [`Env::render`].
    fn render(&mut self, env: &mut dyn Env) -> Result<RgbImage, EnvError> {
        env.render()
    }

    /// Frees what wrapper and env hold.
    ///
    /// # Errors
    /// Those of [`Env::close`].
    fn close(&mut self, env: &mut dyn Env) -> Result<(), EnvError> {
        env.close()
    }
}

/// An env with a wrapper around it.
#[derive(Debug)]
pub struct Wrapped<E, W> {
    env: E,
    wrapper: W,
    spec: EnvSpec,
}

impl<E: Env, W: Wrapper> Wrapped<E, W> {
    /// Puts a wrapper around an env.
    ///
    /// # Errors
    /// Those of [`Wrapper::adapt_spec`].
    pub fn new(env: E, wrapper: W) -> Result<Self, EnvError> {
        let spec = wrapper.adapt_spec(env.spec())?;
        Ok(Self { env, wrapper, spec })
    }

    /// Returns the env inside.
    pub fn env(&self) -> &E {
        &self.env
    }

    /// Returns the env inside, to be changed.
    pub fn env_mut(&mut self) -> &mut E {
        &mut self.env
    }

    /// Returns the wrapper.
    pub fn wrapper(&self) -> &W {
        &self.wrapper
    }

    /// Returns the wrapper, to be changed.
    pub fn wrapper_mut(&mut self) -> &mut W {
        &mut self.wrapper
    }

    /// Takes the wrapper off.
    pub fn into_inner(self) -> E {
        self.env
    }
}

impl<E: Env, W: Wrapper> Env for Wrapped<E, W> {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: Option<u64>, options: &ResetOptions) -> Result<(Observation, Info), EnvError> {
        let answer = self.wrapper.reset(&mut self.env, seed, options)?;
        // A reset may choose another task, which the spec shows.
        self.spec = self.wrapper.adapt_spec(self.env.spec())?;
        Ok(answer)
    }

    fn step(&mut self, action: &Action) -> Result<Step, EnvError> {
        let mut steps = self.step_chunk(&action.clone().into())?;
        steps.pop().ok_or_else(|| EnvError::EmptyChunk {
            env: self.spec.name.clone(),
        })
    }

    fn step_chunk(&mut self, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        check_chunk(&self.spec, actions)?;
        self.wrapper.step_chunk(&mut self.env, actions)
    }

    fn render(&mut self) -> Result<RgbImage, EnvError> {
        self.wrapper.render(&mut self.env)
    }

    fn close(&mut self) -> Result<(), EnvError> {
        self.wrapper.close(&mut self.env)
    }
}

/// Lets wrappers be put around an env one after the other.
pub trait WrapEnv: Env + Sized {
    /// Puts a wrapper around this env.
    ///
    /// # Errors
    /// Those of [`Wrapper::adapt_spec`].
    fn wrap<W: Wrapper>(self, wrapper: W) -> Result<Wrapped<Self, W>, EnvError> {
        Wrapped::new(self, wrapper)
    }
}

impl<E: Env> WrapEnv for E {}
