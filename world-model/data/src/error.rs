//! Everything that can go wrong with recordings on disk.

use std::io;
use std::path::PathBuf;

/// Why a dataset could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// A folder that holds no dataset.
    #[error("`{path}` holds no dataset ({missing} is not there): record one with `worldloop record --out {path}`", missing = super::dataset::INFO_FILE)]
    NotADataset {
        /// The folder.
        path: PathBuf,
    },
    /// A dataset without episodes.
    #[error("the dataset `{path}` has no complete episodes: record some with `worldloop record --out {path}`")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// An episode that is not there.
    #[error("the dataset `{path}` has no episode {index}: it has {count} episodes, list them first")]
    NoEpisode {
        /// The folder.
        path: PathBuf,
        /// Index that was asked for.
        index: usize,
        /// Episodes that are there.
        count: usize,
    },
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
    #[error(
        "`{path}` can't be written ({source}): check free space and permissions, then run the same command again to go on"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A JSON file is not what it should be: broken off, a key missing, or a key unknown.
    #[error("`{path}` is not a valid {what} ({source}): fix the named key, or delete the file and record again")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the file should be, for example "dataset description".
        what: &'static str,
        /// Where and why parsing stopped.
        #[source]
        source: serde_json::Error,
    },
    /// An image strip is truncated or no PNG.
    #[error("`{path}` is a damaged image strip: delete this episode's files and record it again")]
    Image {
        /// The file.
        path: PathBuf,
        /// Why decoding or encoding stopped.
        #[source]
        source: image::ImageError,
    },
    /// An image strip or a frame has another size than the description says.
    #[error("`{location}` is {found_width}x{found_height} pixels, expected {expected_width}x{expected_height}: {hint}")]
    ImageSize {
        /// File or camera.
        location: String,
        /// Width that fits, in pixels.
        expected_width: u32,
        /// Height that fits, in pixels.
        expected_height: u32,
        /// Width that was found, in pixels.
        found_width: u32,
        /// Height that was found, in pixels.
        found_height: u32,
        /// What to do.
        hint: &'static str,
    },
    /// A list of an episode has the wrong length.
    #[error("`{location}` has {found} {what}, expected {expected}: an episode of T actions has T + 1 frames")]
    Count {
        /// File or episode.
        location: String,
        /// What was counted.
        what: String,
        /// Number that fits.
        expected: usize,
        /// Number that was found.
        found: usize,
    },
    /// A camera of the description is missing.
    #[error("`{location}` has no camera `{camera}`: it has {found}; record with the cameras of the dataset")]
    Camera {
        /// File or episode.
        location: String,
        /// Camera that was looked for.
        camera: String,
        /// Cameras that are there.
        found: String,
    },
    /// A value is NaN or infinite.
    #[error(
        "{what} of step {step} in `{location}` is {value}: recordings must be finite, look at the policy and the env"
    )]
    NotFinite {
        /// File or episode.
        location: String,
        /// Kind of value.
        what: &'static str,
        /// Step in which it stands.
        step: usize,
        /// What was found.
        value: f32,
    },
    /// The dataset was written by another version of the format.
    #[error("the dataset `{path}` has format version {found}, this program reads version {expected}: record it again")]
    Version {
        /// The folder.
        path: PathBuf,
        /// Version this program reads.
        expected: u32,
        /// Version in the file.
        found: u32,
    },
    /// Recording goes on in a folder that holds another kind of episodes.
    #[error("the dataset `{path}` has another `{field}` than the episodes to be added: choose another folder")]
    Mismatch {
        /// The folder.
        path: PathBuf,
        /// The first field that differs.
        field: &'static str,
    },
}
