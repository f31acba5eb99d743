//! Recorded actions, played again.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use worldloop_envs::{Action, ActionChunk, EnvSpec, Observation};

use crate::error::PolicyError;
use crate::policy::Policy;

/// Plays recorded actions, whatever it observes, and errors when they run out.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayPolicy {
    name: String,
    actions: Vec<Action>,
    chunk_length: usize,
    position: Option<usize>,
}

/// What a file of actions may look like.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recording {
    Actions(Vec<Action>),
    Episode { actions: Vec<Action> },
}

impl ReplayPolicy {
    /// Makes a policy that plays these actions.
    pub fn new(name: impl Into<String>, actions: Vec<Action>) -> Self {
        Self {
            name: name.into(),
            actions,
            chunk_length: 1,
            position: None,
        }
    }

    /// Reads actions from a JSON file: a list of actions (lists of numbers), or an object that has it as `actions`.
    ///
    /// # Errors
    /// [`PolicyError::ReplayFile`] if the file can't be read, [`PolicyError::ReplayFormat`] if it holds something else.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        let name = format!("replay:{}", path.display());
        let text = std::fs::read_to_string(path).map_err(|source| PolicyError::ReplayFile {
            path: PathBuf::from(path),
            source,
        })?;
        let recording = serde_json::from_str(&text).map_err(|source| PolicyError::ReplayFormat {
            path: PathBuf::from(path),
            source,
        })?;
        let (Recording::Actions(actions) | Recording::Episode { actions }) = recording;
        Ok(Self::new(name, actions))
    }

    /// Sets how many actions each call returns; 0 is taken as 1.
    pub fn with_chunk_length(mut self, chunk_length: usize) -> Self {
        self.chunk_length = chunk_length.max(1);
        self
    }
}

impl Policy for ReplayPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self, spec: &EnvSpec, _seed: u64) -> Result<(), PolicyError> {
        let expected = spec.action_space.len();
        if let Some(other) = self.actions.iter().find(|action| action.len() != expected) {
            return Err(PolicyError::ActionSpace {
                policy: self.name.clone(),
                env: spec.name.clone(),
                expected: other.len(),
                found: expected,
                names: spec.action_space.names(),
            });
        }
        self.position = Some(0);
        Ok(())
    }

    fn act(&mut self, _observation: &Observation) -> Result<ActionChunk, PolicyError> {
        let Some(position) = self.position else {
            return Err(PolicyError::not_reset(&self.name));
        };
        let end = (position + self.chunk_length).min(self.actions.len());
        if position >= end {
            let why = "the recording has no more actions: replay fewer steps or record a longer episode";
            return Err(PolicyError::NoAction {
                policy: self.name.clone(),
                why,
            });
        }
        self.position = Some(end);
        Ok(ActionChunk(self.actions[position..end].to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{blank_observation, spec};

    fn actions(count: usize) -> Vec<Action> {
        (0..count).map(|index| Action(vec![index as f32; 7])).collect()
    }

    fn write(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("writable");
        file
    }

    #[test]
    fn actions_come_back_in_order_and_then_run_out() {
        let mut policy = ReplayPolicy::new("replay", actions(5)).with_chunk_length(2);
        policy.reset(&spec("reach"), 0).expect("seven values fit");
        let mut played = Vec::new();
        for length in [2, 2, 1] {
            let chunk = policy.act(&blank_observation()).expect("actions are left");
            assert_eq!(chunk.len(), length);
            played.extend(chunk.0);
        }
        assert_eq!(played, actions(5));
        assert!(matches!(
            policy.act(&blank_observation()),
            Err(PolicyError::NoAction { .. })
        ));
    }

    #[test]
    fn reset_starts_from_the_first_action() {
        let mut policy = ReplayPolicy::new("replay", actions(2));
        for _ in 0..2 {
            policy.reset(&spec("reach"), 0).expect("fits");
            assert_eq!(policy.act(&blank_observation()).expect("an action").0[0], actions(1)[0]);
        }
    }

    #[test]
    fn both_file_layouts_are_read() {
        for text in ["[[0,0.5],[1,1]]", r#"{"seed": 3, "actions": [[0,0.5],[1,1]]}"#] {
            let policy = ReplayPolicy::from_file(write(text).path()).expect("valid");
            assert_eq!(policy.actions, [Action(vec![0.0, 0.5]), Action(vec![1.0, 1.0])]);
        }
    }

    #[test]
    fn bad_files_are_named() {
        let missing = ReplayPolicy::from_file("no/such/file.json")
            .expect_err("missing")
            .to_string();
        assert!(missing.contains("no/such/file.json"), "{missing}");
        let file = write("{\"steps\": 3}");
        let wrong = ReplayPolicy::from_file(file.path())
            .expect_err("wrong layout")
            .to_string();
        assert!(wrong.contains("actions"), "{wrong}");
    }

    #[test]
    fn actions_of_another_size_are_refused_before_the_first_step() {
        let mut policy = ReplayPolicy::new("replay", vec![Action(vec![0.0; 4])]);
        assert!(matches!(
            policy.reset(&spec("reach"), 0),
            Err(PolicyError::ActionSpace {
                expected: 4,
                found: 7,
                ..
            })
        ));
    }
}
