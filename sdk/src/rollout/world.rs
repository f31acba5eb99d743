//! The worlds that episodes can be played in.

use std::fmt;
use std::sync::Arc;

use worldloop_envs::learned::{LearnedBatch, LearnedConfig, LearnedEnv, LearnedTask, LearnedWorld};
use worldloop_envs::physics::{PhysicsConfig, PhysicsEnv, PhysicsTask};
use worldloop_envs::vector::{EnvBatch, ThreadedBatch};
use worldloop_envs::wrappers::{TimeLimit, WrapEnv};
use worldloop_envs::{Env, EnvError, Observation, ResetOptions};
use worldloop_world_model::WorldModel;
use worldloop_world_model::judge::Judge;

/// A world model and the judge that watches it.
#[derive(Clone)]
pub struct LearnedParts {
    /// Predicts the frames.
    pub model: Arc<dyn WorldModel>,
    /// Says whether they show success.
    pub judge: Arc<dyn Judge>,
    /// Tells these weights from others, for resumed runs.
    pub fingerprint: String,
}

impl fmt::Debug for LearnedParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LearnedParts")
            .field("model", self.model.spec())
            .finish_non_exhaustive()
    }
}

/// A world to play in.
#[derive(Debug, Clone)]
pub enum World {
    /// The reference simulator, with images of this side in pixels.
    Physics {
        /// Side of the camera image in pixels.
        image_size: u32,
    },
    /// A world model; episodes start where those of the reference simulator with the same seed start.
    Learned(LearnedParts),
}

impl World {
    /// Returns the name that appears in reports: `physics` or `learned`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Physics { .. } => "physics",
            Self::Learned(_) => "learned",
        }
    }

    /// Returns what tells the world model's weights from others; `None` where there are none.
    pub fn fingerprint(&self) -> Option<&str> {
        match self {
            Self::Physics { .. } => None,
            Self::Learned(parts) => Some(&parts.fingerprint),
        }
    }

    /// Makes one env for a task, with the task's time limit.
    ///
    /// # Errors
    /// [`EnvError::UnknownName`] for a task that does not exist, and those of the env.
    pub fn env(&self, task: &str) -> Result<Box<dyn Env>, EnvError> {
        let task = find_task(task)?;
        Ok(match self {
            Self::Physics { image_size } => {
                Box::new(physics(task, *image_size).wrap(TimeLimit::new(task.max_episode_steps()))?)
            }
            Self::Learned(parts) => Box::new(LearnedEnv::new(learned(parts, task)?)?),
        })
    }

    /// Makes `num_envs` envs for a task, each with the task's time limit.
    ///
    /// # Errors
    /// [`EnvError::UnknownName`] for a task that does not exist, and those of the env.
    pub fn batch(&self, task: &str, num_envs: usize) -> Result<Box<dyn EnvBatch>, EnvError> {
        match self {
            Self::Physics { .. } => {
                let envs = (0..num_envs).map(|_| self.env(task)).collect::<Result<Vec<_>, _>>()?;
                Ok(Box::new(ThreadedBatch::new(envs)?))
            }
            Self::Learned(parts) => Ok(Box::new(LearnedBatch::new(
                learned(parts, find_task(task)?)?,
                num_envs,
            )?)),
        }
    }
}

fn find_task(name: &str) -> Result<PhysicsTask, EnvError> {
    PhysicsTask::from_name(name).ok_or_else(|| EnvError::UnknownName {
        env: "worldloop".into(),
        what: "task",
        expected: PhysicsTask::ALL.map(PhysicsTask::name).join(", "),
        found: name.to_owned(),
    })
}

fn physics(task: PhysicsTask, image_size: u32) -> PhysicsEnv {
    PhysicsEnv::new(PhysicsConfig {
        image_size,
        ..PhysicsConfig::for_task(task)
    })
}

fn learned(parts: &LearnedParts, task: PhysicsTask) -> Result<LearnedWorld, EnvError> {
    let mut simulator = physics(task, parts.model.spec().width as u32);
    // The world model's action values are those of the simulator that recorded its training data.
    let action_space = simulator.spec().action_space.clone();
    let initial = move |seed: u64, task: &str| -> Result<Observation, EnvError> {
        let options = ResetOptions {
            task: Some(task.to_owned()),
            initial: None,
        };
        let (observation, _) = simulator.reset(Some(seed), &options)?;
        // The robot knows its own pose, so the model may too; where the objects are is the simulator's alone.
        Ok(Observation {
            privileged: Default::default(),
            ..observation
        })
    };
    let tasks = vec![LearnedTask {
        name: task.name().to_owned(),
        max_episode_steps: task.max_episode_steps(),
    }];
    let config = LearnedConfig {
        action_space: Some(action_space),
        time_limit: true,
        ..LearnedConfig::new(tasks)
    };
    LearnedWorld::new(parts.model.clone(), parts.judge.clone(), initial, config)
}
