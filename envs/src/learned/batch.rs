//! Many episodes in a learned world, advanced with one model call for all.

use image::{RgbImage, imageops};
use rand::RngExt;
use worldloop_world_model::judge::JudgeRequest;
use worldloop_world_model::{Frame, WorldModelSpec};

use super::episode::Episode;
use super::frame_image::image_from_frame;
use super::snapshot::EnvSnapshot;
use super::world::LearnedWorld;
use crate::action::ActionChunk;
use crate::env::{EnvSpec, ResetOptions, check_chunk};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::seeding::{self, Rng};
use crate::step::{Info, Step};
use crate::vector::{EnvBatch, EpisodeStart, check_count, in_batch};

/// Random stream of the seeds of episodes that were given none.
const SEED_STREAM: u64 = 3;

/// Envs of one learned world.
///
/// All envs that were given actions advance with one model call per chunk and one judge call. An env answers exactly
/// as it would alone. A call that fails leaves every env as it was.
#[derive(Debug)]
pub struct LearnedBatch {
    world: LearnedWorld,
    spec: EnvSpec,
    lanes: Vec<Lane>,
    closed: bool,
}

/// One env of the batch.
#[derive(Debug, Clone)]
struct Lane {
    episode: Option<Episode>,
    seeds: Rng,
}

impl LearnedBatch {
    /// Makes `num_envs` envs of a world.
    ///
    /// # Errors
    /// [`EnvError::NoEnvs`] if there are none.
    pub fn new(world: LearnedWorld, num_envs: usize) -> Result<Self, EnvError> {
        if num_envs == 0 {
            return Err(EnvError::NoEnvs);
        }
        let spec = world.env_spec(world.task(None)?);
        let lanes = (0..num_envs as u64).map(|index| Lane {
            episode: None,
            seeds: seeding::rng(index, SEED_STREAM),
        });
        Ok(Self {
            spec,
            lanes: lanes.collect(),
            world,
            closed: false,
        })
    }

    /// Returns the world that all envs share.
    pub fn world(&self) -> &LearnedWorld {
        &self.world
    }

    /// Returns everything that decides how one env goes on.
    ///
    /// # Errors
    /// [`EnvError::UnknownName`] if there is no such env, [`EnvError::Closed`] after `close`.
    pub fn snapshot(&self, index: usize) -> Result<EnvSnapshot, EnvError> {
        self.check_open()?;
        let Lane { episode, seeds } = self.lanes.get(index).ok_or_else(|| self.no_such_env(index))?.clone();
        Ok(EnvSnapshot {
            model: self.world.model.spec().clone(),
            episode,
            seeds,
        })
    }

    /// Puts one env where the snapshot was taken, be it from this env or another one of the same world.
    ///
    /// # Errors
    /// [`EnvError::ForeignSnapshot`] if it was taken with another model, [`EnvError::UnknownName`] if there is no such
    /// env, [`EnvError::Closed`] after `close`.
    pub fn restore(&mut self, index: usize, snapshot: &EnvSnapshot) -> Result<(), EnvError> {
        self.check_open()?;
        let model = self.world.model.spec();
        if snapshot.model != *model {
            let shown = |spec: &WorldModelSpec| {
                let WorldModelSpec {
                    name,
                    width,
                    height,
                    chunk_length,
                    ..
                } = spec;
                format!("model `{name}`, {width}x{height}, chunks of {chunk_length}")
            };
            let (env, found) = (format!("{} ({})", self.spec.name, shown(model)), shown(&snapshot.model));
            return Err(EnvError::ForeignSnapshot { env, found });
        }
        if index >= self.lanes.len() {
            return Err(self.no_such_env(index));
        }
        self.lanes[index] = Lane {
            episode: snapshot.episode.clone(),
            seeds: snapshot.seeds.clone(),
        };
        self.name_task();
        Ok(())
    }

    fn no_such_env(&self, index: usize) -> EnvError {
        EnvError::UnknownName {
            env: self.spec.name.clone(),
            what: "env of the batch",
            expected: format!("0 to {}", self.lanes.len() - 1),
            found: index.to_string(),
        }
    }

    fn check_open(&self) -> Result<(), EnvError> {
        if self.closed {
            Err(EnvError::Closed {
                env: self.spec.name.clone(),
            })
        } else {
            Ok(())
        }
    }

    fn name_task(&mut self) {
        if let Some(episode) = &self.lanes[0].episode {
            self.spec = self.world.env_spec(&episode.task);
        }
    }

    /// Starts an episode without its first judgement.
    fn start(&self, lane: &mut Lane, start: &EpisodeStart) -> Result<Episode, EnvError> {
        if let Some(seed) = start.seed {
            lane.seeds = seeding::rng(seed, SEED_STREAM);
        }
        let seed = start.seed.unwrap_or_else(|| lane.seeds.random());
        let ResetOptions { task, initial } = &start.options;
        let task = self.world.task(task.as_deref())?;
        let drawn;
        let observation = match initial {
            Some(observation) => observation,
            None => {
                drawn = self.world.initial(seed, &task.name)?;
                &drawn
            }
        };
        let context = self.world.context(observation)?;
        let latest: Vec<Frame> = context.iter().filter_map(|frames| frames.last().cloned()).collect();
        let state = self.world.model.start(context, &observation.proprioception, seed)?;
        let instruction = observation.instruction.clone();
        Ok(Episode::new(task, instruction, state, latest, self.world.judge_camera))
    }

    /// Checks the chunks and copies the episodes that are to advance.
    fn episodes_to_advance(&self, chunks: &[ActionChunk]) -> Result<Vec<Option<Episode>>, EnvError> {
        self.check_open()?;
        check_count("action chunks", self.lanes.len(), chunks.len())?;
        let needed = |when| EnvError::ResetNeeded {
            env: self.spec.name.clone(),
            call: "step",
            when,
        };
        let episode = |(index, (lane, chunk)): (usize, (&Lane, &ActionChunk))| {
            if chunk.is_empty() {
                return Ok(None);
            }
            let copy = || {
                check_chunk(&self.spec, chunk)?;
                let episode = lane.episode.as_ref().ok_or_else(|| needed("before the first reset"))?;
                if episode.over {
                    Err(needed("after the episode ended"))
                } else {
                    Ok(Some(episode.clone()))
                }
            };
            copy().map_err(in_batch(index))
        };
        self.lanes.iter().zip(chunks).enumerate().map(episode).collect()
    }

    /// Advances each of the jobs up to its next chunk boundary: one model call, one judge call.
    fn advance(&self, jobs: &mut [Job<'_>]) -> Result<(), EnvError> {
        let requests: Vec<_> = jobs.iter().map(|job| job.episode.request()).collect();
        let predictions = self.world.predict(&requests)?;
        let mut to_judge: Vec<JudgeRequest<'_>> = Vec::new();
        for (job, prediction) in jobs.iter().zip(&predictions) {
            let frames = &prediction.frames[self.world.judge_camera];
            let new = frames
                .iter()
                .zip(&prediction.gripper_poses)
                .skip(frames.len() - job.length);
            to_judge.extend(new.map(|(frame, pose)| job.episode.judge_request(frame, *pose)));
        }
        let judgements = self.world.judge(&to_judge)?;
        let mut rest = judgements.as_slice();
        for (job, prediction) in jobs.iter_mut().zip(predictions) {
            let (own, others) = rest.split_at(job.length);
            rest = others;
            let steps = job
                .episode
                .advance(&self.world, prediction, own)
                .map_err(in_batch(job.index))?;
            job.steps.extend(steps);
        }
        Ok(())
    }
}

/// An env's share of one model call.
struct Job<'a> {
    index: usize,
    episode: &'a mut Episode,
    steps: &'a mut Vec<Step>,
    /// Actions that the call answers anew.
    length: usize,
}

impl EnvBatch for LearnedBatch {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn num_envs(&self) -> usize {
        self.lanes.len()
    }

    fn reset(&mut self, starts: &[Option<EpisodeStart>]) -> Result<Vec<Option<(Observation, Info)>>, EnvError> {
        self.check_open()?;
        check_count("episode starts", self.lanes.len(), starts.len())?;
        let mut started = Vec::new();
        for (index, start) in starts.iter().enumerate() {
            if let Some(start) = start {
                let mut lane = self.lanes[index].clone();
                lane.episode = Some(self.start(&mut lane, start).map_err(in_batch(index))?);
                started.push((index, lane));
            }
        }
        let episodes = started.iter().filter_map(|(_, lane)| lane.episode.as_ref());
        let requests: Vec<_> = episodes.map(Episode::first_judge_request).collect();
        let judgements = if requests.is_empty() {
            Vec::new()
        } else {
            self.world.judge(&requests)?
        };
        let mut answers = vec![None; starts.len()];
        for ((index, lane), judgement) in started.iter_mut().zip(judgements) {
            if let Some(episode) = &mut lane.episode {
                answers[*index] = Some(episode.begin(&self.world, judgement).map_err(in_batch(*index))?);
            }
        }
        for (index, lane) in started {
            self.lanes[index] = lane;
        }
        self.name_task();
        Ok(answers)
    }

    fn step_chunk(&mut self, chunks: &[ActionChunk]) -> Result<Vec<Vec<Step>>, EnvError> {
        let mut episodes = self.episodes_to_advance(chunks)?;
        let mut answers: Vec<Vec<Step>> = vec![Vec::new(); chunks.len()];
        loop {
            let mut jobs = Vec::new();
            let lanes = episodes.iter_mut().zip(&mut answers).zip(chunks).enumerate();
            for (index, ((episode, steps), chunk)) in lanes {
                let Some(episode) = episode.as_mut().filter(|episode| !episode.over) else {
                    continue;
                };
                let rest = &chunk.0[steps.len()..];
                let length = episode.next_length(&self.world, rest.len());
                if length > 0 {
                    episode.take_actions(&rest[..length]);
                    jobs.push(Job {
                        index,
                        episode,
                        steps,
                        length,
                    });
                }
            }
            if jobs.is_empty() {
                break;
            }
            self.advance(&mut jobs)?;
        }
        for (lane, episode) in self.lanes.iter_mut().zip(episodes) {
            lane.episode = episode.or(lane.episode.take());
        }
        Ok(answers)
    }

    fn render(&mut self) -> Result<Vec<RgbImage>, EnvError> {
        self.check_open()?;
        let picture = |(index, lane): (usize, &Lane)| {
            let env = || self.spec.name.clone();
            let needed = || EnvError::ResetNeeded {
                env: env(),
                call: "render",
                when: "before the first reset",
            };
            lane.episode
                .as_ref()
                .map(side_by_side)
                .ok_or_else(needed)
                .map_err(in_batch(index))
        };
        self.lanes.iter().enumerate().map(picture).collect()
    }

    fn close(&mut self) -> Result<(), EnvError> {
        self.closed = true;
        self.lanes.iter_mut().for_each(|lane| lane.episode = None);
        Ok(())
    }
}

fn side_by_side(episode: &Episode) -> RgbImage {
    let images: Vec<RgbImage> = episode.latest().iter().map(image_from_frame).collect();
    let width = images.iter().map(RgbImage::width).sum();
    let height = images.iter().map(RgbImage::height).max().unwrap_or(0);
    let mut picture = RgbImage::new(width, height);
    let mut left = 0;
    for image in &images {
        imageops::replace(&mut picture, image, left, 0);
        left += i64::from(image.width());
    }
    picture
}
