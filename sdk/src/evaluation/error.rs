//! What can go wrong in an evaluation.

use std::io::ErrorKind;
use std::path::PathBuf;

use worldloop_envs::EnvError;
use worldloop_world_model::WorldModelError;

use crate::rollout::RolloutError;

/// Why an evaluation stopped. Episodes that had ended before stay in the journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// An episode failed.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// An env failed outside of an episode.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// The world model failed outside of an episode.
    #[error(transparent)]
    WorldModel(#[from] WorldModelError),
    /// A file or folder could not be written.
    #[error("cannot write `{}`: {source}. {}; finished episodes are kept", path.display(), writing_advice(source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file could not be read.
    #[error("cannot read `{}`: {source}. Check that it exists and is readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line of the journal is damaged, and not the last one.
    #[error("line {line} of `{}` is not an episode: {source}. Remove the line, or start anew in another folder", path.display())]
    Journal {
        /// The journal.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The output folder already has episodes and nobody asked to continue.
    #[error("`{}` already holds {found} episodes: resume to continue them, or choose another output folder", path.display())]
    AlreadyStarted {
        /// The journal.
        path: PathBuf,
        /// Episodes in it.
        found: usize,
    },
    /// The journal was written with another world model.
    #[error(
        "`{}` holds episodes of the world model {found}, this one is {expected}: resume with the model it was started \
         with, or choose another output folder", path.display()
    )]
    AnotherModel {
        /// The journal.
        path: PathBuf,
        /// Fingerprint of the model in use.
        expected: String,
        /// Fingerprint in the journal.
        found: String,
    },
    /// A recorded frame or action cannot be compared with the model's.
    #[error("fidelity can't be measured: {what} is {found}, expected {expected}")]
    Fidelity {
        /// What does not fit.
        what: &'static str,
        /// What is needed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A picture could not be encoded.
    #[error("cannot encode {what}: {source}")]
    Picture {
        /// Which picture.
        what: &'static str,
        /// What the encoder said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Tells what to do about a file that could not be written.
fn writing_advice(source: &std::io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "Free some space, then go on with --resume",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => "Choose a folder you may write to",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "Choose a folder, not a file",
        _ => "Choose another folder",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_fits_the_reason() {
        let message = |kind: ErrorKind| {
            let error = EvaluationError::Write {
                path: "out/report.html".into(),
                source: kind.into(),
            };
            error.to_string()
        };
        assert!(message(ErrorKind::StorageFull).contains("Free some space"));
        assert!(message(ErrorKind::PermissionDenied).contains("may write to"));
        assert!(!message(ErrorKind::NotADirectory).contains("space"));
    }
}
