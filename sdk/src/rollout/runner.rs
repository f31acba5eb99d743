//! `RolloutRunner`: many episodes in the slots of one batch.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Instant;

use rayon::prelude::*;
use worldloop_envs::vector::{EnvBatch, EpisodeStart};
use worldloop_envs::wrappers::RecordedEpisode;
use worldloop_envs::{Action, ActionChunk, EnvError, EnvSpec, Info, Observation, ResetOptions, Step};
use worldloop_policies::{Policy, PolicyError};

use super::error::RolloutError;
use super::request::{EpisodeRequest, PlayedEpisode, recorded};

/// What a runner tells while it plays.
#[derive(Debug)]
pub enum RolloutEvent {
    /// All episodes under way advanced.
    Advanced {
        /// Steps played since the last event, over all episodes.
        steps: usize,
    },
    /// An episode ended.
    Finished(Box<PlayedEpisode>),
}

/// Makes a policy of a name.
pub type PolicyFactory<'a> = dyn Fn(&str) -> Result<Box<dyn Policy>, PolicyError> + 'a;

/// Plays episodes in the envs of a batch; when one ends, the next one starts in its place.
#[derive(Debug)]
pub struct RolloutRunner<B> {
    batch: B,
}

/// An episode under way.
struct Slot {
    request: EpisodeRequest,
    policy: Box<dyn Policy>,
    episode: RecordedEpisode,
    started: Instant,
}

impl<B: EnvBatch> RolloutRunner<B> {
    /// Makes a runner; every env of the batch must end its own episodes (time limit included).
    pub fn new(batch: B) -> Self {
        Self { batch }
    }

    /// Plays all requests and tells `observer` what happens, until it breaks or an error comes.
    ///
    /// Episodes are handed over in the order in which they end.
    ///
    /// # Errors
    /// A [`RolloutError`] that names the episode, or whatever the observer returns.
    pub fn run<E: From<RolloutError>>(
        &mut self,
        requests: &[EpisodeRequest],
        policies: &PolicyFactory<'_>,
        mut observer: impl FnMut(RolloutEvent) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut waiting: VecDeque<&EpisodeRequest> = requests.iter().collect();
        let mut slots: Vec<Option<Slot>> = (0..self.batch.num_envs()).map(|_| None).collect();
        loop {
            self.fill(&mut slots, &mut waiting, policies)?;
            if slots.iter().all(Option::is_none) {
                return Ok(());
            }
            let steps = self.advance(&mut slots)?;
            let mut stop = observer(RolloutEvent::Advanced { steps })?.is_break();
            for slot in &mut slots {
                // Episodes that have ended are handed over even when the observer wants no more.
                let Some(over) = slot.take_if(|slot| slot.episode.is_complete()) else {
                    continue;
                };
                stop |= observer(RolloutEvent::Finished(Box::new(over.finish())))?.is_break();
            }
            if stop {
                return Ok(());
            }
        }
    }

    /// Starts waiting episodes in the empty slots.
    fn fill(
        &mut self,
        slots: &mut [Option<Slot>],
        waiting: &mut VecDeque<&EpisodeRequest>,
        policies: &PolicyFactory<'_>,
    ) -> Result<(), RolloutError> {
        let free = slots.iter().map(Option::is_none);
        let next: Vec<Option<&EpisodeRequest>> =
            free.map(|free| if free { waiting.pop_front() } else { None }).collect();
        if next.iter().all(Option::is_none) {
            return Ok(());
        }
        let start = |request: &EpisodeRequest| EpisodeStart {
            seed: Some(request.seed),
            options: ResetOptions::default(),
        };
        let starts: Vec<_> = next.iter().map(|request| request.map(start)).collect();
        let name = self.batch.spec().name.clone();
        let answers = self
            .batch
            .reset(&starts)
            .map_err(|error| blame(&name, error, |index| Some((next[index]?, 0))))?;
        let mut answers = answers.into_iter();
        for (slot, request) in slots.iter_mut().zip(&next) {
            let answer = answers.next().flatten();
            let Some(request) = request else { continue };
            let no_answer = || RolloutError::NoAnswer {
                env: name.clone(),
                call: "reset",
                seed: request.seed,
            };
            *slot = Some(Slot::start(
                request,
                self.batch.spec(),
                answer.ok_or_else(no_answer)?,
                policies,
            )?);
        }
        Ok(())
    }

    /// Lets every policy act once and steps all envs; returns the steps played.
    fn advance(&mut self, slots: &mut [Option<Slot>]) -> Result<usize, RolloutError> {
        let chunks: Vec<Result<ActionChunk, RolloutError>> = slots
            .par_iter_mut()
            .map(|slot| slot.as_mut().map_or_else(|| Ok(ActionChunk::default()), Slot::act))
            .collect();
        // Collected in two stages so that the first error by position is told, whatever the threads did.
        let chunks = chunks.into_iter().collect::<Result<Vec<_>, _>>()?;
        let name = self.batch.spec().name.clone();
        let episode = |index: usize| {
            slots[index]
                .as_ref()
                .map(|slot| (&slot.request, slot.episode.steps.len()))
        };
        let answers = self
            .batch
            .step_chunk(&chunks)
            .map_err(|error| blame(&name, error, episode))?;
        let mut total = 0;
        for ((slot, chunk), steps) in slots.iter_mut().zip(chunks).zip(answers) {
            let Some(slot) = slot else { continue };
            if steps.is_empty() {
                return Err(RolloutError::NoAnswer {
                    env: name,
                    call: "step_chunk",
                    seed: slot.request.seed,
                });
            }
            total += steps.len();
            slot.extend(chunk.0, steps);
        }
        Ok(total)
    }
}

impl Slot {
    fn start(
        request: &EpisodeRequest,
        spec: &EnvSpec,
        (first_observation, first_info): (Observation, Info),
        policies: &PolicyFactory<'_>,
    ) -> Result<Self, RolloutError> {
        let failed = |source| RolloutError::Policy {
            policy: request.policy.clone(),
            env: spec.name.clone(),
            seed: request.seed,
            step: 0,
            source: Box::new(source),
        };
        let mut policy = policies(&request.policy).map_err(failed)?;
        policy.reset(spec, request.seed).map_err(failed)?;
        let episode = RecordedEpisode {
            env: spec.name.clone(),
            task: spec.task.clone(),
            seed: Some(request.seed),
            first_observation,
            first_info,
            steps: Vec::new(),
        };
        Ok(Self {
            request: request.clone(),
            policy,
            episode,
            started: Instant::now(),
        })
    }

    fn act(&mut self) -> Result<ActionChunk, RolloutError> {
        let steps = &self.episode.steps;
        let observation = steps
            .last()
            .map_or(&self.episode.first_observation, |last| &last.step.observation);
        let chunk = self.policy.act(observation).map_err(|source| self.failed(source))?;
        if chunk.is_empty() {
            return Err(self.blamed(EnvError::EmptyChunk {
                env: self.episode.env.clone(),
            }));
        }
        Ok(chunk)
    }

    fn extend(&mut self, actions: Vec<Action>, steps: Vec<Step>) {
        self.episode.steps.extend(recorded(actions, steps));
    }

    fn finish(self) -> PlayedEpisode {
        PlayedEpisode {
            request: self.request,
            episode: self.episode,
            wall_secs: self.started.elapsed().as_secs_f64(),
        }
    }

    fn failed(&self, source: PolicyError) -> RolloutError {
        RolloutError::Policy {
            policy: self.request.policy.clone(),
            env: self.episode.env.clone(),
            seed: self.request.seed,
            step: self.episode.steps.len(),
            source: Box::new(source),
        }
    }

    fn blamed(&self, source: EnvError) -> RolloutError {
        blame_episode(&self.episode.env, (&self.request, self.episode.steps.len()), source)
    }
}

/// Says which episode an error of a batch belongs to.
fn blame<'a>(
    env: &str,
    error: EnvError,
    episode: impl FnOnce(usize) -> Option<(&'a EpisodeRequest, usize)>,
) -> RolloutError {
    let EnvError::InBatch { index, source } = error else {
        return RolloutError::Env(error);
    };
    match episode(index) {
        Some(episode) => blame_episode(env, episode, *source),
        None => RolloutError::Env(*source),
    }
}

fn blame_episode(env: &str, (request, step): (&EpisodeRequest, usize), source: EnvError) -> RolloutError {
    let source = Box::new(source);
    RolloutError::Episode {
        env: env.to_owned(),
        policy: request.policy.clone(),
        seed: request.seed,
        step,
        source,
    }
}
