//! The rules of whole episodes: order of calls, spaces, determinism, chunks.

use super::played::{Played, first_difference};
use super::{CheckOptions, Violation};
use crate::action::{Action, ActionChunk};
use crate::env::{Env, EnvSpec, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::step::{Info, Step};

/// Lengths of the chunks in which the checker repeats an episode.
const RAGGED: [usize; 5] = [3, 1, 5, 2, 9];

/// An env being checked, and what was found so far.
pub(super) struct Checker<'a> {
    pub(super) env: &'a mut dyn Env,
    pub(super) seed: u64,
    pub(super) options: CheckOptions,
    pub(super) spec: EnvSpec,
    pub(super) actions: Vec<Action>,
    pub(super) violations: Vec<Violation>,
}

impl Checker<'_> {
    /// Goes through all rules but those of the spec.
    pub(super) fn check(&mut self) {
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

    pub(super) fn rule(&mut self, rule: &'static str, holds: bool, found: impl FnOnce() -> String) {
        if !holds {
            self.violations.push(Violation { rule, found: found() });
        }
    }

    pub(super) fn check_spec(&mut self) {
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

    pub(super) fn reset(&mut self, seed: Option<u64>) -> Option<(Observation, Info)> {
        let answer = self.env.reset(seed, &ResetOptions::default());
        self.expect_ok("reset works with and without a seed, at any time", answer)
    }

    pub(super) fn expect_ok<T>(&mut self, rule: &'static str, answer: Result<T, EnvError>) -> Option<T> {
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

    pub(super) fn check_answer(&mut self, observation: &Observation, info: &Info, place: &str) {
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
}

fn is_reset_needed<T>(answer: &Result<T, EnvError>) -> bool {
    matches!(answer, Err(EnvError::ResetNeeded { .. }))
}
