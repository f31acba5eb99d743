//! A tiny env for the unit tests, which can be told to break the contract in one way.

use std::collections::BTreeMap;

use image::{Rgb, RgbImage};
use rand::RngExt;

use crate::action::{Action, ActionChunk};
use crate::env::{Env, EnvSpec, ResetOptions, check_action, check_chunk};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::seeding::{self, Rng};
use crate::space::{ContinuousSpace, Dimension, ImageSpace, ObservationSpace};
use crate::step::{Info, Step};

/// A way of breaking the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    StepsWithoutReset,
    StepsAfterTheEnd,
    IgnoresTheSeed,
    ForgetsTheSequence,
    ImageOfAnotherSize,
    ImageOfAnotherCamera,
    StateOutOfBounds,
    RewardNotFinite,
    MetricNotFinite,
    TakesWrongSizes,
    TakesNan,
    TakesEmptyChunks,
    BadChunkPartlyApplied,
    ChunkLosesAStep,
    ChunkDiffers,
    RefusesBeyondBounds,
    RenderAdvances,
    TakesUnknownTasks,
    SecondCloseFails,
    WorksWhenClosed,
    BoundsReversed,
}

impl Fault {
    pub(crate) const ALL: [Self; 21] = [
        Self::StepsWithoutReset,
        Self::StepsAfterTheEnd,
        Self::IgnoresTheSeed,
        Self::ForgetsTheSequence,
        Self::ImageOfAnotherSize,
        Self::ImageOfAnotherCamera,
        Self::StateOutOfBounds,
        Self::RewardNotFinite,
        Self::MetricNotFinite,
        Self::TakesWrongSizes,
        Self::TakesNan,
        Self::TakesEmptyChunks,
        Self::BadChunkPartlyApplied,
        Self::ChunkLosesAStep,
        Self::ChunkDiffers,
        Self::RefusesBeyondBounds,
        Self::RenderAdvances,
        Self::TakesUnknownTasks,
        Self::SecondCloseFails,
        Self::WorksWhenClosed,
        Self::BoundsReversed,
    ];
}

/// Adds up its actions from a start that the seed decides, and terminates after a number of steps.
#[derive(Debug)]
pub(crate) struct CountingEnv {
    spec: EnvSpec,
    fault: Option<Fault>,
    episode_steps: usize,
    rng: Rng,
    unrepeatable: u64,
    state: Option<(f32, usize)>,
    closed: bool,
    /// Number of `step_chunk` calls that reached this env.
    pub(crate) chunks: usize,
}

impl CountingEnv {
    pub(crate) fn new(episode_steps: usize) -> Self {
        let dimension = |name: &str, high: f32| Dimension {
            name: name.into(),
            unit: "m".into(),
            low: -high,
            high,
            scale: 0.5,
        };
        let spec = EnvSpec {
            name: "counting".into(),
            task: "count".into(),
            observation_space: ObservationSpace {
                images: vec![ImageSpace {
                    camera: "front".into(),
                    height: 2,
                    width: 3,
                }],
                proprioception: ContinuousSpace {
                    dimensions: vec![dimension("sum", 1000.0)],
                },
            },
            action_space: ContinuousSpace {
                dimensions: vec![dimension("add", 2.0), dimension("ignored", 4.0)],
            },
            control_rate_hz: 5.0,
            max_episode_steps: episode_steps,
            deterministic: true,
        };
        let rng = seeding::rng(0, 0);
        Self {
            spec,
            fault: None,
            episode_steps,
            rng,
            unrepeatable: 0,
            state: None,
            closed: false,
            chunks: 0,
        }
    }

    pub(crate) fn boxed(episode_steps: usize) -> Box<dyn Env> {
        Box::new(Self::new(episode_steps))
    }

    pub(crate) fn with_fault(fault: Fault) -> Self {
        let mut env = Self {
            fault: Some(fault),
            ..Self::new(7)
        };
        if fault == Fault::BoundsReversed {
            env.spec.action_space.dimensions[1].low = 9.0;
        }
        env
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn check_open(&self) -> Result<(), EnvError> {
        if self.closed && !self.has(Fault::WorksWhenClosed) {
            return Err(EnvError::Closed {
                env: self.spec.name.clone(),
            });
        }
        Ok(())
    }

    fn reset_needed(&self, call: &'static str) -> EnvError {
        EnvError::ResetNeeded {
            env: self.spec.name.clone(),
            call,
            when: "out of order",
        }
    }

    fn observation(&self, sum: f32) -> Observation {
        let width = if self.has(Fault::ImageOfAnotherSize) { 4 } else { 3 };
        let camera = if self.has(Fault::ImageOfAnotherCamera) {
            "back"
        } else {
            "front"
        };
        let image = RgbImage::from_pixel(width, 2, Rgb([(sum * 10.0) as i64 as u8; 3]));
        let offset = if self.has(Fault::StateOutOfBounds) { 5000.0 } else { 0.0 };
        Observation {
            images: BTreeMap::from([(camera.to_owned(), image)]),
            proprioception: vec![sum + offset],
            instruction: "count".into(),
            privileged: BTreeMap::new(),
        }
    }

    fn advance(&mut self, action: &Action) -> Result<Step, EnvError> {
        let over = self.episode_steps;
        let state = self
            .state
            .filter(|(_, steps)| *steps < over || self.has(Fault::StepsAfterTheEnd));
        let state = if self.has(Fault::StepsWithoutReset) {
            Some(self.state.unwrap_or_default())
        } else {
            state
        };
        let (sum, steps) = state.ok_or_else(|| self.reset_needed("step"))?;
        let (sum, steps) = (sum + action.0.first().copied().unwrap_or(0.0), steps + 1);
        self.state = Some((sum, steps));
        let metric = if self.has(Fault::MetricNotFinite) {
            f64::NAN
        } else {
            f64::from(sum)
        };
        Ok(Step {
            observation: self.observation(sum),
            reward: if self.has(Fault::RewardNotFinite) {
                f64::INFINITY
            } else {
                f64::from(sum)
            },
            terminated: steps >= over,
            truncated: false,
            info: Info {
                success: Some(steps == 3),
                metrics: BTreeMap::from([("sum".into(), metric)]),
            },
        })
    }

    fn is_refused(&self, action: &Action) -> Result<(), EnvError> {
        if self.has(Fault::RefusesBeyondBounds) && !self.spec.action_space.contains(&action.0) {
            return Err(EnvError::EmptyChunk {
                env: self.spec.name.clone(),
            });
        }
        match check_action(&self.spec, action) {
            Err(EnvError::ActionSize { .. }) if self.has(Fault::TakesWrongSizes) => Ok(()),
            Err(EnvError::ActionNotFinite { .. }) if self.has(Fault::TakesNan) => Ok(()),
            checked => checked,
        }
    }
}

impl Env for CountingEnv {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, seed: Option<u64>, options: &ResetOptions) -> Result<(Observation, Info), EnvError> {
        self.check_open()?;
        if let Some(found) = options
            .task
            .clone()
            .filter(|task| task != "count" && !self.has(Fault::TakesUnknownTasks))
        {
            let (env, expected) = (self.spec.name.clone(), "count".into());
            return Err(EnvError::UnknownName {
                env,
                what: "task",
                expected,
                found,
            });
        }
        self.unrepeatable += 1;
        let repeatable = if seed.is_some() {
            Fault::IgnoresTheSeed
        } else {
            Fault::ForgetsTheSequence
        };
        if self.has(repeatable) {
            self.rng = seeding::rng(self.unrepeatable, 1);
        } else if let Some(seed) = seed {
            self.rng = seeding::rng(seed, 0);
        }
        let sum = self.rng.random_range(0.0..10.0);
        self.state = Some((sum, 0));
        Ok((self.observation(sum), Info::default()))
    }

    fn step(&mut self, action: &Action) -> Result<Step, EnvError> {
        self.check_open()?;
        self.is_refused(action)?;
        self.advance(action)
    }

    fn step_chunk(&mut self, actions: &ActionChunk) -> Result<Vec<Step>, EnvError> {
        self.check_open()?;
        self.chunks += 1;
        if actions.is_empty() && self.has(Fault::TakesEmptyChunks) {
            return Ok(Vec::new());
        }
        if actions.is_empty() {
            check_chunk(&self.spec, actions)?;
        }
        if !self.has(Fault::BadChunkPartlyApplied) {
            actions.0.iter().try_for_each(|action| self.is_refused(action))?;
        }
        let mut steps = Vec::new();
        for action in &actions.0 {
            self.is_refused(action)?;
            steps.push(self.advance(action)?);
            if self.has(Fault::ChunkDiffers)
                && let Some(step) = steps.last_mut()
            {
                step.reward += 0.25;
            }
            if steps.last().is_some_and(Step::is_last) {
                break;
            }
        }
        if self.has(Fault::ChunkLosesAStep) && steps.len() > 1 {
            steps.remove(0);
        }
        Ok(steps)
    }

    fn render(&mut self) -> Result<RgbImage, EnvError> {
        self.check_open()?;
        let (sum, steps) = self.state.ok_or_else(|| self.reset_needed("render"))?;
        if self.has(Fault::RenderAdvances) {
            self.state = Some((sum + 1.0, steps));
        }
        Ok(self.observation(sum).images.into_values().next().unwrap_or_default())
    }

    fn close(&mut self) -> Result<(), EnvError> {
        if self.closed && self.has(Fault::SecondCloseFails) {
            return Err(EnvError::Closed {
                env: self.spec.name.clone(),
            });
        }
        self.closed = true;
        Ok(())
    }
}
