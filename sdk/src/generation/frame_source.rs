//! Frames that a video starts from: read, resized and cropped as the released pipeline does.
//!
//! Source: `cosmos_predict2/_src/predict2/inference/video2world.py@fc646ba` (`read_and_process_image`,
//! `read_and_process_video`, `resize_input`).
//! Differs: only the frames that are given are made, not those behind them, which a causal VAE never looks at; a folder
//! of PNG files or an animated GIF counts as a video.

use std::collections::VecDeque;
use std::path::Path;

use image::RgbImage;
use image::imageops::{self, FilterType};
use worldloop_world_model_data::VideoReader;

use super::error::GenerationError;
use super::request::InferenceType;

/// Endings of images.
const IMAGES: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// Returns whether a path ends as an image does.
pub(super) fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| IMAGES.iter().any(|ending| extension.eq_ignore_ascii_case(ending)))
}

/// Checks that an input is there; nothing is decoded.
///
/// # Errors
/// [`GenerationError::Read`].
pub fn check_input(path: &Path) -> Result<(), GenerationError> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(source) => Err(GenerationError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads the last `count` frames of an input, at `[height, width]`.
///
/// # Errors
/// [`GenerationError`] that names the input.
pub fn read_last_frames(
    path: &Path,
    count: usize,
    inference_type: InferenceType,
    size: [usize; 2],
) -> Result<Vec<RgbImage>, GenerationError> {
    let frames = if is_image(path) {
        VecDeque::from([read_image(path)?])
    } else {
        let mut last = VecDeque::with_capacity(count);
        for frame in VideoReader::open(path)? {
            if last.len() == count {
                last.pop_front();
            }
            last.push_back(frame?);
        }
        last
    };
    if frames.len() < count {
        return Err(GenerationError::ShortInput {
            path: path.to_owned(),
            found: frames.len(),
            expected: count,
            inference_type,
        });
    }
    Ok(frames.iter().map(|frame| cover(frame, size)).collect())
}

fn read_image(path: &Path) -> Result<RgbImage, GenerationError> {
    let bytes = std::fs::read(path).map_err(|source| GenerationError::Read {
        path: path.to_owned(),
        source,
    })?;
    let picture = image::load_from_memory(&bytes).map_err(|source| GenerationError::Image {
        path: path.to_owned(),
        source,
    })?;
    Ok(picture.into_rgb8())
}

/// Enlarges or shrinks a picture until it covers the size, keeping its aspect, and cuts its centre out.
pub(super) fn cover(picture: &RgbImage, [height, width]: [usize; 2]) -> RgbImage {
    let (width, height) = (width as u32, height as u32);
    let (old_width, old_height) = (f64::from(picture.width()), f64::from(picture.height()));
    let ratio = (f64::from(width) / old_width).max(f64::from(height) / old_height);
    let (covering_width, covering_height) = ((ratio * old_width).ceil() as u32, (ratio * old_height).ceil() as u32);
    let resized = if picture.dimensions() == (covering_width, covering_height) {
        picture.clone()
    } else {
        imageops::resize(picture, covering_width, covering_height, FilterType::Triangle)
    };
    // Half pixels are rounded to even, as Python does.
    let margin = |covering: u32, side: u32| (f64::from(covering.saturating_sub(side)) / 2.0).round_ties_even() as u32;
    let (left, top) = (margin(covering_width, width), margin(covering_height, height));
    imageops::crop_imm(&resized, left, top, width, height).to_image()
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    /// A picture whose pixels say where they were.
    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 7]))
    }

    #[test]
    fn a_picture_of_the_right_size_is_left_alone() {
        assert_eq!(cover(&picture(6, 4), [4, 6]), picture(6, 4));
    }

    #[test]
    fn a_wide_picture_loses_both_sides_equally() {
        let cut = cover(&picture(10, 4), [4, 6]);
        assert_eq!(cut.dimensions(), (6, 4));
        assert_eq!((cut.get_pixel(0, 0)[0], cut.get_pixel(5, 3)[0]), (2, 7));
        // Seven columns too many leave half a pixel; upstream rounds 3.5 to 4.
        let cut = cover(&picture(13, 4), [4, 6]);
        assert_eq!(cut.get_pixel(0, 0)[0], 4);
    }

    #[test]
    fn shrinking_averages_and_keeps_the_aspect() {
        let halved = cover(&picture(40, 20), [10, 10]);
        assert_eq!(halved.dimensions(), (10, 10));
        // Column 5 of 20 stood between the columns 10 and 11 of 40.
        assert!(
            halved.get_pixel(0, 5)[0].abs_diff(10) <= 1,
            "{:?}",
            halved.get_pixel(0, 5)
        );
    }

    #[test]
    fn enlarging_covers_the_whole_size() {
        for size in [[16, 32], [17, 31], [48, 48]] {
            let large = cover(&picture(5, 3), size);
            assert_eq!(large.dimensions(), (size[1] as u32, size[0] as u32));
            assert!(large.pixels().all(|pixel| pixel[2] == 7));
        }
    }

    #[test]
    fn the_last_frames_of_a_folder_are_taken_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..7u8 {
            let path = folder.path().join(format!("{index:03}.png"));
            RgbImage::from_pixel(4, 4, Rgb([index; 3])).save(path).unwrap();
        }
        std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
        let read = |count| read_last_frames(folder.path(), count, InferenceType::Video2World, [4, 4]);
        let last: Vec<u8> = read(5).unwrap().iter().map(|frame| frame.get_pixel(0, 0)[0]).collect();
        assert_eq!(last, [2, 3, 4, 5, 6]);
        let message = read(9).unwrap_err().to_string();
        assert!(
            message.contains("7 frames") && message.contains("at least 9"),
            "{message}"
        );
        let one = folder.path().join("003.png");
        let message = read_last_frames(&one, 5, InferenceType::Video2World, [4, 4])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("1 frames") && message.contains("video2world"),
            "{message}"
        );
    }

    #[test]
    fn damaged_and_foreign_inputs_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| {
            let path = folder.path().join(name);
            let frames = read_last_frames(&path, 1, InferenceType::Image2World, [4, 4]);
            frames.expect_err("nothing to read").to_string()
        };
        std::fs::write(folder.path().join("a.png"), "no png").unwrap();
        std::fs::write(folder.path().join("a.txt"), "no image").unwrap();
        for name in ["a.png", "a.txt", "gone.png"] {
            let message = read(name);
            assert!(message.contains(name), "{message}");
        }
    }
}
