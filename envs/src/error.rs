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
    #[error(
        "the action for `{env}` has {found} values, expected {expected} ({names}): check the policy's action space against the env's"
    )]
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
    #[error(
        "action value {index} (`{name}`) for `{env}` is {value}, expected a finite number: fix the policy's output"
    )]
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
    #[error(
        "the snapshot was taken from `{found}` and can't be restored into `{env}`: restore it into an env of the same kind"
    )]
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
    /// A batch was made of no environments at all.
    #[error("a batch of environments needs at least one, found none")]
    NoEnvs,
    /// Environments with different spaces were put in one batch.
    #[error(
        "environment {index} (`{found}`) has another {what} than the first (`{first}`): batch only envs with equal spaces"
    )]
    MixedSpecs {
        /// Position of the environment that differs.
        index: usize,
        /// What differs.
        what: &'static str,
        /// Name of the first environment.
        first: String,
        /// Name of the environment that differs.
        found: String,
    },
    /// One environment of a batch failed.
    #[error("environment {index} of the batch: {source}")]
    InBatch {
        /// Position of the environment in the batch.
        index: usize,
        /// What went wrong there.
        source: Box<Self>,
    },
    /// An action space does not say the same as the world model's spec.
    #[cfg(feature = "learned")]
    #[error(
        "the action space of `{env}` has {found} where the world model `{model}` was trained with {expected}: \
         use the action space that the checkpoint was recorded with, or a checkpoint for this one"
    )]
    ActionContract {
        /// Name of the environment.
        env: String,
        /// Name of the world model.
        model: String,
        /// What the model was trained with.
        expected: String,
        /// What the action space has.
        found: String,
    },
    /// A setting of an environment or a wrapper is out of range.
    #[error("`{setting}` of `{env}` is {found}, expected {expected}")]
    Setting {
        /// Name of the environment.
        env: String,
        /// Name of the setting.
        setting: &'static str,
        /// What is allowed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A world model or judge answered with another number of things than it was asked for.
    #[cfg(feature = "learned")]
    #[error(
        "the {who} behind `{env}` returned {found} {what}, expected {expected}: this is a fault of its implementation"
    )]
    AnswerCount {
        /// Name of the environment.
        env: String,
        /// Who answered: `world model` or `judge`.
        who: &'static str,
        /// What was counted.
        what: &'static str,
        /// How many were expected.
        expected: usize,
        /// How many came.
        found: usize,
    },
    /// A judge answered with something that is not a number.
    #[cfg(feature = "learned")]
    #[error(
        "the judge behind `{env}` returned a {what} of {value} in step {step}, expected a finite number: its weights are damaged"
    )]
    JudgementNotFinite {
        /// Name of the environment.
        env: String,
        /// Which figure.
        what: &'static str,
        /// What was found.
        value: f32,
        /// Step of the episode, 0 for the first observation.
        step: usize,
    },
    /// The judge behind a learned environment refused.
    #[cfg(feature = "learned")]
    #[error(transparent)]
    Judge(#[from] worldloop_world_model::judge::JudgeError),
    /// The world model behind a learned environment failed.
    #[cfg(feature = "learned")]
    #[error(transparent)]
    WorldModel(#[from] worldloop_world_model::WorldModelError),
}
