//! Policies by name, as commands and reports use them.

mod varied_expert;

#[cfg(feature = "cloned")]
use worldloop_policies::cloned::{ClonedCheckpoints, NUM_GRADES};
use worldloop_policies::{
    ImperfectPolicy, Imperfections, Policy, PolicyError, RandomPolicy, ReplayPolicy, ScriptedExpert,
};

use varied_expert::VariedExpert;

/// Actions that random and replayed policies return at once: the embedded world model takes as many in one call.
const CHUNK_LENGTH: usize = 8;

/// What makes the expert of `noisy_expert` fail about as often as not.
const NOISY: Imperfections = Imperfections {
    noise: 0.6,
    bias: [0.0; 3],
    delay: 1,
    gripper_failure: 0.15,
};

/// Makes policies by the names that a user types.
///
/// Always there: `random`, `wander`, `expert`, `noisy_expert`, `imperfect` (an expert that is worse in another way in each
/// episode) and `replay:FILE`. With checkpoints of the cloned policy also `cloned` and `cloned:0` (failing) to `cloned:9`
/// (best).
///
/// # Example
/// ```
/// use worldloop::policy_source::PolicySource;
///
/// let policy = PolicySource::new().make("expert")?;
/// assert_eq!(policy.name(), "expert");
/// # Ok::<(), worldloop::policies::PolicyError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PolicySource {
    #[cfg(feature = "cloned")]
    cloned: Option<ClonedCheckpoints>,
}

impl PolicySource {
    /// Makes a source of the policies that need no weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the cloned policy and its grades.
    #[cfg(feature = "cloned")]
    #[must_use]
    pub fn with_cloned(mut self, checkpoints: ClonedCheckpoints) -> Self {
        self.cloned = Some(checkpoints);
        self
    }

    /// Lists the names, `FILE` standing for a path.
    pub fn names(&self) -> Vec<String> {
        let names = ["random", "wander", "expert", "noisy_expert", "imperfect", "replay:FILE"];
        let mut names = names.map(str::to_owned).to_vec();
        let graded = self.graded();
        if !graded.is_empty() {
            names.push("cloned".to_owned());
        }
        names.extend(graded);
        names
    }

    /// Lists the graded policies, from failing to good; empty without weights of the cloned policy.
    pub fn graded(&self) -> Vec<String> {
        #[cfg(feature = "cloned")]
        if self.cloned.is_some() {
            return (0..NUM_GRADES).map(|grade| format!("cloned:{grade}")).collect();
        }
        Vec::new()
    }

    /// Makes the policy of a name.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`] with the names that exist, and those of [`ReplayPolicy::from_file`].
    pub fn make(&self, name: &str) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(match name {
            "random" => Box::new(RandomPolicy::new().with_chunk_length(CHUNK_LENGTH)),
            "wander" => Box::new(RandomPolicy::wandering().with_chunk_length(CHUNK_LENGTH)),
            "expert" => Box::new(ScriptedExpert::new()),
            "noisy_expert" => Box::new(ImperfectPolicy::new(name, ScriptedExpert::new(), NOISY)),
            "imperfect" => Box::new(VariedExpert::default()),
            _ => match name.strip_prefix("replay:") {
                Some(path) if !path.is_empty() => {
                    Box::new(ReplayPolicy::from_file(path)?.with_chunk_length(CHUNK_LENGTH))
                }
                _ => self.make_cloned(name).ok_or_else(|| self.unknown(name))?,
            },
        })
    }

    #[cfg(feature = "cloned")]
    fn make_cloned(&self, name: &str) -> Option<Box<dyn Policy>> {
        let checkpoints = self.cloned.as_ref()?;
        if name == "cloned" {
            return Some(Box::new(checkpoints.cloned()));
        }
        let grade = name.strip_prefix("cloned:")?.parse().ok()?;
        Some(Box::new(checkpoints.graded(grade)?))
    }

    #[cfg(not(feature = "cloned"))]
    fn make_cloned(&self, _name: &str) -> Option<Box<dyn Policy>> {
        None
    }

    fn unknown(&self, name: &str) -> PolicyError {
        PolicyError::UnknownPolicy {
            found: name.to_owned(),
            expected: self.names().join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_policy_can_be_made() {
        let source = PolicySource::new();
        for name in source.names().into_iter().filter(|name| !name.contains("FILE")) {
            assert_eq!(source.make(&name).unwrap().name(), name);
        }
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        for name in ["", "exprt", "cloned:3", "replay:"] {
            let error = PolicySource::new().make(name).err().unwrap().to_string();
            assert!(error.contains("wander") && error.contains("replay:FILE"), "{error}");
        }
    }
}
