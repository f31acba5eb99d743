//! Why nothing could be recorded for Rerun.

use std::path::PathBuf;

/// Why nothing could be recorded for Rerun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VisualizationError {
    /// The file could not be made.
    #[error("cannot write the Rerun recording `{}`: {source}. Check free space and permissions", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What Rerun said.
        source: Box<rerun::RecordingStreamError>,
    },
    /// Something could not be logged.
    #[error("cannot log to the Rerun recording: {0}")]
    Log(Box<rerun::RecordingStreamError>),
    /// What was logged could not be written.
    #[error("cannot write the Rerun recording `{}` to its end: {source}. Check free space", path.display())]
    Flush {
        /// The file.
        path: PathBuf,
        /// What Rerun said.
        source: Box<rerun::sink::SinkFlushError>,
    },
}

impl From<rerun::RecordingStreamError> for VisualizationError {
    fn from(error: rerun::RecordingStreamError) -> Self {
        Self::Log(Box::new(error))
    }
}
