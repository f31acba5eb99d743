//! Writing episodes, so that a kill never leaves half of one.

use std::collections::BTreeSet;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use crate::dataset::{DatasetInfo, EpisodeFile, INFO_FILE, json_name, list_indices, read_info, strip_name};
use crate::episode::Episode;
use crate::error::DatasetError;

/// Adds episodes to a folder.
///
/// Opening a folder that has episodes goes on with it; [`contains`](Self::contains) tells what need not be done again.
#[derive(Debug)]
pub struct EpisodeWriter {
    path: PathBuf,
    info: DatasetInfo,
    written: BTreeSet<usize>,
}

impl EpisodeWriter {
    /// Starts a dataset, or goes on with one that has the same description.
    ///
    /// # Errors
    /// [`DatasetError::Write`] if the folder can't be made or written, [`DatasetError::Mismatch`] if it holds a dataset
    /// of another description, and reading errors as in [`Dataset::open`](crate::Dataset::open).
    pub fn open(path: impl AsRef<Path>, info: DatasetInfo) -> Result<Self, DatasetError> {
        let path = path.as_ref().to_path_buf();
        std::fs::create_dir_all(&path).map_err(|source| DatasetError::Write {
            path: path.clone(),
            source,
        })?;
        match read_info(&path)? {
            None => write_json(&path.join(INFO_FILE), "dataset description", &info)?,
            Some(found) => {
                if let Some(field) = first_difference(&found, &info) {
                    return Err(DatasetError::Mismatch { path, field });
                }
            }
        }
        let written = list_indices(&path)?.into_iter().collect();
        Ok(Self { path, info, written })
    }

    /// Returns whether an episode is already complete.
    pub fn contains(&self, index: usize) -> bool {
        self.written.contains(&index)
    }

    /// Returns the number of complete episodes.
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Returns whether there is no complete episode.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Returns the index after the last complete episode.
    pub fn next_index(&self) -> usize {
        self.written.last().map_or(0, |last| last + 1)
    }

    /// Writes one episode; the JSON file comes last and marks it as complete.
    ///
    /// # Errors
    /// Those of [`Episode::check`] before anything is written, [`DatasetError::Image`] and [`DatasetError::Write`].
    pub fn write(&mut self, index: usize, episode: &Episode) -> Result<(), DatasetError> {
        let location = self.path.join(json_name(index));
        episode.check(&self.info, &location.display().to_string())?;
        for camera in &self.info.cameras {
            let path = self.path.join(strip_name(index, &camera.name));
            let png = encode_strip(&episode.frames[&camera.name], &path)?;
            write_atomically(&path, &png)?;
        }
        let file = EpisodeFile {
            info: episode.info.clone(),
            actions: episode.actions.clone(),
            proprioception: episode.proprioception.clone(),
            rewards: episode.rewards.clone(),
            successes: episode.successes.clone(),
            progress: episode.progress.clone(),
        };
        write_json(&location, "episode", &file)?;
        self.written.insert(index);
        Ok(())
    }
}

fn first_difference(found: &DatasetInfo, wanted: &DatasetInfo) -> Option<&'static str> {
    let differences = [
        ("cameras", found.cameras != wanted.cameras),
        ("actions", found.actions != wanted.actions),
        ("proprioception", found.proprioception != wanted.proprioception),
        ("action_frame", found.action_frame != wanted.action_frame),
        ("frame_rate_hz", found.frame_rate_hz != wanted.frame_rate_hz),
    ];
    differences
        .into_iter()
        .find_map(|(field, differs)| differs.then_some(field))
}

/// Puts frames one below the other and compresses them without loss.
fn encode_strip(frames: &[RgbImage], path: &Path) -> Result<Vec<u8>, DatasetError> {
    let (width, height) = frames.first().map_or((0, 0), RgbImage::dimensions);
    let pixels: Vec<u8> = frames.iter().flat_map(|frame| frame.as_raw().iter().copied()).collect();
    let mut png = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Up)
        .write_image(&pixels, width, height * frames.len() as u32, ExtendedColorType::Rgb8)
        .map_err(|source| DatasetError::Image {
            path: path.to_path_buf(),
            source,
        })?;
    Ok(png.into_inner())
}

fn write_json<T: serde::Serialize>(path: &Path, what: &'static str, value: &T) -> Result<(), DatasetError> {
    let text = serde_json::to_vec(value).map_err(|source| DatasetError::Json {
        path: path.to_path_buf(),
        what,
        source,
    })?;
    write_atomically(path, &text)
}

/// Writes beside the file and renames, so that the file is whole or absent.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    let mut temporary = path.as_os_str().to_os_string();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        drop(file);
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        // What is left of a full disk's attempt only takes space; that it may not be there is fine.
        let _ = std::fs::remove_file(&temporary);
        DatasetError::Write {
            path: path.to_path_buf(),
            source,
        }
    })
}
