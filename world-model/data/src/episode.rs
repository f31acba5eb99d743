//! One recorded episode.

use std::collections::BTreeMap;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::dataset::DatasetInfo;
use crate::error::DatasetError;

/// What an episode is, apart from its frames and actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpisodeInfo {
    /// Seed that the env was reset with.
    pub seed: u64,
    /// Task name, for example `reach`.
    pub task: String,
    /// The task in words.
    pub instruction: String,
    /// Name of the policy that acted.
    pub policy: String,
    /// Name of the env, for example `physics/reach`.
    pub env: String,
    /// Whether the episode ended solved.
    pub success: bool,
}

/// A recorded episode of `T` actions and `T + 1` frames per camera.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// What the episode is.
    pub info: EpisodeInfo,
    /// `T + 1` frames by camera name, earliest first.
    pub frames: BTreeMap<String, Vec<RgbImage>>,
    /// `T` actions, as the env took them.
    pub actions: Vec<Vec<f32>>,
    /// For each of the `T + 1` frames, the robot's state; empty where it was not recorded.
    pub proprioception: Vec<Vec<f32>>,
    /// `T` rewards.
    pub rewards: Vec<f32>,
    /// For each of the `T + 1` frames, whether the task is solved in it.
    pub successes: Vec<bool>,
    /// For each of the `T + 1` frames, progress towards success in `[0, 1]`.
    pub progress: Vec<f32>,
}

impl Episode {
    /// Returns the number of actions.
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Returns whether nothing was done.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// Checks lengths, sizes and finiteness against a dataset's description.
    ///
    /// # Errors
    /// [`DatasetError::Count`], [`DatasetError::Camera`], [`DatasetError::ImageSize`] or [`DatasetError::NotFinite`].
    pub fn check(&self, info: &DatasetInfo, location: &str) -> Result<(), DatasetError> {
        let steps = self.len();
        let counts = [
            ("rewards", steps, self.rewards.len()),
            ("success flags", steps + 1, self.successes.len()),
            ("progress values", steps + 1, self.progress.len()),
        ];
        for (what, expected, found) in counts {
            check_count(location, what, expected, found)?;
        }
        if !info.proprioception.is_empty() {
            check_count(location, "robot states", steps + 1, self.proprioception.len())?;
        }
        for state in &self.proprioception {
            check_count(
                location,
                "values of a robot state",
                info.proprioception.len(),
                state.len(),
            )?;
        }
        for action in &self.actions {
            check_count(location, "action values", info.actions.len(), action.len())?;
        }
        check_finite(location, "an action value", self.actions.iter().map(Vec::as_slice))?;
        check_finite(
            location,
            "a value of the robot state",
            self.proprioception.iter().map(Vec::as_slice),
        )?;
        check_finite(location, "the reward", self.rewards.iter().map(std::slice::from_ref))?;
        check_finite(location, "the progress", self.progress.iter().map(std::slice::from_ref))?;
        self.check_frames(info, location)
    }

    fn check_frames(&self, info: &DatasetInfo, location: &str) -> Result<(), DatasetError> {
        for camera in &info.cameras {
            let frames = self.frames.get(&camera.name).ok_or_else(|| DatasetError::Camera {
                location: location.to_string(),
                camera: camera.name.clone(),
                found: self.frames.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            })?;
            check_count(
                location,
                &format!("frames of `{}`", camera.name),
                self.len() + 1,
                frames.len(),
            )?;
            if let Some(frame) = frames
                .iter()
                .find(|frame| frame.dimensions() != (camera.width, camera.height))
            {
                return Err(DatasetError::ImageSize {
                    location: format!("{location}, camera {}", camera.name),
                    expected_width: camera.width,
                    expected_height: camera.height,
                    found_width: frame.width(),
                    found_height: frame.height(),
                    hint: "record every episode of a dataset at one size",
                });
            }
        }
        Ok(())
    }
}

fn check_count(location: &str, what: &str, expected: usize, found: usize) -> Result<(), DatasetError> {
    if expected == found {
        return Ok(());
    }
    Err(DatasetError::Count {
        location: location.to_string(),
        what: what.to_string(),
        expected,
        found,
    })
}

fn check_finite<'a>(
    location: &str,
    what: &'static str,
    rows: impl Iterator<Item = &'a [f32]>,
) -> Result<(), DatasetError> {
    for (step, row) in rows.enumerate() {
        if let Some(&value) = row.iter().find(|value| !value.is_finite()) {
            return Err(DatasetError::NotFinite {
                location: location.to_string(),
                what,
                step,
                value,
            });
        }
    }
    Ok(())
}
