//! `VectorEnv`: a batch of envs whose episodes end at different times.

use image::RgbImage;

use super::autoreset::AutoresetMode;
use super::batch::{EnvBatch, EpisodeStart, check_count, in_batch};
use crate::action::{Action, ActionChunk};
use crate::env::{EnvSpec, ResetOptions, check_action, check_chunk};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Which envs to reset, and how.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VectorReset {
    /// Envs to reset; `None` resets all.
    pub mask: Option<Vec<bool>>,
    /// One seed per env; `None` lets all continue their own random sequences.
    pub seeds: Option<Vec<u64>>,
    /// One set of options per env; `None` is the default for all.
    pub options: Option<Vec<ResetOptions>>,
}

impl VectorReset {
    /// Resets all of `num_envs` envs; env `i` gets the seed `seed + i`.
    pub fn seeded(seed: u64, num_envs: usize) -> Self {
        let seeds = (0..num_envs as u64).map(|index| seed.wrapping_add(index)).collect();
        Self {
            seeds: Some(seeds),
            ..Self::default()
        }
    }

    /// Resets only the envs where the mask is `true`.
    #[must_use]
    pub fn with_mask(mut self, mask: Vec<bool>) -> Self {
        self.mask = Some(mask);
        self
    }

    /// Sets the options, one set per env.
    #[must_use]
    pub fn with_options(mut self, options: Vec<ResetOptions>) -> Self {
        self.options = Some(options);
        self
    }
}

/// The answer of one env of a vector to one action.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorStep {
    /// The answer; in a [`VectorStep::reset`] its observation and info are those of the new episode.
    pub step: Step,
    /// Whether the observation is the first of a new episode.
    pub reset: bool,
    /// What was last seen of the episode that ended; only in mode [`AutoresetMode::SameStep`].
    pub final_observation: Option<Observation>,
    /// Facts beside the final observation; only in mode [`AutoresetMode::SameStep`].
    pub final_info: Option<Info>,
}

impl VectorStep {
    fn of_step(step: Step) -> Self {
        Self {
            step,
            reset: false,
            final_observation: None,
            final_info: None,
        }
    }

    fn of_reset((observation, info): (Observation, Info)) -> Self {
        let step = Step {
            observation,
            reward: 0.0,
            terminated: false,
            truncated: false,
            info,
        };
        Self {
            step,
            reset: true,
            final_observation: None,
            final_info: None,
        }
    }

    fn with_reset(mut self, (observation, info): (Observation, Info)) -> Self {
        self.final_observation = Some(std::mem::replace(&mut self.step.observation, observation));
        self.final_info = Some(std::mem::replace(&mut self.step.info, info));
        self.reset = true;
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    Over,
}

/// Several envs, stepped together and reset as their episodes end.
///
/// A chunk never spans two episodes: the actions after a last step were meant for the old one and are dropped. An
/// automatic reset keeps the task of the last explicit reset, not its initial observation, and continues the random
/// sequence of the env.
#[derive(Debug)]
pub struct VectorEnv<B> {
    batch: B,
    autoreset: AutoresetMode,
    stages: Vec<Stage>,
    tasks: Vec<Option<String>>,
}

impl<B: EnvBatch> VectorEnv<B> {
    /// Makes a vector env of a batch that has not been reset yet.
    pub fn new(batch: B, autoreset: AutoresetMode) -> Self {
        let num_envs = batch.num_envs();
        Self {
            batch,
            autoreset,
            stages: vec![Stage::New; num_envs],
            tasks: vec![None; num_envs],
        }
    }

    /// Returns the spec of the first env; all have equal spaces.
    pub fn spec(&self) -> &EnvSpec {
        self.batch.spec()
    }

    /// Returns the number of envs.
    pub fn num_envs(&self) -> usize {
        self.stages.len()
    }

    /// Returns when envs are reset.
    pub fn autoreset(&self) -> AutoresetMode {
        self.autoreset
    }

    /// Returns the batch inside.
    pub fn batch(&self) -> &B {
        &self.batch
    }

    /// Returns for each env whether it waits for a reset.
    pub fn over(&self) -> Vec<bool> {
        self.stages.iter().map(|stage| *stage != Stage::Running).collect()
    }

    /// Starts episodes; an env that the mask leaves out answers `None` and goes on where it was.
    ///
    /// # Errors
    /// [`EnvError::BatchSize`] if a list has not one entry per env, and those of [`EnvBatch::reset`].
    pub fn reset(&mut self, request: &VectorReset) -> Result<Vec<Option<(Observation, Info)>>, EnvError> {
        let num_envs = self.num_envs();
        let counts = [
            ("mask entries", request.mask.as_ref().map(Vec::len)),
            ("seeds", request.seeds.as_ref().map(Vec::len)),
            ("reset options", request.options.as_ref().map(Vec::len)),
        ];
        for (what, found) in counts {
            check_count(what, num_envs, found.unwrap_or(num_envs))?;
        }
        let start = |index: usize| EpisodeStart {
            seed: request.seeds.as_ref().map(|seeds| seeds[index]),
            options: request
                .options
                .as_ref()
                .map(|options| options[index].clone())
                .unwrap_or_default(),
        };
        let chosen = |index: usize| request.mask.as_ref().is_none_or(|mask| mask[index]);
        let starts: Vec<_> = (0..num_envs).map(|index| chosen(index).then(|| start(index))).collect();
        let answers = self.batch.reset(&starts)?;
        for (index, start) in starts.into_iter().enumerate() {
            if let Some(start) = start {
                self.stages[index] = Stage::Running;
                self.tasks[index] = start.options.task;
            }
        }
        Ok(answers)
    }

    /// Advances each env by one action.
    ///
    /// # Errors
    /// As [`VectorEnv::step_chunk`].
    pub fn step(&mut self, actions: &[Action]) -> Result<Vec<VectorStep>, EnvError> {
        check_count("actions", self.num_envs(), actions.len())?;
        for (index, action) in actions.iter().enumerate() {
            check_action(self.spec(), action).map_err(in_batch(index))?;
        }
        let chunks: Vec<ActionChunk> = actions.iter().cloned().map(ActionChunk::from).collect();
        Ok(self.step_chunk(&chunks)?.into_iter().flatten().collect())
    }

    /// Advances each env by its chunk, ragged or not; an env with an empty chunk is left alone and answers nothing.
    ///
    /// # Errors
    /// [`EnvError::BatchSize`]; [`EnvError::InBatch`] with [`EnvError::ResetNeeded`] for an env that has not been
    /// reset, or whose episode is over in mode [`AutoresetMode::Disabled`]; and those of [`EnvBatch::step_chunk`].
    pub fn step_chunk(&mut self, chunks: &[ActionChunk]) -> Result<Vec<Vec<VectorStep>>, EnvError> {
        self.check_chunks(chunks)?;
        let (due, running) = self.divide(chunks);
        let resets = self.autoreset_where(&due)?;
        let stepped = self.batch.step_chunk(&running)?;
        let mut answers: Vec<Vec<VectorStep>> = stepped
            .into_iter()
            .map(|steps| steps.into_iter().map(VectorStep::of_step).collect())
            .collect();
        for (answer, reset) in answers.iter_mut().zip(resets) {
            answer.extend(reset.map(VectorStep::of_reset));
        }
        let ended: Vec<bool> = answers
            .iter()
            .map(|steps| steps.last().is_some_and(|last| last.step.is_last()))
            .collect();
        for (stage, _) in self.stages.iter_mut().zip(&ended).filter(|(_, ended)| **ended) {
            *stage = Stage::Over;
        }
        if self.autoreset == AutoresetMode::SameStep && ended.contains(&true) {
            let resets = self.autoreset_where(&ended)?;
            for (answer, reset) in answers.iter_mut().zip(resets) {
                if let Some(reset) = reset {
                    let last = answer.pop();
                    answer.extend(last.map(|last| last.with_reset(reset)));
                }
            }
        }
        Ok(answers)
    }

    /// Returns a picture of each env for people.
    ///
    /// # Errors
    /// Those of [`EnvBatch::render`].
    pub fn render(&mut self) -> Result<Vec<RgbImage>, EnvError> {
        self.batch.render()
    }

    /// Frees what the envs hold; calling it again does nothing.
    ///
    /// # Errors
    /// Those of [`EnvBatch::close`].
    pub fn close(&mut self) -> Result<(), EnvError> {
        self.batch.close()
    }

    fn check_chunks(&self, chunks: &[ActionChunk]) -> Result<(), EnvError> {
        check_count("action chunks", self.num_envs(), chunks.len())?;
        for (index, (chunk, stage)) in chunks.iter().zip(&self.stages).enumerate() {
            if chunk.is_empty() {
                continue;
            }
            check_chunk(self.spec(), chunk).map_err(in_batch(index))?;
            let when = match stage {
                Stage::New => "before the first reset",
                Stage::Over if self.autoreset == AutoresetMode::Disabled => "after the episode ended",
                Stage::Running | Stage::Over => continue,
            };
            let needed = EnvError::ResetNeeded {
                env: self.spec().name.clone(),
                call: "step",
                when,
            };
            return Err(in_batch(index)(needed));
        }
        Ok(())
    }

    /// Divides the envs that were given actions into those due for a reset and those to be stepped.
    fn divide(&self, chunks: &[ActionChunk]) -> (Vec<bool>, Vec<ActionChunk>) {
        let due: Vec<bool> = chunks
            .iter()
            .zip(&self.stages)
            .map(|(chunk, stage)| !chunk.is_empty() && *stage == Stage::Over)
            .collect();
        let running = chunks
            .iter()
            .zip(&due)
            .map(|(chunk, due)| if *due { ActionChunk::default() } else { chunk.clone() });
        let running = running.collect();
        (due, running)
    }

    fn autoreset_where(&mut self, due: &[bool]) -> Result<Vec<Option<(Observation, Info)>>, EnvError> {
        if !due.contains(&true) {
            return Ok(vec![None; due.len()]);
        }
        let start = |(due, task): (&bool, &Option<String>)| {
            due.then(|| EpisodeStart {
                seed: None,
                options: ResetOptions {
                    task: task.clone(),
                    initial: None,
                },
            })
        };
        let starts: Vec<_> = due.iter().zip(&self.tasks).map(start).collect();
        let answers = self.batch.reset(&starts)?;
        for (stage, _) in self.stages.iter_mut().zip(due).filter(|(_, due)| **due) {
            *stage = Stage::Running;
        }
        Ok(answers)
    }
}
