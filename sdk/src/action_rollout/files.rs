//! What a rollout leaves on disk: the predicted video, an animation beside the recording, and its figures.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use worldloop_world_model_data::{ffmpeg_is_installed, write_video};

use super::error::ActionRolloutError;
use super::play::PlayedActions;
use super::recorded_clip::RecordedClip;
use crate::evaluation::mean_psnr;
use crate::evaluation::report::side_by_side_gif;
use crate::whole_file;

/// Frames per second of videos where nothing else is known, as the published settings have it.
const DEFAULT_RATE_HZ: f64 = 20.0;

/// What decides over a rollout's frames, beside the recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutSettings {
    /// The checkpoint, as it was named.
    pub checkpoint: PathBuf,
    /// Name of the model.
    pub model: String,
    /// Whether the weights were drawn, not trained.
    pub random_weights: bool,
    /// Element type of the transformer's weights.
    pub dtype: String,
    /// Low-rank adapter of the transformer, with its scale.
    pub adapter: Option<(PathBuf, f64)>,
    /// Name of the seam.
    pub seam: String,
    /// How the last frame of a chunk becomes the first of the next: `rgb8` or `float`.
    pub feedback: String,
    /// Denoising steps of a chunk.
    pub num_steps: usize,
    /// Actions of a chunk.
    pub chunk_length: usize,
    /// What the noise of a chunk is seeded with.
    pub noise_seed: String,
    /// Height of the frames in pixels.
    pub height: usize,
    /// Width of the frames in pixels.
    pub width: usize,
    /// Whether the network was taken for one that sees all actions of a chunk at once.
    pub whole_chunk: bool,
    /// Where the text embedding came from: a file, the folder of a text encoder, `checkpoint`, or `zeros`, which stand in where the
    /// checkpoint has none.
    pub text: String,
    /// Key of the states in the annotation.
    pub state_key: String,
    /// Key of the gripper values in the annotation.
    pub gripper_key: String,
    /// Index of the first frame.
    pub start_frame_idx: usize,
    /// Recorded frames per frame.
    pub fps_downsample_ratio: usize,
    /// Index of the camera.
    pub camera_id: usize,
    /// Factor of translations and rotations.
    pub action_scaler: f64,
    /// Factor of the gripper.
    pub gripper_scale: f64,
    /// Whether only the first chunk was played.
    pub single_chunk: bool,
}

/// The figures of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The annotation.
    pub annotation: PathBuf,
    /// The recorded video.
    pub recorded_video: PathBuf,
    /// What the robot was told.
    pub instruction: Option<String>,
    /// All frames, the first one included.
    pub frames: usize,
    /// How many of them are predictions.
    pub predicted_frames: usize,
    /// Actions of the recording.
    pub actions: usize,
    /// Chunks that were played.
    pub chunks: usize,
    /// Mean time of a chunk.
    pub seconds_per_chunk: f64,
    /// Frames per second of the video that was written.
    pub frame_rate_hz: f64,
    /// Mean over the predicted frames of their PSNR against the recorded frames of the same index, resized the same way, in
    /// dB. None with random weights, where it would mean nothing.
    pub psnr_against_recording_db: Option<f64>,
    /// What decides over the frames.
    pub settings: RolloutSettings,
    /// The predicted frames.
    pub predicted_video: PathBuf,
    /// The recording, and the prediction beside it.
    pub side_by_side: PathBuf,
}

/// The files of one rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutFiles {
    record: PathBuf,
    stem: PathBuf,
}

impl RolloutFiles {
    /// Returns the files of a recording in a folder: `NAME_chunk.mp4`, `NAME_chunk_side_by_side.gif` and `NAME.json`, with
    /// `single_chunk` in place of `chunk` where only one is played.
    pub fn new(folder: &Path, name: &str, single_chunk: bool) -> Self {
        let (stem, record) = if single_chunk {
            (format!("{name}_single_chunk"), format!("{name}_single_chunk.json"))
        } else {
            (format!("{name}_chunk"), format!("{name}.json"))
        };
        Self {
            record: folder.join(record),
            stem: folder.join(stem),
        }
    }

    /// Returns the figures of a rollout that is finished, and nothing if there is none.
    ///
    /// # Errors
    /// [`ActionRolloutError::OtherRecording`], [`ActionRolloutError::OtherSettings`] and [`ActionRolloutError::File`].
    pub fn finished(
        &self,
        annotation: &Path,
        settings: &RolloutSettings,
    ) -> Result<Option<RolloutRecord>, ActionRolloutError> {
        if !self.record.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&self.record).map_err(|source| self.file_error(&self.record, source))?;
        // What can't be read is of another version, or something else, and made anew.
        let Ok(record) = serde_json::from_str::<RolloutRecord>(&text) else {
            return Ok(None);
        };
        if !(record.predicted_video.is_file() && record.side_by_side.is_file()) {
            return Ok(None);
        }
        if are_two_files(&record.annotation, annotation) {
            return Err(ActionRolloutError::OtherRecording {
                path: self.record.clone(),
                found: record.annotation,
                expected: annotation.to_path_buf(),
            });
        }
        match first_difference(&record.settings, settings) {
            None => Ok(Some(record)),
            Some((key, found, expected)) => Err(ActionRolloutError::OtherSettings {
                path: self.record.clone(),
                key,
                found,
                expected,
            }),
        }
    }

    /// Writes everything, the figures last: they mark the rollout as finished. Each file appears whole.
    ///
    /// Without the program `ffmpeg`, the predicted frames become a GIF.
    ///
    /// # Errors
    /// [`ActionRolloutError::Video`], [`ActionRolloutError::Animation`] and [`ActionRolloutError::File`].
    pub fn write(
        &self,
        clip: &RecordedClip,
        played: &PlayedActions,
        save_rate_hz: Option<f64>,
        settings: RolloutSettings,
    ) -> Result<RolloutRecord, ActionRolloutError> {
        let rate = save_rate_hz.or(clip.frame_rate_hz).unwrap_or(DEFAULT_RATE_HZ);
        let predicted_video = if ffmpeg_is_installed() {
            let path = self.with_ending(".mp4");
            write_video(&path, &played.frames, rate)?;
            path
        } else {
            let path = self.with_ending(".gif");
            self.write_whole(&path, &side_by_side_gif(&played.frames, &[], rate as f32, 1)?.bytes)?;
            path
        };
        let side_by_side = self.with_ending("_side_by_side.gif");
        let animation = side_by_side_gif(&clip.frames, &played.frames, rate as f32, 1)?;
        self.write_whole(&side_by_side, &animation.bytes)?;
        let chunks = played.chunk_secs.len();
        let pairs = clip.frames.iter().zip(&played.frames).skip(played.observed);
        let record = RolloutRecord {
            annotation: clip.annotation.clone(),
            recorded_video: clip.video.clone(),
            instruction: clip.instruction.clone(),
            frames: played.frames.len(),
            predicted_frames: played.frames.len() - played.observed,
            actions: clip.actions.len(),
            chunks,
            seconds_per_chunk: played.chunk_secs.iter().sum::<f64>() / chunks.max(1) as f64,
            frame_rate_hz: rate,
            psnr_against_recording_db: if settings.random_weights {
                None
            } else {
                mean_psnr(pairs)
            },
            settings,
            predicted_video,
            side_by_side,
        };
        let text = serde_json::to_vec_pretty(&record).map_err(|error| self.file_error(&self.record, error.into()))?;
        self.write_whole(&self.record, &text)?;
        Ok(record)
    }

    fn with_ending(&self, ending: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), ActionRolloutError> {
        whole_file::put(path, |partial| std::fs::write(partial, bytes)).map_err(|source| self.file_error(path, source))
    }

    fn file_error(&self, path: &Path, source: std::io::Error) -> ActionRolloutError {
        ActionRolloutError::File {
            path: path.to_path_buf(),
            source,
        }
    }
}

/// Returns whether two paths are known to lead to different files; a recording may have moved since.
fn are_two_files(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one != other,
        _ => false,
    }
}

/// Returns the first setting that differs, with its value in both.
fn first_difference(found: &RolloutSettings, expected: &RolloutSettings) -> Option<(String, String, String)> {
    let [found, expected] = [found, expected].map(|settings| serde_json::to_value(settings).unwrap_or_default());
    let entries = expected.as_object()?.iter();
    let differing = entries
        .map(|(key, value)| (key, &found[key], value))
        .find(|(_, then, now)| then != now);
    differing.map(|(key, then, now): (_, &Value, _)| (key.clone(), then.to_string(), now.to_string()))
}
