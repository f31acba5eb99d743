//! Everything that can go wrong with a recording in the layout of Bridge.

use std::io;
use std::path::PathBuf;

/// Why a recording or its settings can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// A file could not be read.
    #[error("`{path}` can't be read ({source}): check that it exists and that you may read it")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no JSON, or its keys are not those that are expected.
    #[error("`{path}` is not valid {what} ({source}){}", if *not_a_number {
        ": it has NaN or Infinity, which Python writes and JSON does not have; states must be finite"
    } else {
        ""
    })]
    Json {
        /// The file.
        path: PathBuf,
        /// What the file should be.
        what: &'static str,
        /// Whether a bare `NaN` or `Infinity` is in it.
        not_a_number: bool,
        /// Where and why parsing stopped; names an unknown key.
        #[source]
        source: serde_json::Error,
    },
    /// An entry of an annotation is missing or of another kind.
    #[error("`{entry}` of `{path}` is {found}, expected {expected}")]
    Entry {
        /// The annotation.
        path: PathBuf,
        /// The entry, with indices.
        entry: String,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// States and gripper values differ in number.
    #[error("`{path}` has {states} rows of `{state_key}` and {grippers} values of `{gripper_key}`, expected as many")]
    Lengths {
        /// The annotation.
        path: PathBuf,
        /// Name of the states.
        state_key: String,
        /// Number of states.
        states: usize,
        /// Name of the gripper values.
        gripper_key: String,
        /// Number of gripper values.
        grippers: usize,
    },
    /// Too few states are left for one action.
    #[error(
        "`{path}` leaves {selected} of its {states} states from frame {start} on in steps of {step}, at least 2 are \
         needed for an action: lower start_frame_idx or fps_downsample_ratio, or take a longer recording"
    )]
    TooFewStates {
        /// The annotation.
        path: PathBuf,
        /// States that it has.
        states: usize,
        /// States that were selected.
        selected: usize,
        /// First frame.
        start: usize,
        /// Frames from one to the next.
        step: usize,
    },
    /// There is no camera of this index.
    #[error("`{path}` has no camera {camera}: its `videos` are {cameras} in number, counted from 0")]
    NoCamera {
        /// The annotation.
        path: PathBuf,
        /// The camera that was asked for.
        camera: usize,
        /// Cameras that are there.
        cameras: usize,
    },
    /// The video is nowhere.
    #[error(
        "the video `{video}` of `{path}` was not found, looked for {}: put it beside the annotations as published, or \
         set input_root in the parameters",
        list(tried)
    )]
    NoVideo {
        /// The annotation.
        path: PathBuf,
        /// The path in the annotation.
        video: String,
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// A setting has a value that is not possible here.
    #[error("`{key}` in `{path}` is {found}: {expected}")]
    Parameter {
        /// The file of settings.
        path: PathBuf,
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// What is possible, and why.
        expected: &'static str,
    },
}

fn list(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    shown.join(", ")
}
