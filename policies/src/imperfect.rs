//! A policy made worse on purpose.

use std::collections::VecDeque;

use rand::RngExt;
use serde::{Deserialize, Serialize};
use worldloop_envs::seeding::{self, Rng};
use worldloop_envs::{Action, ActionChunk, ContinuousSpace, EnvSpec, Observation};

use crate::error::PolicyError;
use crate::normal::standard_normal;
use crate::policy::Policy;

/// Stream of the seed that the imperfections are drawn from.
const STREAM: u64 = 0x696d_7066;

/// What is wrong with a policy.
///
/// Noise and bias act on the first three values, the translation; the last value is the gripper.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Imperfections {
    /// Standard deviation of the noise on each translation value, in action units (1 is the largest step).
    pub noise: f32,
    /// Offset of the translation values, in action units.
    pub bias: [f32; 3],
    /// Steps between deciding and acting; until the first decision arrives the gripper stands still.
    pub delay: usize,
    /// Probability that the gripper never closes in an episode.
    pub gripper_failure: f32,
}

/// Adds imperfections to the actions of another policy.
#[derive(Debug)]
pub struct ImperfectPolicy<P> {
    name: String,
    inner: P,
    imperfections: Imperfections,
    episode: Option<Episode>,
}

#[derive(Debug)]
struct Episode {
    space: ContinuousSpace,
    rng: Rng,
    stuck_open: bool,
    pending: VecDeque<Action>,
    started: bool,
}

impl<P: Policy> ImperfectPolicy<P> {
    /// Wraps a policy under a new name.
    pub fn new(name: impl Into<String>, inner: P, imperfections: Imperfections) -> Self {
        Self {
            name: name.into(),
            inner,
            imperfections,
            episode: None,
        }
    }
}

impl<P: Policy> Policy for ImperfectPolicy<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self, spec: &EnvSpec, seed: u64) -> Result<(), PolicyError> {
        self.inner.reset(spec, seed)?;
        let mut rng = seeding::rng(seed, STREAM);
        let stuck_open = rng.random::<f32>() < self.imperfections.gripper_failure;
        let space = spec.action_space.clone();
        self.episode = Some(Episode {
            space,
            rng,
            stuck_open,
            pending: VecDeque::new(),
            started: false,
        });
        Ok(())
    }

    fn act(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError> {
        let Some(episode) = &mut self.episode else {
            return Err(PolicyError::not_reset(&self.name));
        };
        let chunk = self.inner.act(observation)?;
        let imperfections = &self.imperfections;
        Ok(chunk
            .0
            .into_iter()
            .map(|action| episode.spoil(action, imperfections))
            .collect())
    }
}

impl Episode {
    /// Takes in a decision and returns the action for the present step.
    fn spoil(&mut self, decision: Action, imperfections: &Imperfections) -> Action {
        if !self.started {
            self.started = true;
            let waiting = still(&decision);
            self.pending.extend(std::iter::repeat_n(waiting, imperfections.delay));
        }
        self.pending.push_back(decision.clone());
        let mut action = self.pending.pop_front().unwrap_or(decision);
        for (value, bias) in action.0.iter_mut().zip(imperfections.bias) {
            *value += bias + imperfections.noise * standard_normal(&mut self.rng);
        }
        if self.stuck_open
            && let (Some(gripper), Some(dimension)) = (action.0.last_mut(), self.space.dimensions.last())
        {
            *gripper = dimension.high;
        }
        for (value, dimension) in action.0.iter_mut().zip(&self.space.dimensions) {
            *value = value.clamp(dimension.low, dimension.high);
        }
        action
    }
}

/// The action that moves nothing and leaves the gripper as decided.
fn still(decision: &Action) -> Action {
    let mut action = Action(vec![0.0; decision.len()]);
    if let (Some(gripper), Some(decided)) = (action.0.last_mut(), decision.0.last()) {
        *gripper = *decided;
    }
    action
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{blank_observation, spec};
    use crate::replay::ReplayPolicy;

    fn play(imperfections: Imperfections, seed: u64) -> Vec<Action> {
        let actions = (1..=8).map(|index| Action(vec![index as f32 / 10.0; 7])).collect();
        let inner = ReplayPolicy::new("replay", actions).with_chunk_length(2);
        let mut policy = ImperfectPolicy::new("worse", inner, imperfections);
        policy.reset(&spec("reach"), seed).expect("fits");
        (0..4)
            .flat_map(|_| policy.act(&blank_observation()).expect("actions").0)
            .collect()
    }

    #[test]
    fn no_imperfection_changes_nothing() {
        let actions = play(Imperfections::default(), 5);
        assert_eq!(actions[3], Action(vec![0.4; 7]));
        assert_eq!(actions.len(), 8);
    }

    #[test]
    fn same_seed_same_noise() {
        let noisy = Imperfections {
            noise: 0.2,
            ..Imperfections::default()
        };
        assert_eq!(play(noisy, 5), play(noisy, 5));
        assert_ne!(play(noisy, 5), play(noisy, 6));
        // Only the translation is noisy.
        assert!(
            play(noisy, 5)
                .iter()
                .zip(play(Imperfections::default(), 5))
                .all(|(a, b)| a.0[3..] == b.0[3..])
        );
    }

    #[test]
    fn delay_shifts_the_actions() {
        let late = play(
            Imperfections {
                delay: 3,
                ..Imperfections::default()
            },
            5,
        );
        let prompt = play(Imperfections::default(), 5);
        assert_eq!(late[3..], prompt[..5]);
        assert_eq!(late[0].0, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1]);
    }

    #[test]
    fn spoiled_actions_stay_in_the_action_space() {
        let imperfections = Imperfections {
            noise: 3.0,
            bias: [1.0, -1.0, 0.0],
            ..Imperfections::default()
        };
        assert!(
            play(imperfections, 1)
                .iter()
                .all(|action| spec("reach").action_space.contains(&action.0))
        );
    }

    #[test]
    fn stuck_gripper_stays_open() {
        let actions = play(
            Imperfections {
                gripper_failure: 1.0,
                ..Imperfections::default()
            },
            5,
        );
        assert!(actions.iter().all(|action| action.0[6] == 1.0));
    }
}
