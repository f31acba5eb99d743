//! Why recorded actions could not be played.

use std::io;
use std::path::PathBuf;

use worldloop_world_model_data::VideoError;
use worldloop_world_model_data::bridge::BridgeError;

use crate::evaluation::EvaluationError;

/// Why recorded actions could not be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionRolloutError {
    /// The annotation can't be used.
    #[error(transparent)]
    Annotation(#[from] BridgeError),
    /// A file of actions holds something else.
    #[error("{entry} of the actions `{path}` is not {expected}: {found}")]
    ActionFile {
        /// The file.
        path: PathBuf,
        /// The entry.
        entry: String,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A video can't be read or written.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// The animation can't be made.
    #[error(transparent)]
    Animation(#[from] EvaluationError),
    /// The video ends before the annotation does.
    #[error("the video `{video}` has {frames} frames and `{annotation}` {states} states: every state needs its frame")]
    FrameCount {
        /// The video.
        video: PathBuf,
        /// Frames that it has.
        frames: usize,
        /// The annotation.
        annotation: PathBuf,
        /// States that it has.
        states: usize,
    },
    /// The frames are not of the size that the model was built for.
    #[error(
        "the frames of `{annotation}` are {found_width}x{found_height} pixels, the model was built for {width}x{height}: \
         set `resolution` in the parameters, or play recordings of one size at a time"
    )]
    FrameSize {
        /// The annotation.
        annotation: PathBuf,
        /// Width of the model, in pixels.
        width: usize,
        /// Height of the model, in pixels.
        height: usize,
        /// Width that was found, in pixels.
        found_width: u32,
        /// Height that was found, in pixels.
        found_height: u32,
    },
    /// The model takes other actions than recordings of Bridge have.
    #[error(
        "the model `{model}` takes actions of {expected} values, `{annotation}` has {found}: change the file, or take another \
         checkpoint"
    )]
    ActionSize {
        /// Name of the model.
        model: String,
        /// Values that it takes.
        expected: usize,
        /// The annotation.
        annotation: PathBuf,
        /// Values per action.
        found: usize,
    },
    /// The model does not take the actions of one latent frame at a time.
    #[error(
        "the model `{model}` can't make one latent frame after the other: that takes a network whose time is changed by the \
         {expected} actions of each latent frame; leave --streaming out"
    )]
    NotStreaming {
        /// Name of the model.
        model: String,
        /// Actions of a latent frame.
        expected: usize,
    },
    /// The seam leaves out incomplete chunks, and there is none that is complete.
    #[error(
        "`{annotation}` has {actions} actions and the seam `internal` plays whole chunks of {chunk} alone: take the seam \
         `fixed`, or a longer recording"
    )]
    NoWholeChunk {
        /// The annotation.
        annotation: PathBuf,
        /// Actions that it has.
        actions: usize,
        /// Actions of a chunk.
        chunk: usize,
    },
    /// The network returned something that is not a number.
    #[error(
        "the model `{model}` predicted a frame of `{annotation}` that is not finite in chunk {chunk}: the checkpoint is \
         damaged or the precision too low"
    )]
    NotFinite {
        /// Name of the model.
        model: String,
        /// The annotation.
        annotation: PathBuf,
        /// Chunk in which it happened, counted from 0.
        chunk: usize,
    },
    /// A result can't be written or read again.
    #[error("`{path}` can't be written or read ({source}): check free space and permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A result is there that was made from another recording of the same name.
    #[error(
        "`{path}` was made from `{found}`, now it is `{expected}`: choose another folder with --out, or make it anew with \
         --overwrite"
    )]
    OtherRecording {
        /// The result.
        path: PathBuf,
        /// The recording then.
        found: PathBuf,
        /// The recording now.
        expected: PathBuf,
    },
    /// A result is there that was made in another way.
    #[error(
        "`{path}` was made with another `{key}` ({found}, now {expected}): choose another folder, or make it anew with \
         --overwrite"
    )]
    OtherSettings {
        /// The result.
        path: PathBuf,
        /// The first setting that differs.
        key: String,
        /// Its value then.
        found: String,
        /// Its value now.
        expected: String,
    },
}
