//! Work before the first step: who watches it, and where its results are kept.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::error::TrainingError;

/// How far the work before the first step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreparationProgress {
    /// What is done, for example `encode windows`.
    pub what: &'static str,
    /// Finished parts.
    pub done: usize,
    /// All parts.
    pub total: usize,
}

/// Watches the work before the first step, and knows the folder that keeps its results.
///
/// Encoding recordings takes minutes; a training that goes on should not do it again.
pub struct Preparation<'a> {
    folder: Option<PathBuf>,
    observe: &'a mut dyn FnMut(PreparationProgress) -> ControlFlow<()>,
}

impl std::fmt::Debug for Preparation<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Preparation")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl<'a> Preparation<'a> {
    /// Watches with `observe`, which stops the work by breaking; keeps nothing.
    pub fn new(observe: &'a mut dyn FnMut(PreparationProgress) -> ControlFlow<()>) -> Self {
        Self { folder: None, observe }
    }

    /// Keeps results in a folder, the one of the training.
    #[must_use]
    pub fn kept_in(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_path_buf());
        self
    }

    /// Returns the file of this name in the folder that keeps results, if there is one.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(name))
    }

    /// Says how far the work is.
    ///
    /// # Errors
    /// [`TrainingError::Stopped`] if the watcher wants no more of it.
    pub(crate) fn report(&mut self, what: &'static str, done: usize, total: usize) -> Result<(), TrainingError> {
        match (self.observe)(PreparationProgress { what, done, total }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TrainingError::Stopped { what, done, total }),
        }
    }
}
