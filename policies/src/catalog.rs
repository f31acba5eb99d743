//! Policies by name.

use crate::error::PolicyError;
use crate::imperfect::{ImperfectPolicy, Imperfections};
use crate::policy::Policy;
use crate::random::RandomPolicy;
use crate::replay::ReplayPolicy;
use crate::scripted::ScriptedExpert;

/// What makes the expert of `noisy_expert` fail about as often as not.
const NOISY: Imperfections = Imperfections {
    noise: 0.6,
    bias: [0.0; 3],
    delay: 1,
    gripper_failure: 0.15,
};

/// Makes policies by the names that a user types.
///
/// Always there: `random`, `wander`, `expert`, `noisy_expert` and `replay:FILE`. With checkpoints of the cloned policy
/// also `cloned` and `cloned:0` (failing) to `cloned:9` (best).
///
/// # Example
/// ```
/// use worldloop_policies::PolicyCatalog;
///
/// let policy = PolicyCatalog::new().make("expert")?;
/// assert_eq!(policy.name(), "expert");
/// # Ok::<(), worldloop_policies::PolicyError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct PolicyCatalog {
    #[cfg(feature = "cloned")]
    cloned: Option<crate::cloned::ClonedCheckpoints>,
}

impl PolicyCatalog {
    /// Makes a catalog without the cloned policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the cloned policy and its grades.
    #[cfg(feature = "cloned")]
    pub fn with_cloned(mut self, checkpoints: crate::cloned::ClonedCheckpoints) -> Self {
        self.cloned = Some(checkpoints);
        self
    }

    /// Returns all names, `FILE` standing for a path.
    pub fn names(&self) -> Vec<String> {
        let names = ["random", "wander", "expert", "noisy_expert", "replay:FILE"];
        let mut names: Vec<String> = names.map(str::to_owned).into();
        #[cfg(feature = "cloned")]
        if self.cloned.is_some() {
            names.push("cloned".to_owned());
            names.extend((0..crate::cloned::NUM_GRADES).map(|grade| format!("cloned:{grade}")));
        }
        names
    }

    /// Makes the policy of a name.
    ///
    /// # Errors
    /// [`PolicyError::UnknownPolicy`] with the list of names; for `replay:FILE` those of
    /// [`ReplayPolicy::from_file`].
    pub fn make(&self, name: &str) -> Result<Box<dyn Policy>, PolicyError> {
        Ok(match name {
            "random" => Box::new(RandomPolicy::new()),
            "wander" => Box::new(RandomPolicy::wandering()),
            "expert" => Box::new(ScriptedExpert::new()),
            "noisy_expert" => Box::new(ImperfectPolicy::new(name, ScriptedExpert::new(), NOISY)),
            _ => match name.strip_prefix("replay:") {
                Some(path) if !path.is_empty() => Box::new(ReplayPolicy::from_file(path)?),
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
    #[expect(clippy::unused_self, reason = "the same call with and without the feature")]
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
    fn listed_names_can_be_made() {
        let catalog = PolicyCatalog::new();
        for name in catalog.names().iter().filter(|name| *name != "replay:FILE") {
            assert_eq!(catalog.make(name).expect("listed").name(), name);
        }
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        for name in ["", "exprt", "cloned:10", "replay:"] {
            let error = PolicyCatalog::new().make(name).err().expect("unknown").to_string();
            assert!(
                error.contains("noisy_expert") && error.contains("replay:FILE"),
                "{error}"
            );
        }
    }

    #[test]
    fn replay_names_the_file_that_is_missing() {
        let error = PolicyCatalog::new().make("replay:gone.json").err().expect("no file");
        assert!(matches!(error, PolicyError::ReplayFile { .. }), "{error}");
    }

    #[cfg(feature = "cloned")]
    #[test]
    fn cloned_policies_are_listed_and_made_once_there_are_weights() {
        use crate::cloned::{ClonedCheckpoints, ClonedNetworkConfig};

        let device = burn::tensor::Device::flex();
        let config = ClonedNetworkConfig::new().with_channels([4, 4, 4]).with_d_hidden(8);
        let bytes = config.init(&device).to_safetensors(&config).expect("writable");
        let checkpoints = ClonedCheckpoints::from_safetensors(&[], &bytes, &device).expect("readable");
        let catalog = PolicyCatalog::new().with_cloned(checkpoints);
        assert_eq!(catalog.names().len(), 16);
        for name in ["cloned", "cloned:0", "cloned:9"] {
            assert_eq!(catalog.make(name).expect("listed").name(), name);
        }
        assert!(matches!(
            catalog.make("cloned:10"),
            Err(PolicyError::UnknownPolicy { .. })
        ));
    }
}
