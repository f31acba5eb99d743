//! Actions, one at a time and in chunks.

use serde::{Deserialize, Serialize};

/// One action: values in the order and units of the env's action space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Action(pub Vec<f32>);

impl Action {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the action has no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Consecutive actions, earliest first: what a policy returns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionChunk(pub Vec<Action>);

impl ActionChunk {
    /// Returns the number of actions.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the chunk has no actions.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Action> for ActionChunk {
    fn from(action: Action) -> Self {
        Self(vec![action])
    }
}

impl FromIterator<Action> for ActionChunk {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().collect())
    }
}
