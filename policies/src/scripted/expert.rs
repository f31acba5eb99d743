//! The expert as a policy.

use rand::RngExt;
use worldloop_envs::seeding::{self, Rng};
use worldloop_envs::{ActionChunk, EnvSpec, Observation};

use super::motion::{Pace, action_for};
use super::situation::Reader;
use super::{pick_and_place, push, reach};
use crate::error::PolicyError;
use crate::normal::standard_normal;
use crate::policy::Policy;
use crate::task::Task;

/// Stream of the seed that an expert's pace and noise are drawn from.
const STREAM: u64 = 0x6578_7072;
/// Number of values of a Bridge-style action.
const ACTION_SIZE: usize = 7;
/// Share of the noise that lasts from one step to the next.
const NOISE_MEMORY: f32 = 0.6;

/// Solves `reach`, `push` and `pick_and_place` from the privileged state, which only the physics world has.
///
/// It decides anew at each step and returns one action. Episodes differ in pace and carry a little smooth noise, so
/// that recordings show how to come back from small errors.
#[derive(Debug)]
pub struct ScriptedExpert {
    name: String,
    noise: f32,
    episode: Option<Episode>,
}

#[derive(Debug)]
struct Episode {
    spec: EnvSpec,
    pace: Pace,
    rng: Rng,
    drift: [f32; 3],
}

impl ScriptedExpert {
    /// Makes an expert with the usual noise.
    pub fn new() -> Self {
        Self {
            name: "expert".to_owned(),
            noise: 0.1,
            episode: None,
        }
    }

    /// Sets the standard deviation of the noise on each translation value, in action units.
    pub fn with_noise(mut self, noise: f32) -> Self {
        self.noise = noise;
        self
    }
}

impl Default for ScriptedExpert {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy for ScriptedExpert {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self, spec: &EnvSpec, seed: u64) -> Result<(), PolicyError> {
        if spec.action_space.len() != ACTION_SIZE {
            return Err(PolicyError::ActionSpace {
                policy: self.name.clone(),
                env: spec.name.clone(),
                expected: ACTION_SIZE,
                found: spec.action_space.len(),
                names: spec.action_space.names(),
            });
        }
        let mut rng = seeding::rng(seed, STREAM);
        let pace = Pace {
            speed: rng.random_range(0.8..=1.0),
            eagerness: rng.random_range(0.7..=0.9),
        };
        self.episode = Some(Episode {
            spec: spec.clone(),
            pace,
            rng,
            drift: [0.0; 3],
        });
        Ok(())
    }

    fn act(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError> {
        let Some(episode) = &mut self.episode else {
            return Err(PolicyError::not_reset(&self.name));
        };
        let task = Task::resolve(&self.name, &observation.instruction, &episode.spec)?;
        let reader = Reader {
            policy: &self.name,
            env: &episode.spec.name,
            observation,
        };
        let now = reader.situation()?;
        let motion = match task {
            Task::Reach => reach::plan(&now),
            Task::Push => push::plan(&now, &reader.block()?),
            Task::PickAndPlace => pick_and_place::plan(&now, &reader.block()?),
        };
        let space = &episode.spec.action_space;
        let mut action = action_for(&motion, &now, episode.pace, space);
        // Scaled so that the drift has the asked-for deviation in the long run.
        let fresh = self.noise * (1.0 - NOISE_MEMORY * NOISE_MEMORY).sqrt();
        for (value, drift) in action.0.iter_mut().zip(&mut episode.drift) {
            *drift = NOISE_MEMORY * *drift + fresh * standard_normal(&mut episode.rng);
            *value = (*value + *drift).clamp(-1.0, 1.0);
        }
        Ok(action.into())
    }
}

#[cfg(test)]
mod tests {
    use worldloop_envs::physics::{PhysicsConfig, PhysicsEnv, PhysicsTask};
    use worldloop_envs::{Env, ResetOptions};

    use super::*;
    use crate::fixtures::{blank_observation, spec};

    /// Plays episodes and returns how many succeeded, with the steps they took.
    fn play(task: PhysicsTask, noise: f32, seeds: std::ops::Range<u64>) -> (usize, usize) {
        let config = PhysicsConfig {
            image_size: 8,
            ..PhysicsConfig::for_task(task)
        };
        let mut env = PhysicsEnv::new(config);
        let mut expert = ScriptedExpert::new().with_noise(noise);
        let (mut successes, mut steps) = (0, 0);
        for seed in seeds {
            let (mut observation, _) = env.reset(Some(seed), &ResetOptions::default()).expect("a valid task");
            expert.reset(env.spec(), seed).expect("seven values");
            for _ in 0..env.spec().max_episode_steps {
                let action = expert.act(&observation).expect("privileged state").0.remove(0);
                let step = env.step(&action).expect("a valid action");
                steps += 1;
                observation = step.observation;
                if step.terminated {
                    successes += usize::from(step.info.success == Some(true));
                    break;
                }
            }
        }
        (successes, steps)
    }

    #[test]
    fn expert_succeeds_at_every_task_nearly_always() {
        for task in PhysicsTask::ALL {
            let (successes, steps) = play(task, 0.1, 0..60);
            println!("{}: {successes}/60, {} steps per episode", task.name(), steps / 60);
            assert!(successes >= 57, "{}: {successes}/60", task.name());
        }
    }

    #[test]
    fn expert_corrects_noise_three_times_the_usual() {
        for task in PhysicsTask::ALL {
            let (successes, _) = play(task, 0.3, 0..20);
            println!("{}: {successes}/20 with noise", task.name());
            assert!(successes >= 15, "{}: {successes}/20", task.name());
        }
    }

    #[test]
    fn same_seed_same_episode() {
        assert_eq!(play(PhysicsTask::Push, 0.3, 3..6), play(PhysicsTask::Push, 0.3, 3..6));
    }

    #[test]
    fn without_privileged_state_the_error_says_where_it_can_act() {
        let mut expert = ScriptedExpert::new();
        expert.reset(&spec("push"), 0).expect("seven values");
        let error = expert
            .act(&blank_observation())
            .expect_err("nothing to read")
            .to_string();
        assert!(
            error.contains("`gripper_opening`") && error.contains("physics world"),
            "{error}"
        );
    }

    #[test]
    fn other_tasks_and_action_spaces_are_refused() {
        let mut expert = ScriptedExpert::new();
        expert.reset(&spec("fold_towel"), 0).expect("seven values");
        assert!(matches!(
            expert.act(&blank_observation()),
            Err(PolicyError::UnknownTask { .. })
        ));
        let mut other = spec("reach");
        other.action_space.dimensions.pop();
        assert!(matches!(
            expert.reset(&other, 0),
            Err(PolicyError::ActionSpace { found: 6, .. })
        ));
    }
}
