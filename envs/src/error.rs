//! Everything that can go wrong in an environment.

/// Why an environment refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// `step` or `render` was called before the first `reset`, or after the episode ended.
    #[error("`{call}` was called on `{env}` {when}: call `reset` first")]
    ResetNeeded {
        /// Name of the environment.
        env: String,
        /// What was called.
        call: &'static str,
        /// The situation, for example "before the first reset".
        when: &'static str,
    },
    /// The environment was used after `close`.
    #[error("`{env}` is closed: make a new one")]
    Closed {
        /// Name of the environment.
        env: String,
    },
    /// An action has the wrong number of values.
    #[error("the action for `{env}` has {found} values, expected {expected} ({names}): check the policy's action space against the env's")]
    ActionSize {
        /// Name of the environment.
        env: String,
        /// Values per action.
        expected: usize,
        /// Values that were given.
        found: usize,
        /// Names of the expected values.
        names: String,
    },
    /// An action is NaN or infinite.
    #[error("action value {index} (`{name}`) for `{env}` is {value}, expected a finite number: fix the policy's output")]
    ActionNotFinite {
        /// Name of the environment.
        env: String,
        /// Index of the value.
        index: usize,
        /// Name of the value.
        name: String,
        /// What was found.
        value: f32,
    },
    /// A chunk without actions.
    #[error("an empty action chunk was given to `{env}`: a policy must return at least one action")]
    EmptyChunk {
        /// Name of the environment.
        env: String,
    },
    /// A reset option names something that the environment does not have.
    #[error("`{env}` has no {what} named `{found}`, expected one of: {expected}")]
    UnknownName {
        /// Name of the environment.
        env: String,
        /// Kind of thing, for example "task" or "camera".
        what: &'static str,
        /// The names that exist.
        expected: String,
        /// The name that was given.
        found: String,
    },
    /// A snapshot of another environment was restored.
    #[error("the snapshot was taken from `{found}` and can't be restored into `{env}`: restore it into an env of the same kind")]
    ForeignSnapshot {
        /// Name of the environment.
        env: String,
        /// Name of the environment that the snapshot came from.
        found: String,
    },
    /// The number of actions or seeds differs from the number of environments.
    #[error("{found} {what} for {expected} environments: pass one per environment")]
    BatchSize {
        /// What was counted.
        what: &'static str,
        /// Number of environments.
        expected: usize,
        /// Number that was given.
        found: usize,
    },
    /// An initial state could not be used.
    #[error("the initial state for `{env}` does not fit: {expected} expected, {found} found")]
    InitialState {
        /// Name of the environment.
        env: String,
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The world model behind a learned environment failed.
    #[cfg(feature = "learned")]
    #[error(transparent)]
    WorldModel(#[from] worldloop_world_model::WorldModelError),
}
