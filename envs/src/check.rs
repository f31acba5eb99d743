//! The contract as assertions: what every env and every wrapper must do.

mod calls;
mod episodes;
mod played;

use std::fmt;

use self::episodes::Checker;
use crate::env::Env;
use crate::seeding;

/// Random stream of the actions that the checker plays.
const ACTIONS: u64 = 0xC4EC;

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
