//! Why no model can be made from a checkpoint in the released layout.

use std::io;
use std::path::PathBuf;

use super::error::PipelineError;
use crate::catalog::RecognizeError;
use crate::checkpoint::CheckpointError;
use crate::text_encoder::TextEmbeddingError;

/// Why no model can be made from a checkpoint in the released layout.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleasedError {
    /// The folder could not be looked through.
    #[error("the checkpoint `{path}` can't be read ({source}): check that it exists and that you may read it")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There are more files than a checkpoint has.
    #[error("`{path}` holds more than {most} files of weights: name the folder or the file of one checkpoint")]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// How many are looked at.
        most: usize,
    },
    /// Nothing of what is needed is there.
    #[error("`{path}` holds no {wanted}: found {found}; {advice}")]
    NotFound {
        /// The folder or file.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// What is there.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// Several files could be meant.
    #[error("`{path}` holds more than one {wanted}: {found}; name the file of one of them")]
    Several {
        /// The folder.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
        /// The files.
        found: String,
    },
    /// The transformer takes no actions.
    #[error(
        "`{path}` is not conditioned on actions, so no actions can be played in it: it is {found}; take the checkpoint \
         of robot/action-cond"
    )]
    NotActionConditioned {
        /// The transformer, or the folder that it is in.
        path: PathBuf,
        /// What the transformer is.
        found: String,
    },
    /// The columns of the actions are those of no chunk of this length.
    #[error(
        "`{path}` takes {columns} numbers, which are no whole number for each of {actions} actions: give another number of \
         actions (--chunk-size, or `chunk_size` in the parameters), or leave --whole-chunk out"
    )]
    WholeChunk {
        /// The transformer.
        path: PathBuf,
        /// Numbers that its embedding of actions takes.
        columns: usize,
        /// Actions of a chunk that were asked for.
        actions: usize,
    },
    /// The embedding of the empty prompt is not there.
    #[error(
        "`{path}` has no embedding of the empty prompt, which the model was trained with: name the text encoder \
         (`--text-encoder DIR`) or a file that `worldloop embed --empty` wrote, or go on with zeros (`--zero-text`), which \
         are not the same"
    )]
    NoEmptyPrompt {
        /// The folder.
        path: PathBuf,
    },
    /// A file of weights is damaged or does not fit.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A network can't be built from the sizes of its tensors.
    #[error(transparent)]
    Recognize(#[from] RecognizeError),
    /// A text embedding is damaged or does not fit.
    #[error(transparent)]
    Text(#[from] TextEmbeddingError),
    /// The parts do not fit together.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}
