//! Everything that can go wrong in training.

use std::io;
use std::path::PathBuf;

use worldloop_world_model::WorldModelError;
use worldloop_world_model::checkpoint::CheckpointError;
use worldloop_world_model::pipeline::PipelineError;
use worldloop_world_model_data::DatasetError;

/// Why training could not start, go on, or save.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The recordings can't be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Weights can't be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A world model can't be used.
    #[error(transparent)]
    World(#[from] PipelineError),
    /// A world model is told where the gripper is, and the recordings do not say.
    #[error(
        "the world model `{model}` is told where the gripper is, and the episode with seed {seed} ({env}) was recorded without the robot's state: \
         record it again with `worldloop record`, or take a world whose action_reference is not `world`"
    )]
    NoRobotState {
        /// Name of the world model.
        model: String,
        /// Seed of the episode.
        seed: u64,
        /// Env that it was recorded in.
        env: String,
    },
    /// A recorded moment is not one that a world model can start from.
    #[error(transparent)]
    Start(#[from] WorldModelError),
    /// A file could not be read.
    #[error("`{path}` can't be read: check that it exists and that you may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error("`{path}` can't be written ({source}): check free space and permissions, then go on with --resume")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The threads of a batch could not be started.
    #[error("{threads} threads for one of the batches of a step can't be started ({source}): lower batches_per_step")]
    Threads {
        /// Threads that were wanted.
        threads: usize,
        /// Why.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// A picture could not be encoded.
    #[error("the picture `{path}` can't be written: check free space and permissions, then go on with --resume")]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: image::ImageError,
    },
    /// A JSON file is not what it should be: broken off, a key missing, or a key unknown.
    #[error("`{path}` is not a valid {what} ({source}): correct or remove the named key")]
    Json {
        /// The file, or where the text came from.
        path: PathBuf,
        /// What the text should be, for example "training config".
        what: &'static str,
        /// Where and why parsing stopped.
        #[source]
        source: serde_json::Error,
    },
    /// A value of a config makes no sense.
    #[error("`{key}` of the training config is {found}, expected {expected}: correct it")]
    Config {
        /// Name of the key.
        key: &'static str,
        /// What would be valid.
        expected: String,
        /// What was found.
        found: String,
    },
    /// There is nothing to go on with.
    #[error("`{path}` holds no training to go on with: start one there without --resume")]
    NothingToResume {
        /// The run's folder.
        path: PathBuf,
    },
    /// A training would be overwritten.
    #[error("`{path}` already holds a training: go on with --resume, or choose another folder")]
    AlreadyThere {
        /// The run's folder.
        path: PathBuf,
    },
    /// The saved state of a training is damaged.
    #[error("the training state `{path}` is damaged: delete it to start from the beginning")]
    State {
        /// The file.
        path: PathBuf,
        /// Why it can't be parsed.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// The saved state belongs to another network.
    #[error(
        "the training state `{path}` does not fit the config: {what} is {found}, expected {expected}; resume with the config it was started with"
    )]
    StateMismatch {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
        /// What the config leads to.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The recordings lack something that this training needs.
    #[error("the recordings `{path}` have {found} {what}, at least {expected} needed: record more")]
    TooLittleData {
        /// The dataset.
        path: PathBuf,
        /// What there is too little of.
        what: &'static str,
        /// How much is needed.
        expected: usize,
        /// How much there is.
        found: usize,
    },
    /// The work before the first step was stopped.
    #[error(
        "stopped after {done} of {total} before the first step ({what}); nothing is saved yet: run the same command again"
    )]
    Stopped {
        /// What was done.
        what: &'static str,
        /// Finished parts.
        done: usize,
        /// All parts.
        total: usize,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the loss of step {step} is {loss}: lower the learning rate (now {learning_rate:.1e}) and resume from the last checkpoint"
    )]
    Diverged {
        /// Step in which it happened.
        step: u64,
        /// The loss.
        loss: f32,
        /// Learning rate of that step.
        learning_rate: f64,
    },
}
