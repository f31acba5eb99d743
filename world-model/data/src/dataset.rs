//! A folder of episodes: its description, reading, and what is in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::episode::{Episode, EpisodeInfo};
use crate::error::DatasetError;

/// File with the description of a dataset.
pub(crate) const INFO_FILE: &str = "dataset.json";

/// Version of the format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// One camera of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraInfo {
    /// Name, for example `third_person`.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// One value of a dataset's actions, or of its robot states.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionInfo {
    /// Name, for example `delta_x`.
    pub name: String,
    /// Unit of the physical quantity, for example `m`; empty for pure numbers.
    pub unit: String,
    /// Smallest valid value.
    pub low: f32,
    /// Largest valid value.
    pub high: f32,
    /// Physical quantity, in `unit`, of a value of 1.
    pub scale: f32,
}

/// What all episodes of a dataset have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetInfo {
    /// Version of the format, [`FORMAT_VERSION`].
    pub version: u32,
    /// Cameras.
    pub cameras: Vec<CameraInfo>,
    /// The action vector, value by value.
    pub actions: Vec<ActionInfo>,
    /// The robot's state, value by value; empty where it is not recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proprioception: Vec<ActionInfo>,
    /// Frame that motions are expressed in, for example `gripper`.
    pub action_frame: String,
    /// Frames, and actions, per second.
    pub frame_rate_hz: f32,
}

/// The JSON file of one episode; its presence marks the episode as complete.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EpisodeFile {
    pub(crate) info: EpisodeInfo,
    pub(crate) actions: Vec<Vec<f32>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) proprioception: Vec<Vec<f32>>,
    pub(crate) rewards: Vec<f32>,
    pub(crate) successes: Vec<bool>,
    pub(crate) progress: Vec<f32>,
}

/// An opened dataset.
///
/// # Example
/// ```no_run
/// # fn example() -> Result<(), worldloop_world_model_data::DatasetError> {
/// let dataset = worldloop_world_model_data::Dataset::open("recordings")?;
/// for &index in dataset.indices() {
///     println!("{}", dataset.load(index)?.info.task);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Dataset {
    path: PathBuf,
    info: DatasetInfo,
    indices: Vec<usize>,
}

impl Dataset {
    /// Opens a dataset and lists its complete episodes.
    ///
    /// # Errors
    /// [`DatasetError::NotADataset`], [`DatasetError::Json`], [`DatasetError::Version`] or [`DatasetError::Read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DatasetError> {
        let path = path.as_ref().to_path_buf();
        let info = read_info(&path)?.ok_or_else(|| DatasetError::NotADataset { path: path.clone() })?;
        let indices = list_indices(&path)?;
        Ok(Self { path, info, indices })
    }

    /// Returns the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what all episodes have in common.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// Returns the indices of the complete episodes, ascending.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// Returns the number of complete episodes.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Returns whether there is no complete episode.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Reads what an episode is, without its frames.
    ///
    /// # Errors
    /// [`DatasetError::NoEpisode`], [`DatasetError::Read`] or [`DatasetError::Json`].
    pub fn load_info(&self, index: usize) -> Result<EpisodeInfo, DatasetError> {
        Ok(self.read_file(index)?.info)
    }

    /// Reads one episode with all cameras.
    ///
    /// # Errors
    /// As [`load_info`](Self::load_info), [`DatasetError::Image`], and those of [`Episode::check`].
    pub fn load(&self, index: usize) -> Result<Episode, DatasetError> {
        let file = self.read_file(index)?;
        let mut frames = BTreeMap::new();
        for camera in &self.info.cameras {
            let path = self.path.join(strip_name(index, &camera.name));
            frames.insert(camera.name.clone(), read_strip(&path, camera, file.actions.len() + 1)?);
        }
        let EpisodeFile {
            info,
            actions,
            proprioception,
            rewards,
            successes,
            progress,
        } = file;
        let episode = Episode {
            info,
            frames,
            actions,
            proprioception,
            rewards,
            successes,
            progress,
        };
        episode.check(&self.info, &self.path.join(json_name(index)).display().to_string())?;
        Ok(episode)
    }

    /// Reads every episode.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`DatasetError::Empty`] if there is none.
    pub fn load_all(&self) -> Result<Vec<Episode>, DatasetError> {
        if self.is_empty() {
            return Err(DatasetError::Empty {
                path: self.path.clone(),
            });
        }
        self.indices.iter().map(|&index| self.load(index)).collect()
    }

    fn read_file(&self, index: usize) -> Result<EpisodeFile, DatasetError> {
        if self.indices.binary_search(&index).is_err() {
            return Err(DatasetError::NoEpisode {
                path: self.path.clone(),
                index,
                count: self.len(),
            });
        }
        let path = self.path.join(json_name(index));
        let text = std::fs::read(&path).map_err(|source| DatasetError::Read {
            path: path.clone(),
            source,
        })?;
        serde_json::from_slice(&text).map_err(|source| DatasetError::Json {
            path,
            what: "episode",
            source,
        })
    }
}

/// Reads the description in a folder; `None` where there is none.
pub(crate) fn read_info(folder: &Path) -> Result<Option<DatasetInfo>, DatasetError> {
    let path = folder.join(INFO_FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(DatasetError::Read { path, source }),
    };
    let info: DatasetInfo = serde_json::from_slice(&text).map_err(|source| DatasetError::Json {
        path,
        what: "dataset description",
        source,
    })?;
    if info.version != FORMAT_VERSION {
        return Err(DatasetError::Version {
            path: folder.to_path_buf(),
            expected: FORMAT_VERSION,
            found: info.version,
        });
    }
    Ok(Some(info))
}

/// Lists the complete episodes of a folder, ascending.
pub(crate) fn list_indices(folder: &Path) -> Result<Vec<usize>, DatasetError> {
    let read_error = |source| DatasetError::Read {
        path: folder.to_path_buf(),
        source,
    };
    let mut indices = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read_error)? {
        let name = entry.map_err(read_error)?.file_name();
        let digits = name
            .to_str()
            .and_then(|name| name.strip_prefix("episode-")?.strip_suffix(".json"));
        indices.extend(digits.and_then(|digits| digits.parse::<usize>().ok()));
    }
    indices.sort_unstable();
    Ok(indices)
}

pub(crate) fn json_name(index: usize) -> String {
    format!("episode-{index:06}.json")
}

pub(crate) fn strip_name(index: usize, camera: &str) -> String {
    format!("episode-{index:06}.{camera}.png")
}

/// Reads a strip of frames, one below the other.
fn read_strip(path: &Path, camera: &CameraInfo, count: usize) -> Result<Vec<RgbImage>, DatasetError> {
    let bytes = std::fs::read(path).map_err(|source| DatasetError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let strip = image::load_from_memory_with_format(&bytes, image::ImageFormat::Png)
        .map_err(|source| DatasetError::Image {
            path: path.to_path_buf(),
            source,
        })?
        .into_rgb8();
    let expected = (camera.width, camera.height * count as u32);
    if strip.dimensions() != expected {
        return Err(DatasetError::ImageSize {
            location: path.display().to_string(),
            expected_width: expected.0,
            expected_height: expected.1,
            found_width: strip.width(),
            found_height: strip.height(),
            hint: "delete this episode's files and record it again",
        });
    }
    let frame_bytes = (camera.width * camera.height * 3) as usize;
    let frames = strip.as_raw().chunks_exact(frame_bytes);
    Ok(frames
        .filter_map(|frame| RgbImage::from_raw(camera.width, camera.height, frame.to_vec()))
        .collect())
}
