//! Whole episodes kept in memory.

use std::fmt;

use super::Wrapper;
use crate::action::{Action, ActionChunk};
use crate::env::{Env, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// An action and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedStep {
    /// The action.
    pub action: Action,
    /// The answer, frames included.
    pub step: Step,
}

/// An episode from its first observation to its last.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEpisode {
    /// Name of the env.
    pub env: String,
    /// Task that was played.
    pub task: String,
    /// Seed of the episode, if it was given one.
    pub seed: Option<u64>,
    /// What was seen before the first action; its `instruction` is the task in words.
    pub first_observation: Observation,
    /// Facts beside the first observation.
    pub first_info: Info,
    /// Actions and answers in order.
    pub steps: Vec<RecordedStep>,
}

impl RecordedEpisode {
    /// Returns whether the episode was played to its end.
    pub fn is_complete(&self) -> bool {
        self.steps.last().is_some_and(|recorded| recorded.step.is_last())
    }

    /// Returns whether the task was solved in any step; `None` where nothing judged it.
    pub fn success(&self) -> Option<bool> {
        let mut judged = self
            .steps
            .iter()
            .filter_map(|recorded| recorded.step.info.success)
            .peekable();
        judged.peek()?;
        Some(judged.any(|success| success))
    }

    /// Returns the sum of the rewards.
    pub fn episode_return(&self) -> f64 {
        self.steps.iter().map(|recorded| recorded.step.reward).sum()
    }
}

/// Takes each recorded episode, for example to write it to disk.
pub type EpisodeSink = Box<dyn FnMut(RecordedEpisode) + Send>;

/// Records episodes and hands each to a sink when it is over.
///
/// Put it outside a time limit, so that it sees the cut, and where the actions are those that should be kept.
/// An episode that is broken off by a reset or by `close` is handed over too if it has at least one step; its
/// [`is_complete`](RecordedEpisode::is_complete) says `false`.
pub struct RecordEpisode {
    sink: EpisodeSink,
    current: Option<RecordedEpisode>,
}

impl fmt::Debug for RecordEpisode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordEpisode")
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl RecordEpisode {
    /// Makes a recorder that hands each episode to `sink`.
    pub fn new(sink: impl FnMut(RecordedEpisode) + Send + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            current: None,
        }
    }

    /// Returns the episode being recorded.
    pub fn current(&self) -> Option<&RecordedEpisode> {
        self.current.as_ref()
    }

    fn hand_over(&mut self) {
        if let Some(episode) = self.current.take()
            && !episode.steps.is_empty()
        {
            (self.sink)(episode);
        }
    }
}

impl Wrapper for RecordEpisode {
    fn reset(
        &mut self,
        env: &mut dyn Env,
        seed: Option<u64>,
        options: &ResetOptions,
    ) -> Result<(Observation, Info), EnvError> {
        let (observation, info) = env.reset(seed, options)?;
        self.hand_over();
        self.current = Some(RecordedEpisode {
            env: env.spec().name.clone(),
            task: options.task.clone().unwrap_or_else(|| env.spec().task.clone()),
            seed,
            first_observation: observation.clone(),
            first_info: info.clone(),
            steps: Vec::new(),
        });
        Ok((observation, info))
    }

    fn step_chunk(&mut self, env: &mut dyn Env, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        let steps = env.step_chunk(actions)?;
        if let Some(episode) = &mut self.current {
            let recorded = actions.0.iter().zip(&steps);
            episode.steps.extend(recorded.map(|(action, step)| RecordedStep {
                action: action.clone(),
                step: step.clone(),
            }));
        }
        if steps.last().is_some_and(Step::is_last) {
            self.hand_over();
        }
        Ok(steps)
    }

    fn close(&mut self, env: &mut dyn Env) -> Result<(), EnvError> {
        self.hand_over();
        env.close()
    }
}
