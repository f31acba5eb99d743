//! One recorded episode: states, gripper and where the videos are.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::actions::{ACTION_DIM, relative_actions};
use super::error::BridgeError;
use super::params::InferenceParams;

/// Folders above an annotation that may be the root of its dataset: `annotation/0.json` or `annotation/test/0.json`.
const ROOTS: usize = 4;

/// Which states and frames of a recording are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSelection {
    /// Index of the first one.
    pub start: usize,
    /// Frames from one to the next, at least 1.
    pub step: usize,
}

/// A recorded episode in the layout of Bridge. Every number in it is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeAnnotation {
    /// The file.
    pub path: PathBuf,
    /// `[x, y, z, roll, pitch, yaw]` per frame, in metres and radians.
    pub states: Vec<[f64; 6]>,
    /// Gripper per frame, 0 closed to 1 open.
    pub gripper: Vec<f64>,
    /// What the robot was told, where the file says so.
    pub instruction: Option<String>,
    /// Paths of the videos from the root of the dataset, one per camera.
    pub videos: Vec<String>,
    /// Frames per second, where the file says so.
    pub frame_rate_hz: Option<f64>,
}

impl Default for FrameSelection {
    fn default() -> Self {
        Self { start: 0, step: 1 }
    }
}

impl FrameSelection {
    /// Returns the indices that are used of `count` frames.
    pub fn indices(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        (self.start..count).step_by(self.step.max(1))
    }
}

impl BridgeAnnotation {
    /// Reads an annotation; the keys of its states and its gripper are those of the parameters.
    ///
    /// # Errors
    /// [`BridgeError::Read`], [`BridgeError::Json`], [`BridgeError::Entry`] and [`BridgeError::Lengths`].
    pub fn open(path: impl AsRef<Path>, params: &InferenceParams) -> Result<Self, BridgeError> {
        let path = path.as_ref();
        let text = read_text(path)?;
        let json: Value =
            serde_json::from_str(&text).map_err(|source| json_error(path, "annotation", &text, source))?;
        let file = File { path, json: &json };
        let states = file.states(&params.state_key)?;
        let gripper = file.numbers(&params.gripper_key)?;
        if states.len() != gripper.len() {
            return Err(BridgeError::Lengths {
                path: path.to_path_buf(),
                state_key: params.state_key.clone(),
                states: states.len(),
                gripper_key: params.gripper_key.clone(),
                grippers: gripper.len(),
            });
        }
        Ok(Self {
            path: path.to_path_buf(),
            states,
            gripper,
            instruction: json["texts"][0].as_str().map(str::to_owned),
            videos: file.videos()?,
            frame_rate_hz: json["fps"].as_f64().filter(|rate| rate.is_finite() && *rate > 0.0),
        })
    }

    /// Returns the name of the file without its extension.
    pub fn name(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// Returns the actions between the selected states, in metres and radians.
    ///
    /// # Errors
    /// [`BridgeError::TooFewStates`] if there is none.
    pub fn actions(&self, selection: FrameSelection) -> Result<Vec<[f64; ACTION_DIM]>, BridgeError> {
        let chosen: Vec<usize> = selection.indices(self.states.len()).collect();
        if chosen.len() < 2 {
            return Err(BridgeError::TooFewStates {
                path: self.path.clone(),
                states: self.states.len(),
                selected: chosen.len(),
                start: selection.start,
                step: selection.step,
            });
        }
        let states: Vec<[f64; 6]> = chosen.iter().map(|index| self.states[*index]).collect();
        let gripper: Vec<f64> = chosen.iter().map(|index| self.gripper[*index]).collect();
        Ok(relative_actions(&states, &gripper))
    }

    /// Finds the video of a camera.
    ///
    /// Its path counts from `root`, if that is given, and from the folders above the annotation. Where a published set was
    /// copied without the folder of its split (`videos/test/0` to `videos/0`), that is found too.
    ///
    /// # Errors
    /// [`BridgeError::NoCamera`] and [`BridgeError::NoVideo`].
    pub fn find_video(&self, camera: usize, root: Option<&Path>) -> Result<PathBuf, BridgeError> {
        let video = self.videos.get(camera).ok_or_else(|| BridgeError::NoCamera {
            path: self.path.clone(),
            camera,
            cameras: self.videos.len(),
        })?;
        let absolute = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let above = absolute.ancestors().skip(1).take(ROOTS);
        let roots: Vec<&Path> = root.into_iter().chain(above).collect();
        let named = roots.iter().map(|root| root.join(video));
        let without_split = without_split(video);
        let short = without_split
            .iter()
            .flat_map(|short| roots.iter().map(move |root| root.join(short)));
        let tried: Vec<PathBuf> = named.chain(short).collect();
        match tried.iter().find(|path| path.exists()) {
            Some(found) => Ok(found.clone()),
            None => Err(BridgeError::NoVideo {
                path: self.path.clone(),
                video: video.clone(),
                tried,
            }),
        }
    }
}

/// Takes the folder of the split out of a path such as `videos/test/0/rgb.mp4`.
fn without_split(video: &str) -> Option<PathBuf> {
    let mut parts = Path::new(video).components();
    let first = parts.next()?;
    let split = parts.next()?.as_os_str().to_str()?;
    ["train", "val", "test"]
        .contains(&split)
        .then(|| Path::new(&first).join(parts.as_path()))
}

/// A parsed file and its path, for messages.
struct File<'a> {
    path: &'a Path,
    json: &'a Value,
}

impl File<'_> {
    fn list(&self, key: &str) -> Result<&Vec<Value>, BridgeError> {
        self.json[key]
            .as_array()
            .ok_or_else(|| self.unexpected(key, &self.json[key], "a list"))
    }

    fn numbers(&self, key: &str) -> Result<Vec<f64>, BridgeError> {
        let values = self.list(key)?.iter().enumerate();
        values
            .map(|(index, value)| self.number(&format!("{key}[{index}]"), value))
            .collect()
    }

    fn states(&self, key: &str) -> Result<Vec<[f64; 6]>, BridgeError> {
        let mut states = Vec::new();
        for (index, row) in self.list(key)?.iter().enumerate() {
            let entry = format!("{key}[{index}]");
            let values = row.as_array().filter(|row| row.len() >= 6);
            let values = values.ok_or_else(|| self.unexpected(&entry, row, "six or more numbers, a pose first"))?;
            let mut state = [0.0; 6];
            for (axis, value) in state.iter_mut().enumerate() {
                *value = self.number(&format!("{entry}[{axis}]"), &values[axis])?;
            }
            states.push(state);
        }
        Ok(states)
    }

    fn videos(&self) -> Result<Vec<String>, BridgeError> {
        let videos = self.list("videos")?.iter().enumerate();
        videos
            .map(|(index, video)| {
                let path = video.as_str().or(video["video_path"].as_str()).map(str::to_owned);
                let expected = "a path, or an object with a `video_path`";
                path.ok_or_else(|| self.unexpected(&format!("videos[{index}]"), video, expected))
            })
            .collect()
    }

    fn number(&self, entry: &str, value: &Value) -> Result<f64, BridgeError> {
        let number = value.as_f64().filter(|number| number.is_finite());
        number.ok_or_else(|| self.unexpected(entry, value, "a finite number"))
    }

    fn unexpected(&self, entry: &str, value: &Value, expected: &'static str) -> BridgeError {
        let found = match value {
            Value::Null => "missing or null".to_owned(),
            Value::Array(list) => format!("a list of {}", list.len()),
            Value::Object(_) => "an object".to_owned(),
            Value::String(text) => format!("{text:?}"),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
        };
        BridgeError::Entry {
            path: self.path.to_path_buf(),
            entry: entry.to_owned(),
            expected,
            found,
        }
    }
}

pub(super) fn read_text(path: &Path) -> Result<String, BridgeError> {
    std::fs::read_to_string(path).map_err(|source| BridgeError::Read {
        path: path.to_path_buf(),
        source,
    })
}

pub(super) fn json_error(path: &Path, what: &'static str, text: &str, source: serde_json::Error) -> BridgeError {
    BridgeError::Json {
        path: path.to_path_buf(),
        what,
        not_a_number: text.contains("NaN") || text.contains("Infinity"),
        source,
    }
}
