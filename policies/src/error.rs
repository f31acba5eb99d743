//! Everything that can go wrong in a policy.

use std::path::PathBuf;

/// Why a policy refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The observation lacks ground truth that only a simulator has.
    #[error(
        "the policy `{policy}` needs the privileged state `{needed}`, which `{env}` does not have: \
         scripted experts act only in the physics world; use `cloned` here"
    )]
    PrivilegedStateMissing {
        /// Name of the policy.
        policy: String,
        /// Name of the state.
        needed: String,
        /// Name of the env.
        env: String,
    },
    /// The observation lacks a camera image.
    #[error("the policy `{policy}` looks at the camera `{camera}`, the observation has: {found}")]
    CameraMissing {
        /// Name of the policy.
        policy: String,
        /// Camera that is needed.
        camera: String,
        /// Cameras that exist.
        found: String,
    },
    /// The action space is not the one the policy was made for.
    #[error(
        "the policy `{policy}` gives actions of {expected} values, `{env}` takes {found} ({names}): use a policy trained for this action space"
    )]
    ActionSpace {
        /// Name of the policy.
        policy: String,
        /// Name of the env.
        env: String,
        /// Values the policy gives.
        expected: usize,
        /// Values the env takes.
        found: usize,
        /// Names of the values the env takes.
        names: String,
    },
    /// The instruction or task is not one the policy knows.
    #[error("the policy `{policy}` does not know the task `{found}`, it knows: {expected}")]
    UnknownTask {
        /// Name of the policy.
        policy: String,
        /// Tasks the policy knows.
        expected: String,
        /// The task that was asked for.
        found: String,
    },
    /// No policy has this name.
    #[error("there is no policy named `{found}`, expected one of: {expected}")]
    UnknownPolicy {
        /// The name that was given.
        found: String,
        /// Names that exist.
        expected: String,
    },
    /// `act` was called before `reset`, or a replay ran out of actions.
    #[error("the policy `{policy}` has no action: {why}")]
    NoAction {
        /// Name of the policy.
        policy: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// A file of recorded actions can't be read.
    #[error("the recorded actions `{path}` can't be read: check the path and its permissions")]
    ReplayFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// A file of recorded actions holds something else.
    #[error(
        "`{path}` holds no recorded actions: expected JSON, a list of lists of finite numbers (JSON has no NaN) or an object \
         that has such a list as `actions`"
    )]
    ReplayFormat {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A camera image has another size than the policy was trained with.
    #[error("the policy `{policy}` was trained with {expected} images, the camera `{camera}` gives {found}")]
    ImageSize {
        /// Name of the policy.
        policy: String,
        /// Camera whose image is wrong.
        camera: String,
        /// Size the policy needs, as `width x height`.
        expected: String,
        /// Size that was given.
        found: String,
    },
    /// The weights of the cloned policy can't be used.
    #[cfg(feature = "cloned")]
    #[error(transparent)]
    ClonedWeights(#[from] crate::cloned::ClonedWeightsError),
}

impl PolicyError {
    /// Makes the error of a policy that was asked to act before its first `reset`.
    pub(crate) fn not_reset(policy: &str) -> Self {
        Self::NoAction {
            policy: policy.to_owned(),
            why: "`act` was called before an episode began: call `reset` first",
        }
    }
}
