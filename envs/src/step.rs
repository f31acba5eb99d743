//! What an environment answers to an action.

use std::collections::BTreeMap;

use crate::observation::Observation;

/// Facts about a step beside the observation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Info {
    /// Whether the task is solved in this very state; `None` where nothing judges it.
    pub success: Option<bool>,
    /// Figures by name, for example `progress` in `[0, 1]`.
    pub metrics: BTreeMap<String, f64>,
}

/// The answer to one action.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What the policy sees next.
    pub observation: Observation,
    /// Reward of this step.
    pub reward: f64,
    /// Whether the task itself ended: success or failure.
    pub terminated: bool,
    /// Whether the episode was cut off from outside: time limit, or a prediction that can't be trusted.
    pub truncated: bool,
    /// Facts beside the observation.
    pub info: Info,
}

impl Step {
    /// Returns whether the episode is over.
    pub fn is_last(&self) -> bool {
        self.terminated || self.truncated
    }
}
