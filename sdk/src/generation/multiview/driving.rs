//! The cameras of a car, and what their views start from.
//!
//! Source: `cosmos_predict2/multiview.py@2ac6ee5` (names, numbers, resizing, frame rates) and
//! `_src/predict2_multiview/models/multiview_vid2vid_model_rectified_flow.py@2ac6ee5` (texts).
//! Differs: only the frames that are given are read; every view has a frame rate of its own, and a picture or a folder of
//! pictures has none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use worldloop_world_model_data::VideoReader;

use super::error::MultiviewError;
use crate::generation::error::GenerationError;
use crate::generation::frame_source::{check_input, is_image, read_image, require_frames, stretch};
use crate::generation::generator::Videos;
use crate::generation::plan::GenerationPlan;
use crate::generation::request::InferenceType;

/// Text of the views that do not read the prompt.
pub const OTHER_VIEWS_TEXT: &str = " ";

/// How far the quotient of two frame rates may be from a whole number.
const RATE_TOLERANCE: f64 = 1e-6;

/// A camera of the car. They are numbered in this order, and follow each other on the time axis in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrivingView {
    /// Forward, 120 degrees wide.
    FrontWide,
    /// To the right, 120 degrees wide.
    CrossRight,
    /// To the right and back, 70 degrees wide.
    RearRight,
    /// Backward, 30 degrees wide.
    Rear,
    /// To the left and back, 70 degrees wide.
    RearLeft,
    /// To the left, 120 degrees wide.
    CrossLeft,
    /// Forward, 30 degrees wide.
    FrontTele,
}

/// Some cameras of a car, and what their views start from.
#[derive(Debug, Clone, PartialEq)]
pub struct DrivingViews {
    /// The views of the video, each with its image, video or folder of pictures where it starts from one.
    pub inputs: BTreeMap<DrivingView, Option<PathBuf>>,
    /// What is to be seen in each view; without it, the front view reads the prompt and the others [`OTHER_VIEWS_TEXT`].
    pub captions: Option<Vec<String>>,
    /// Frames per second of the views. A video with a multiple of them is thinned out.
    pub fps: f64,
}

impl DrivingView {
    /// Every camera, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::FrontWide,
        Self::CrossRight,
        Self::RearRight,
        Self::Rear,
        Self::RearLeft,
        Self::CrossLeft,
        Self::FrontTele,
    ];

    /// Returns the name in request files and of output files.
    pub fn name(self) -> &'static str {
        match self {
            Self::FrontWide => "front_wide",
            Self::CrossRight => "cross_right",
            Self::RearRight => "rear_right",
            Self::Rear => "rear",
            Self::RearLeft => "rear_left",
            Self::CrossLeft => "cross_left",
            Self::FrontTele => "front_tele",
        }
    }

    /// Returns the number by which the network knows the camera.
    pub fn id(self) -> usize {
        self as usize
    }
}

impl DrivingViews {
    /// Checks that the inputs are there and have a frame rate that fits, where anything is given; no frame is kept.
    pub(super) fn check(&self, plan: &GenerationPlan) -> Result<(), GenerationError> {
        if plan.given == 0 {
            return Ok(());
        }
        for path in self.inputs.values().flatten() {
            check_input(path)?;
            if !is_image(path) {
                open_video(path, self.fps)?;
            }
        }
        Ok(())
    }

    /// Reads the given frames of every view.
    pub(super) fn read(&self, inference_type: InferenceType, plan: &GenerationPlan) -> Result<Videos, GenerationError> {
        let read = |input: &Option<PathBuf>| match input {
            Some(path) if plan.given > 0 => read_first_frames(path, self.fps, (plan.given, inference_type), plan.size),
            _ => Ok(Vec::new()),
        };
        self.inputs.values().map(read).collect()
    }

    /// Returns the numbers of the cameras.
    pub(super) fn ids(&self) -> Vec<usize> {
        self.inputs.keys().map(|view| view.id()).collect()
    }
}

/// Reads the first frames of an input at `fps`, stretched to `[height, width]`.
fn read_first_frames(
    path: &Path,
    fps: f64,
    (count, inference_type): (usize, InferenceType),
    size: [usize; 2],
) -> Result<Vec<RgbImage>, GenerationError> {
    let frames = if is_image(path) {
        vec![read_image(path)?]
    } else {
        let (video, stride) = open_video(path, fps)?;
        video.step_by(stride).take(count).collect::<Result<_, _>>()?
    };
    require_frames(path, frames.len(), count, inference_type)?;
    Ok(frames.iter().map(|frame| stretch(frame, size)).collect())
}

/// Opens a video; returns with it how many of its frames make one of the view's.
fn open_video(path: &Path, fps: f64) -> Result<(VideoReader, usize), GenerationError> {
    let video = VideoReader::open(path)?;
    let stride = match video.frame_rate_hz() {
        Some(rate) => stride(rate, fps).ok_or_else(|| MultiviewError::FrameRate {
            path: path.to_owned(),
            found: rate,
            wanted: fps,
        })?,
        None => 1,
    };
    Ok((video, stride))
}

/// Returns how many frames of a video make one of a slower one; none where that is no whole number.
fn stride(rate: f64, fps: f64) -> Option<usize> {
    let ratio = rate / fps;
    let whole = ratio.round();
    (whole >= 1.0 && (ratio - whole).abs() < RATE_TOLERANCE).then_some(whole as usize)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn cameras_have_the_numbers_of_the_released_table() {
        let ids = DrivingView::ALL.map(DrivingView::id);
        assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(DrivingView::FrontTele.name(), "front_tele");
    }

    #[test]
    fn a_video_is_thinned_out_only_by_whole_numbers() {
        assert_eq!(stride(30.0, 10.0), Some(3));
        assert_eq!(stride(30.0, 30.0), Some(1));
        assert_eq!(stride(10.0, 30.0), None);
        assert_eq!(stride(29.97, 10.0), None);
    }

    #[test]
    fn the_first_frames_of_a_folder_are_stretched() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..6u8 {
            let path = folder.path().join(format!("{index:03}.png"));
            RgbImage::from_pixel(8, 4, Rgb([index; 3])).save(path).unwrap();
        }
        let read = |count| read_first_frames(folder.path(), 30.0, (count, InferenceType::Video2World), [4, 4]);
        let frames = read(5).unwrap();
        assert!(frames.iter().all(|frame| frame.dimensions() == (4, 4)));
        let first: Vec<u8> = frames.iter().map(|frame| frame.get_pixel(0, 0)[0]).collect();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        let message = read(9).unwrap_err().to_string();
        assert!(
            message.contains("6 frames") && message.contains("at least 9"),
            "{message}"
        );
    }
}
