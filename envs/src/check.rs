//! The contract as assertions: what every env and every wrapper must do.

use std::fmt;

use crate::action::{Action, ActionChunk};
use crate::env::{Env, EnvSpec, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::seeding;
use crate::step::{Info, Step};

/// Random stream of the actions that the checker plays.
const ACTIONS: u64 = 0xC4EC;
/// Lengths of the chunks in which the checker repeats an episode.
const RAGGED: [usize; 5] = [3, 1, 5, 2, 9];

/// How thoroughly to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckOptions {
    /// Most steps of the episodes that are played.
    pub max_steps: usize,
    /// Whether `step_chunk` must give exactly what `step` gives. A world model that looks at all actions of a chunk
    /// at once may answer differently when it learns of them one by one: set this to `false` for such a world.
    pub exact_chunks: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self {
            max_steps: 48,
            exact_chunks: true,
        }
    }
}

/// One way in which an env breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule, as a sentence.
    pub rule: &'static str,
    /// What the env did instead.
    pub found: String,
}

/// Every way in which an env was found to break the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractViolations {
    /// Name of the env.
    pub env: String,
    /// What was found, in the order of checking.
    pub violations: Vec<Violation>,
}

impl fmt::Display for ContractViolations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` breaks {} rule(s) of the env contract:",
            self.env,
            self.violations.len()
        )?;
        self.violations
            .iter()
            .try_for_each(|violation| write!(f, "\n- {}: {}", violation.rule, violation.found))
    }
}

impl std::error::Error for ContractViolations {}

/// Checks that an env obeys the contract, with the default options.
///
/// Pass an env that has not been reset yet; it is closed at the end.
///
/// # Errors
/// [`ContractViolations`] with everything that was found.
pub fn check_env(env: &mut dyn Env, seed: u64) -> Result<(), ContractViolations> {
    check_env_with(env, seed, CheckOptions::default())
}

/// Checks that an env obeys the contract.
///
/// Pass an env that has not been reset yet; it is closed at the end.
///
/// # Errors
/// [`ContractViolations`] with everything that was found.
pub fn check_env_with(env: &mut dyn Env, seed: u64, options: CheckOptions) -> Result<(), ContractViolations> {
    let spec = env.spec().clone();
    let mut checker = Checker {
        env,
        seed,
        options,
        spec,
        actions: Vec::new(),
        violations: Vec::new(),
    };
    checker.check_spec();
    // Without sound spaces there are no actions to play.
    if checker.violations.is_empty() {
        let mut rng = seeding::rng(seed, ACTIONS);
        let space = &checker.spec.action_space;
        checker.actions = (0..options.max_steps.max(2)).map(|_| space.sample(&mut rng)).collect();
        checker.check();
    }
    let Checker { spec, violations, .. } = checker;
    if violations.is_empty() {
        Ok(())
    } else {
        Err(ContractViolations {
            env: spec.name,
            violations,
        })
    }
}

/// What one episode looked like from outside.
struct Played {
    first: (Observation, Info),
    steps: Vec<Step>,
}

impl Played {
    fn is_over(&self) -> bool {
        self.steps.last().is_some_and(Step::is_last)
    }
}

struct Checker<'a> {
    env: &'a mut dyn Env,
    seed: u64,
    options: CheckOptions,
    spec: EnvSpec,
    actions: Vec<Action>,
    violations: Vec<Violation>,
}

impl Checker<'_> {
    fn check(&mut self) {
        self.check_order_before_reset();
        if let Some(baseline) = self.play() {
            self.check_after_last(&baseline);
            self.check_episode(&baseline);
            self.check_determinism(&baseline);
            self.check_unseeded_sequence();
            self.check_chunks(&baseline);
            self.check_bad_actions(&baseline);
            self.check_out_of_bounds();
            self.check_options();
            self.check_render(&baseline);
        }
        self.check_close();
    }

    fn rule(&mut self, rule: &'static str, holds: bool, found: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation { rule, found: found() });
        }
    }

    fn check_spec(&mut self) {
        let spec = self.spec.clone();
        self.rule("the spec has a name", !spec.name.is_empty(), || "an empty name".into());
        let rate = spec.control_rate_hz;
        self.rule("the control rate is positive", rate.is_finite() && rate > 0.0, || {
            rate.to_string()
        });
        self.rule("an episode has at least one step", spec.max_episode_steps > 0, || {
            "max_episode_steps is 0".into()
        });
        self.rule("the action space has dimensions", !spec.action_space.is_empty(), || {
            "none".into()
        });
        for dimension in spec
            .action_space
            .dimensions
            .iter()
            .chain(&spec.observation_space.proprioception.dimensions)
        {
            let ordered = dimension.low.is_finite() && dimension.high.is_finite() && dimension.low <= dimension.high;
            self.rule("bounds are finite and ordered", ordered, || format!("{dimension:?}"));
            let scaled = dimension.scale.is_finite() && dimension.scale != 0.0;
            self.rule("the scale of a dimension is finite and not 0", scaled, || {
                format!("{dimension:?}")
            });
        }
        for (index, image) in spec.observation_space.images.iter().enumerate() {
            self.rule("images have pixels", image.height > 0 && image.width > 0, || {
                format!("{image:?}")
            });
            let first = spec
                .observation_space
                .images
                .iter()
                .position(|other| other.camera == image.camera);
            self.rule("camera names are unique", first == Some(index), || {
                format!("`{}` twice", image.camera)
            });
        }
    }

    fn check_order_before_reset(&mut self) {
        const RULE: &str = "a reset is needed before the first step";
        let action = self.actions[0].clone();
        let answer = self.env.step(&action).map(drop);
        self.rule(RULE, is_reset_needed(&answer), || format!("step: {answer:?}"));
        let answer = self.env.step_chunk(&action.into()).map(drop);
        self.rule(RULE, is_reset_needed(&answer), || format!("step_chunk: {answer:?}"));
        let answer = self.env.render().map(drop);
        self.rule(RULE, is_reset_needed(&answer), || format!("render: {answer:?}"));
    }

    /// Plays the checker's actions from the checker's seed, one step at a time.
    fn play(&mut self) -> Option<Played> {
        let first = self.reset(Some(self.seed))?;
        let mut steps = Vec::new();
        for index in 0..self.actions.len() {
            let answer = self.env.step(&self.actions[index]);
            let step = self.expect_ok("a valid action is answered", answer)?;
            let last = step.is_last();
            steps.push(step);
            if last {
                break;
            }
        }
        Some(Played { first, steps })
    }

    fn reset(&mut self, seed: Option<u64>) -> Option<(Observation, Info)> {
        let answer = self.env.reset(seed, &ResetOptions::default());
        self.expect_ok("reset works with and without a seed, at any time", answer)
    }

    fn expect_ok<T>(&mut self, rule: &'static str, answer: Result<T, EnvError>) -> Option<T> {
        answer
            .map_err(|error| {
                self.violations.push(Violation {
                    rule,
                    found: error.to_string(),
                })
            })
            .ok()
    }

    fn check_after_last(&mut self, played: &Played) {
        const RULE: &str = "a reset is needed after a step that was last";
        if !played.is_over() {
            return;
        }
        let action = self.actions[0].clone();
        let answer = self.env.step(&action).map(drop);
        self.rule(RULE, is_reset_needed(&answer), || format!("step: {answer:?}"));
        let answer = self.env.step_chunk(&action.into()).map(drop);
        self.rule(RULE, is_reset_needed(&answer), || format!("step_chunk: {answer:?}"));
    }

    fn check_episode(&mut self, played: &Played) {
        self.check_answer(&played.first.0, &played.first.1, "reset");
        for (index, step) in played.steps.iter().enumerate() {
            let place = format!("step {index}");
            self.check_answer(&step.observation, &step.info, &place);
            self.rule("the reward is finite", step.reward.is_finite(), || {
                format!("{place}: {}", step.reward)
            });
        }
    }

    fn check_answer(&mut self, observation: &Observation, info: &Info, place: &str) {
        let mismatch = self.spec.observation_space.mismatch(observation);
        self.rule("observations are in the observation space", mismatch.is_none(), || {
            format!("{place}: {}", mismatch.unwrap_or_default())
        });
        let bad = info.metrics.iter().find(|(_, value)| !value.is_finite());
        self.rule("metrics are finite", bad.is_none(), || format!("{place}: {bad:?}"));
        let bad = observation
            .privileged
            .iter()
            .find(|(_, values)| values.iter().any(|value| !value.is_finite()));
        self.rule("privileged values are finite", bad.is_none(), || {
            format!("{place}: {bad:?}")
        });
    }

    fn check_determinism(&mut self, baseline: &Played) {
        if !self.spec.deterministic {
            return;
        }
        if let Some(again) = self.play() {
            let difference = first_difference(baseline, &again);
            self.rule(
                "the same seed and actions give the same episode",
                difference.is_none(),
                || difference.unwrap_or_default(),
            );
        }
    }

    fn check_unseeded_sequence(&mut self) {
        let sequence = |checker: &mut Self| {
            [Some(checker.seed), None, None].map(|seed| checker.reset(seed).map(|(observation, _)| observation))
        };
        let (first, second) = (sequence(self), sequence(self));
        let agree = !self.spec.deterministic || first == second;
        self.rule(
            "resets without a seed continue the sequence of the last seed",
            agree,
            || "another one".into(),
        );
    }

    fn check_chunks(&mut self, baseline: &Played) {
        let Some(chunked) = self.play_ragged() else { return };
        self.check_episode(&chunked);
        if self.spec.deterministic && self.options.exact_chunks {
            let difference = first_difference(baseline, &chunked);
            self.rule("step_chunk gives what single steps give", difference.is_none(), || {
                difference.unwrap_or_default()
            });
        } else if self.spec.deterministic
            && let Some(again) = self.play_ragged()
        {
            let difference = first_difference(&chunked, &again);
            self.rule("the same chunks give the same episode", difference.is_none(), || {
                difference.unwrap_or_default()
            });
        }
    }

    fn play_ragged(&mut self) -> Option<Played> {
        let first = self.reset(Some(self.seed))?;
        let mut steps: Vec<Step> = Vec::new();
        let mut lengths = RAGGED.iter().cycle();
        let mut rest = self.actions.clone();
        while !rest.is_empty() {
            let length = lengths.next().map_or(1, |length| *length).min(rest.len());
            let chunk: ActionChunk = rest.drain(..length).collect();
            let answer = self.env.step_chunk(&chunk);
            let answer = self.expect_ok("a valid chunk is answered", answer)?;
            let over = answer.last().is_some_and(Step::is_last);
            let counted = if over {
                (1..=length).contains(&answer.len())
            } else {
                answer.len() == length
            };
            self.rule(
                "a chunk gives one step per action, or stops after the last step",
                counted,
                || format!("{} steps for {length} actions", answer.len()),
            );
            let early = answer.iter().rev().skip(1).any(Step::is_last);
            self.rule("nothing follows a step that was last", !early, || {
                "steps after it in the same chunk".into()
            });
            steps.extend(answer);
            if over || !counted {
                break;
            }
        }
        Some(Played { first, steps })
    }

    fn check_bad_actions(&mut self, baseline: &Played) {
        if self.reset(Some(self.seed)).is_none() {
            return;
        }
        let good = self.actions[0].clone();
        let mut long = good.clone();
        long.0.push(0.0);
        let short = Action(good.0[1..].to_vec());
        for action in [short, long] {
            let answer = self.env.step(&action).map(drop);
            let refused = matches!(answer, Err(EnvError::ActionSize { .. }));
            self.rule("an action of the wrong size is an error", refused, || {
                format!("{answer:?}")
            });
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut bad = good.clone();
            if let Some(last) = bad.0.last_mut() {
                *last = value;
            }
            let chunk = ActionChunk(vec![good.clone(), bad.clone()]);
            for answer in [self.env.step(&bad).map(drop), self.env.step_chunk(&chunk).map(drop)] {
                let refused = matches!(answer, Err(EnvError::ActionNotFinite { .. }));
                self.rule("an action that is not finite is an error", refused, || {
                    format!("{value}: {answer:?}")
                });
            }
        }
        let answer = self.env.step_chunk(&ActionChunk::default()).map(drop);
        let refused = matches!(answer, Err(EnvError::EmptyChunk { .. }));
        self.rule("an empty chunk is an error", refused, || format!("{answer:?}"));
        let answer = self.env.step(&good);
        if let Some(step) = self.expect_ok("a refused action leaves the env usable", answer) {
            let same = !self.spec.deterministic || baseline.steps.first() == Some(&step);
            self.rule("a refused action changes nothing", same, || {
                "the next step differs".into()
            });
        }
    }

    fn check_out_of_bounds(&mut self) {
        if self.reset(Some(self.seed)).is_none() {
            return;
        }
        let dimensions = &self.spec.action_space.dimensions;
        let beyond = Action(
            dimensions
                .iter()
                .map(|dimension| dimension.high + (dimension.high - dimension.low))
                .collect(),
        );
        let answer = self.env.step(&beyond);
        if let Some(step) = self.expect_ok("a finite action beyond the bounds is answered", answer) {
            self.check_answer(&step.observation, &step.info, "step beyond the bounds");
        }
    }

    fn check_options(&mut self) {
        let options = ResetOptions {
            task: Some("no such task".into()),
            initial: None,
        };
        let answer = self.env.reset(Some(self.seed), &options).map(drop);
        let refused = matches!(answer, Err(EnvError::UnknownName { .. }));
        self.rule("an unknown task is an error", refused, || format!("{answer:?}"));
        let options = ResetOptions {
            task: Some(self.spec.task.clone()),
            initial: None,
        };
        let answer = self.env.reset(Some(self.seed), &options);
        self.expect_ok("the task of the spec can be played", answer);
    }

    fn check_render(&mut self, baseline: &Played) {
        if self.reset(Some(self.seed)).is_none() {
            return;
        }
        let answer = self.env.render();
        if let Some(image) = self.expect_ok("render works after a reset", answer) {
            self.rule(
                "the rendered picture has pixels",
                image.width() > 0 && image.height() > 0,
                || "none".into(),
            );
        }
        let answer = self.env.step(&self.actions[0]);
        if let Some(step) = self.expect_ok("a valid action is answered", answer) {
            let same = !self.spec.deterministic || baseline.steps.first() == Some(&step);
            self.rule("rendering changes nothing", same, || "the next step differs".into());
        }
    }

    fn check_close(&mut self) {
        for _ in 0..2 {
            let answer = self.env.close();
            self.expect_ok("close can be called twice", answer);
        }
        let answer = self.env.reset(Some(self.seed), &ResetOptions::default()).map(drop);
        let refused = matches!(answer, Err(EnvError::Closed { .. }));
        self.rule("a closed env refuses to be reset", refused, || format!("{answer:?}"));
        let answer = self.env.step(&self.actions[0]).map(drop);
        let refused = matches!(answer, Err(EnvError::Closed { .. }));
        self.rule("a closed env refuses to step", refused, || format!("{answer:?}"));
    }
}

fn is_reset_needed<T>(answer: &Result<T, EnvError>) -> bool {
    matches!(answer, Err(EnvError::ResetNeeded { .. }))
}

fn first_difference(expected: &Played, found: &Played) -> Option<String> {
    if let Some(what) = observation_difference(&expected.first.0, &found.first.0) {
        return Some(format!("reset: {what} differs"));
    }
    if expected.first.1 != found.first.1 {
        return Some("reset: the info differs".into());
    }
    for (index, (one, other)) in expected.steps.iter().zip(&found.steps).enumerate() {
        if one != other {
            let what = observation_difference(&one.observation, &other.observation);
            return Some(format!(
                "step {index}: {} differs",
                what.unwrap_or_else(|| "the reward, the end or the info".into())
            ));
        }
    }
    let (one, other) = (expected.steps.len(), found.steps.len());
    (one != other).then(|| format!("{one} steps, then {other}"))
}

fn observation_difference(one: &Observation, other: &Observation) -> Option<String> {
    if one == other {
        return None;
    }
    let camera = one
        .images
        .iter()
        .find(|(camera, image)| other.images.get(*camera) != Some(*image));
    Some(match camera {
        Some((camera, _)) => format!("the image of camera `{camera}`"),
        None if one.proprioception != other.proprioception => "the robot state".into(),
        None if one.privileged != other.privileged => "the privileged state".into(),
        None => "the instruction or the set of cameras".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counting_env::{CountingEnv, Fault};

    #[test]
    fn an_env_that_obeys_passes() {
        for episode_steps in [1, 7, 1000] {
            check_env(&mut CountingEnv::new(episode_steps), 3).unwrap();
        }
    }

    #[test]
    fn every_fault_is_found() {
        for fault in Fault::ALL {
            let violations = check_env(&mut CountingEnv::with_fault(fault), 3).unwrap_err();
            assert!(!violations.violations.is_empty(), "{fault:?}");
        }
    }

    #[test]
    fn the_message_names_env_rule_and_finding() {
        let message = check_env(&mut CountingEnv::with_fault(Fault::RewardNotFinite), 3)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("counting") && message.contains("reward is finite: step 0: inf"),
            "{message}"
        );
    }

    #[test]
    fn inexact_chunks_are_accepted_only_where_announced() {
        let inexact = CheckOptions {
            exact_chunks: false,
            ..CheckOptions::default()
        };
        check_env_with(&mut CountingEnv::with_fault(Fault::ChunkDiffers), 3, inexact).unwrap();
        check_env_with(&mut CountingEnv::with_fault(Fault::ChunkLosesAStep), 3, inexact).unwrap_err();
    }
}
