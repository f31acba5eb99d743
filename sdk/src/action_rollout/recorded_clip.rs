//! One recording, ready to be played: observed frames of the model's size, and scaled actions.

use std::path::{Path, PathBuf};

use image::RgbImage;
use worldloop_world_model_data::bridge::{BridgeAnnotation, ImageSize, InferenceParams};
use worldloop_world_model_data::{VideoReader, resize_lanczos};

use super::action_file::read_actions;
use super::error::ActionRolloutError;

/// A recorded episode: frames, and the actions that lead from one to the next.
#[derive(Debug, Clone)]
pub struct RecordedClip {
    /// Name of the annotation, without its extension.
    pub name: String,
    /// The annotation.
    pub annotation: PathBuf,
    /// The video.
    pub video: PathBuf,
    /// What the robot was told, where the annotation says so.
    pub instruction: Option<String>,
    /// Observed frames, resized as Pillow does with `LANCZOS`: one more than there are actions, or the first alone.
    pub frames: Vec<RgbImage>,
    /// Scaled actions, as the network takes them.
    pub actions: Vec<Vec<f32>>,
    /// Index of the first frame in the recording; noise is seeded from it on.
    pub start: usize,
    /// Frames per second after leaving frames out, where the recording says so.
    pub frame_rate_hz: Option<f64>,
}

impl RecordedClip {
    /// Reads an annotation and its video, and takes from both what the parameters ask for.
    ///
    /// The video may go on after the last state; that is left out.
    ///
    /// # Errors
    /// [`ActionRolloutError`] that names the file.
    pub fn open(annotation: impl AsRef<Path>, params: &InferenceParams) -> Result<Self, ActionRolloutError> {
        let annotation = BridgeAnnotation::open(annotation, params)?;
        let selection = params.selection();
        let actions = annotation.actions(selection)?;
        let video = annotation.find_video(params.camera_id, params.input_root.as_deref())?;
        let mut reader = VideoReader::open(&video)?;
        let rate = annotation.frame_rate_hz.or(reader.frame_rate_hz());
        let mut chosen = selection.indices(annotation.states.len()).peekable();
        let mut frames = Vec::with_capacity(actions.len() + 1);
        let mut count = 0;
        // What comes after the last state is not even decoded.
        while chosen.peek().is_some() {
            let Some(frame) = reader.next() else {
                return Err(ActionRolloutError::FrameCount {
                    video,
                    frames: count,
                    annotation: annotation.path,
                    states: annotation.states.len(),
                });
            };
            let frame = frame?;
            if chosen.next_if_eq(&count).is_some() {
                frames.push(resized(frame, params));
            }
            count += 1;
        }
        Ok(Self {
            name: annotation.name(),
            video,
            frames,
            actions: actions.into_iter().map(|action| params.scaled(action)).collect(),
            start: selection.start,
            frame_rate_hz: rate.map(|rate| rate / selection.step as f64),
            instruction: annotation.instruction,
            annotation: annotation.path,
        })
    }

    /// Starts from one picture, resized as the parameters say, and takes the actions of a file.
    ///
    /// The file is an annotation, or a JSON list of rows: metres, radians and the gripper for seven values, the network's own
    /// units for any other number.
    ///
    /// # Errors
    /// [`ActionRolloutError`] that names the file and the entry.
    pub fn from_picture(
        picture: RgbImage,
        picture_path: impl Into<PathBuf>,
        actions: impl AsRef<Path>,
        params: &InferenceParams,
    ) -> Result<Self, ActionRolloutError> {
        let path = actions.as_ref();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            name,
            annotation: path.to_path_buf(),
            video: picture_path.into(),
            instruction: None,
            frames: vec![resized(picture, params)],
            actions: read_actions(path, params)?,
            start: params.start_frame_idx,
            frame_rate_hz: None,
        })
    }

    /// Returns height and width of the frames in pixels.
    pub fn size(&self) -> [usize; 2] {
        let (width, height) = self.frames.first().map_or((0, 0), RgbImage::dimensions);
        [height as usize, width as usize]
    }
}

fn resized(frame: RgbImage, params: &InferenceParams) -> RgbImage {
    match params.image_size() {
        // Sizes of parameters from a file were checked; they are at most a few thousand pixels.
        Some(ImageSize::Pixels { height, width }) => resize_lanczos(&frame, width as u32, height as u32),
        Some(ImageSize::Recorded) | None => frame,
    }
}
