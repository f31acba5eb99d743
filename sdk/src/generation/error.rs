//! What can go wrong before and while a video is generated.

use std::io;
use std::path::PathBuf;

use worldloop_world_model::catalog::UnknownModel;
use worldloop_world_model::checkpoint::AdapterError;
use worldloop_world_model::pipeline::ReleasedError;

use super::multiview::MultiviewError;
use super::request::InferenceType;
use crate::evaluation::EvaluationError;

/// Why a video was not generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerationError {
    /// A file could not be read.
    #[error("cannot read `{}`: {source}; check that it exists and is readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`: {source}; check permissions and free space, or choose another --out", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A request file in another format.
    #[error("`{}` is no request file: expected .json, .jsonl or .yaml", path.display())]
    RequestFormat {
        /// The file.
        path: PathBuf,
    },
    /// A request file that can't be understood.
    #[error("`{}` is no request: {place}: {source}", path.display())]
    Request {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        place: String,
        /// What the parser said; names unknown and known keys.
        source: serde_json::Error,
    },
    /// A request file without samples.
    #[error("`{}` has no sample: expected at least one object with a prompt", path.display())]
    NoSamples {
        /// The file.
        path: PathBuf,
    },
    /// A sample without a name.
    #[error("sample {sample} of `{}` has no `name`: give it one, its output files are called by it", path.display())]
    NoName {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        sample: usize,
    },
    /// Two samples of one name.
    #[error("`{}` has two samples with the name `{name}`: rename one, their output files would be the same", path.display())]
    SameName {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
    /// A name that is no file name.
    #[error(
        "the name `{name}` can't be that of a file in the output folder: expected 1 to 200 bytes without `/` and a first `.`"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Nothing to start from.
    #[error("`{name}` is {} but has no input to start from: pass --input, or `input_path` in the request", inference_type.name())]
    NoInput {
        /// The sample.
        name: String,
        /// What it starts from.
        inference_type: InferenceType,
    },
    /// A field outside its range.
    #[error("`{field}` of `{name}` can't be used: expected {expected}")]
    Field {
        /// The sample.
        name: String,
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// A resolution that is none.
    #[error(
        "`{found}` is no resolution: expected none, HEIGHT,WIDTH such as 704,1280 (16384 at most), or a name ({names}), with an aspect \
         after a colon if it is not 16,9 ({aspects})"
    )]
    Resolution {
        /// What was given.
        found: String,
        /// The names there are.
        names: String,
        /// The aspects there are.
        aspects: String,
    },
    /// A size that the networks can't make.
    #[error(
        "frames of {},{} do not fit: height and width must be multiples of {multiple}, such as {},{} or {},{}",
        found[0], found[1], below[0], below[1], above[0], above[1]
    )]
    Size {
        /// Height and width.
        found: [usize; 2],
        /// What both must be multiples of.
        multiple: usize,
        /// Next smaller size.
        below: [usize; 2],
        /// Next larger size.
        above: [usize; 2],
    },
    /// No size at all.
    #[error(
        "`{name}` has no resolution, and this checkpoint is no released model with one of its own: pass --resolution \
         HEIGHT,WIDTH"
    )]
    NoSize {
        /// The sample.
        name: String,
    },
    /// A number of frames that the networks can't make.
    #[error("`{name}` can't have {found} frames: {expected}")]
    Frames {
        /// The sample.
        name: String,
        /// What was asked for.
        found: usize,
        /// What is possible.
        expected: String,
    },
    /// Chunks that do not fit.
    #[error("chunks of {size} frames with an overlap of {overlap} do not fit: {advice}")]
    Chunks {
        /// Frames of a chunk.
        size: usize,
        /// Frames that chunks share.
        overlap: usize,
        /// What would fit.
        advice: String,
    },
    /// An input with too few frames.
    #[error(
        "`{}` has {found} frames, {} needs at least {expected}: take a longer one{}", path.display(), inference_type.name(),
        if *found > 0 { ", or --inference-type image2world, which starts from the last frame alone" } else { "" }
    )]
    ShortInput {
        /// The input.
        path: PathBuf,
        /// Frames found.
        found: usize,
        /// Frames needed.
        expected: usize,
        /// What the video starts from.
        inference_type: InferenceType,
    },
    /// A damaged picture.
    #[error("`{}` can't be read as an image: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: image::ImageError,
    },
    /// A video that can't be read or written.
    #[error(transparent)]
    Video(#[from] worldloop_world_model_data::VideoError),
    /// An animation that can't be made.
    #[error(transparent)]
    Animation(#[from] EvaluationError),
    /// The weights are another model's.
    #[error(
        "`{}` can't be {model}: its weights have the shapes of {}", path.display(),
        if fitting.is_empty() { "no released model".to_owned() } else { fitting.join(", ") }
    )]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
        /// The model that was asked for.
        model: &'static str,
        /// Released models with weights of these shapes.
        fitting: Vec<&'static str>,
    },
    /// The adapter can't be used.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The checkpoint has no base model, or can't be read.
    #[error(transparent)]
    Released(#[from] ReleasedError),
    /// Several views that can't be made.
    #[error(transparent)]
    Multiview(#[from] MultiviewError),
    /// No such model.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// A model for something else.
    #[error("{model} can't make {what}: {advice}")]
    Unable {
        /// The model.
        model: String,
        /// What was asked for.
        what: String,
        /// What can.
        advice: String,
    },
}
