//! Recorded episodes in memory, and clips of them as tensors.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use worldloop_world_model_data::{Dataset, DatasetError, DatasetInfo, Episode, Window, windows};

use crate::error::TrainingError;
use crate::random::StepRandom;

/// One episode of this many is kept for validation.
const VALIDATION_EVERY: usize = 25;

/// Recorded episodes of one camera, split into those to train on and those to validate on.
#[derive(Debug)]
pub struct Recordings {
    path: PathBuf,
    info: DatasetInfo,
    camera: String,
    /// Episodes to train on.
    pub training: Vec<Episode>,
    /// Episodes that are never trained on.
    pub validation: Vec<Episode>,
}

/// A square part of the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// Leftmost column.
    pub left: usize,
    /// Uppermost row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Recordings {
    /// Reads datasets of the same description; every 25th episode is kept for validation.
    ///
    /// # Errors
    /// Those of reading, [`DatasetError::Mismatch`] for datasets that differ, and [`TrainingError::TooLittleData`] for
    /// fewer than two episodes.
    pub fn load(paths: &[PathBuf], camera: &str) -> Result<Self, TrainingError> {
        let mut description: Option<DatasetInfo> = None;
        let (mut training, mut validation) = (Vec::new(), Vec::new());
        for path in paths {
            let dataset = Dataset::open(path)?;
            let info = dataset.info().clone();
            if description.as_ref().is_some_and(|first| *first != info) {
                return Err(DatasetError::Mismatch {
                    path: path.clone(),
                    field: "description",
                }
                .into());
            }
            description = Some(info);
            for (place, mut episode) in dataset.load_all()?.into_iter().enumerate() {
                episode.frames.retain(|name, _| name == camera);
                let list = if place % VALIDATION_EVERY == VALIDATION_EVERY - 1 {
                    &mut validation
                } else {
                    &mut training
                };
                list.push(episode);
            }
        }
        let path = paths.first().cloned().unwrap_or_default();
        let Some(info) = description else {
            return Err(DatasetError::NotADataset { path }.into());
        };
        require_camera(&info, camera, &path)?;
        if validation.is_empty() {
            // Few episodes: the last one is for validation.
            validation.extend(training.pop());
        }
        if training.is_empty() {
            return Err(TrainingError::TooLittleData {
                path,
                what: "episodes",
                expected: 2,
                found: validation.len(),
            });
        }
        Ok(Self {
            path,
            info,
            camera: camera.to_string(),
            training,
            validation,
        })
    }

    /// Returns what all episodes have in common.
    pub fn info(&self) -> &DatasetInfo {
        &self.info
    }

    /// Returns the folder of the first dataset.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the camera's name.
    pub fn camera(&self) -> &str {
        &self.camera
    }

    /// Returns height and width of the frames.
    pub fn size(&self) -> [usize; 2] {
        let camera = self.info.cameras.iter().find(|camera| camera.name == self.camera);
        camera.map_or([0, 0], |camera| [camera.height as usize, camera.width as usize])
    }

    /// Lists the windows of exactly `chunk` actions in the episodes: a start every `stride` frames, and the window that
    /// ends where the episode does.
    ///
    /// An episode's end is where success is, and most lengths are no multiple of the stride.
    ///
    /// # Errors
    /// [`TrainingError::TooLittleData`] if there is none.
    pub fn windows(&self, episodes: &[Episode], chunk: usize, stride: usize) -> Result<Vec<Window>, TrainingError> {
        let lengths: Vec<usize> = episodes.iter().map(Episode::len).collect();
        let mut found = windows(&lengths, chunk, stride, chunk);
        let ends = lengths.iter().enumerate().filter_map(|(episode, length)| {
            let start = length.checked_sub(chunk)?;
            let missed = !start.is_multiple_of(stride.max(1));
            missed.then_some(Window {
                episode,
                start,
                actions: chunk,
            })
        });
        found.extend(ends);
        found.sort_by_key(|window| (window.episode, window.start));
        if found.is_empty() {
            let (path, expected) = (self.path.clone(), 1);
            return Err(TrainingError::TooLittleData {
                path,
                what: "windows as long as a chunk",
                expected,
                found: 0,
            });
        }
        Ok(found)
    }

    /// Returns the frames of an episode, earliest first.
    pub fn frames<'a>(&self, episode: &'a Episode) -> &'a [RgbImage] {
        episode.frames.get(&self.camera).map_or(&[], Vec::as_slice)
    }

    /// Builds clips of `count` frames from windows.
    ///
    /// # Shapes
    /// - output: `[batch, 3, count, height, width]`, RGB in `[-1, 1]`; all crops have the size of the first
    pub fn clips(&self, sources: &[(&Episode, Window, Crop)], count: usize, device: &Device) -> Tensor<5> {
        let (height, width) = sources.first().map_or((0, 0), |(_, _, crop)| (crop.height, crop.width));
        let plane = height * width;
        let mut values = vec![0.0_f32; sources.len() * 3 * count * plane];
        for ((episode, window, crop), clip) in sources.iter().zip(values.chunks_exact_mut((3 * count * plane).max(1))) {
            let frames = self.frames(episode);
            for offset in 0..count {
                let pixels = frames[window.frame(offset)].as_raw();
                let columns = frames[window.frame(offset)].width() as usize;
                for y in 0..height {
                    let row = &pixels[3 * ((crop.top + y) * columns + crop.left)..][..3 * width];
                    for (x, pixel) in row.chunks_exact(3).enumerate() {
                        for (channel, &byte) in pixel.iter().enumerate() {
                            clip[(channel * count + offset) * plane + y * width + x] = f32::from(byte) / 127.5 - 1.0;
                        }
                    }
                }
            }
        }
        Tensor::from_data(
            TensorData::new(values, [sources.len(), 3, count, height, width]),
            device,
        )
    }

    /// Sums how much the pixels of a crop differ between a window's first frame and its middle and last ones.
    pub fn motion(&self, episode: &Episode, window: Window, crop: Crop) -> u64 {
        let frames = self.frames(episode);
        let first = &frames[window.start];
        let rows = crop.top..crop.top + crop.height;
        let difference = |frame: &RgbImage, y: usize| -> u64 {
            let start = 3 * (y * frame.width() as usize + crop.left);
            let both = first.as_raw()[start..]
                .iter()
                .zip(&frame.as_raw()[start..])
                .take(3 * crop.width);
            both.map(|(first, later)| u64::from(first.abs_diff(*later))).sum()
        };
        let later = [window.actions / 2, window.actions].map(|offset| &frames[window.frame(offset)]);
        later
            .iter()
            .map(|frame| rows.clone().map(|y| difference(frame, y)).sum::<u64>())
            .sum()
    }

    /// Returns the crop that is the whole frame.
    pub fn whole(&self) -> Crop {
        let [height, width] = self.size();
        Crop {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// Draws a square crop whose corner is a multiple of `grid` pixels; the whole frame if it is not larger.
    pub fn random_crop(&self, size: usize, grid: usize, random: &mut StepRandom) -> Crop {
        let [height, width] = self.size();
        let place =
            |extent: usize, random: &mut StepRandom| grid * random.index(extent.saturating_sub(size) / grid + 1);
        let (size_y, size_x) = (size.min(height), size.min(width));
        let (top, left) = (place(height, random), place(width, random));
        Crop {
            left,
            top,
            width: size_x,
            height: size_y,
        }
    }
}

/// Refuses a camera that the recordings do not have.
fn require_camera(info: &DatasetInfo, camera: &str, path: &Path) -> Result<(), DatasetError> {
    if !info.cameras.iter().any(|found| found.name == camera) {
        let found = info
            .cameras
            .iter()
            .map(|found| found.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let location = path.display().to_string();
        return Err(DatasetError::Camera {
            location,
            camera: camera.to_string(),
            found,
        });
    }
    Ok(())
}
