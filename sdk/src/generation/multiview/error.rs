//! What can be wrong with a request for several views.

use std::path::PathBuf;

use worldloop_world_model::camera::CameraError;

/// Why several views were not generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MultiviewError {
    /// A key that no request of this model has.
    #[error("`{}`: {place} has the key `{key}`, which is unknown: expected one of {}", path.display(), known.join(", "))]
    UnknownKey {
        /// The request file.
        path: PathBuf,
        /// Which part of it.
        place: String,
        /// The key.
        key: String,
        /// Keys there are.
        known: Vec<&'static str>,
    },
    /// A key of the Transfer models.
    #[error(
        "`{}`: {place} has the key `{key}`, which belongs to the Transfer models: they follow control videos, this \
         Predict model does not; leave it out",
        path.display()
    )]
    TransferKey {
        /// The request file.
        path: PathBuf,
        /// Which part of it.
        place: String,
        /// The key.
        key: String,
    },
    /// A name of files that is not their number.
    #[error("`{}`: {place} has the `input_name` `{name}`: expected the number that the files begin with, such as \"0\"", path.display())]
    InputName {
        /// The request file.
        path: PathBuf,
        /// Which part of it.
        place: String,
        /// The name.
        name: String,
    },
    /// A number of given frames that the VAE has no whole number of latent frames for.
    #[error("`{}`: {place} gives {found} frames of every view: expected 0, 1 or 5", path.display())]
    GivenFrames {
        /// The request file.
        path: PathBuf,
        /// Which part of it.
        place: String,
        /// Frames found.
        found: u64,
    },
    /// A view that has nothing to start from.
    #[error(
        "`{name}` has nothing that the view `{view}` starts from: give it an `input_path`, leave the view out, or set \
         `num_conditional_frames` to 0"
    )]
    MissingInput {
        /// The sample.
        name: String,
        /// The view.
        view: &'static str,
    },
    /// One input for several views.
    #[error("--input names one input, but `{name}` has one for each view: name them in the request file")]
    OneInput {
        /// The sample.
        name: String,
    },
    /// Another number of captions than views.
    #[error("`{name}` has {found} captions for {} views: expected one for each of {}, in this order, or a single prompt", views.len(), views.join(", "))]
    Captions {
        /// The sample.
        name: String,
        /// Captions found.
        found: usize,
        /// The views.
        views: Vec<&'static str>,
    },
    /// One prompt, and no view that reads it.
    #[error(
        "`{name}` has a single prompt, which only the view `front_wide` reads, and not that view: add it, or make `prompt` a \
         list with one caption for each view"
    )]
    NoFrontView {
        /// The sample.
        name: String,
    },
    /// A video whose frames can't be thinned out to the rate that is asked for.
    #[error("`{}` has {found} frames per second, which is no multiple of the {wanted} asked for: change `fps`, or re-encode the video", path.display())]
    FrameRate {
        /// The video.
        path: PathBuf,
        /// Its frames per second.
        found: f64,
        /// Those asked for.
        wanted: f64,
    },
    /// No folder of pictures and camera files.
    #[error(
        "`{name}` has no folder with the pictures and poses of the cameras: give `input_root` in the request, or --input DIR"
    )]
    NoRoot {
        /// The sample.
        name: String,
    },
    /// A file of cameras that ends too soon.
    #[error("`{}` has {found} rows, {expected} are needed: one for each latent frame, which is one for the first frame and one for every four after it", path.display())]
    CameraRows {
        /// The file.
        path: PathBuf,
        /// Rows found.
        found: usize,
        /// Rows needed.
        expected: usize,
    },
    /// A row of another length.
    #[error("`{}`, line {line}: {found} numbers, expected {expected}: {meaning}", path.display())]
    CameraColumns {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Numbers found.
        found: usize,
        /// Numbers expected.
        expected: usize,
        /// What they are.
        meaning: &'static str,
    },
    /// Something that is no number.
    #[error("`{}`, line {line}: `{found}` is no finite number", path.display())]
    CameraValue {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        found: String,
    },
    /// A camera that can't be.
    #[error("`{}`: {source}", path.display())]
    Camera {
        /// The file of its poses.
        path: PathBuf,
        /// What is wrong.
        source: CameraError,
    },
    /// Texts of different lengths.
    #[error(
        "the embeddings of the views have {found:?} tokens, but all need the same number: write them with the same `worldloop embed`"
    )]
    TextTokens {
        /// Tokens of each view.
        found: Vec<usize>,
    },
}
