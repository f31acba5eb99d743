//! Policies by name.

mod varied_expert;

use worldloop_policies::{Policy, PolicyError, RandomPolicy, ScriptedExpert};

use varied_expert::VariedExpert;

/// Makes policies from the names that commands and reports use.
#[derive(Debug, Default)]
pub struct PolicySource {}

impl PolicySource {
    /// Makes the source of all built-in policies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lists the names with what each does.
    pub fn names() -> &'static [(&'static str, &'static str)] {
        &[
            ("random", "independent random actions"),
            ("wander", "random actions that last for a few steps"),
            ("expert", "the scripted expert (physics only: it needs the privileged state)"),
            ("imperfect", "the expert with noise, bias, delay or a failing gripper, drawn anew for each seed (physics only)"),
        ]
    }

    /// Makes a policy.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`] with the names that exist.
    pub fn make(&self, name: &str) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(match name {
            "random" => Box::new(RandomPolicy::new().with_chunk_length(8)),
            "wander" => Box::new(RandomPolicy::wandering().with_chunk_length(8)),
            "expert" => Box::new(ScriptedExpert::new()),
            "imperfect" => Box::new(VariedExpert::default()),
            _ => return Err(unknown(name)),
        })
    }
}

fn unknown(name: &str) -> PolicyError {
    let names: Vec<&str> = PolicySource::names().iter().map(|(name, _)| *name).collect();
    PolicyError::UnknownPolicy { found: name.to_owned(), expected: names.join(", ") }
}
