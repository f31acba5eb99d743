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
pub fn is_image(path: &Path) -> bool {
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

/// Reads the last `count` frames of an input, at `[height, width]`; of a picture, those behind it are black, as upstream has it.
///
/// # Errors
/// [`GenerationError`] that names the input.
pub fn read_last_frames(
    path: &Path,
    count: usize,
    inference_type: InferenceType,
    size: [usize; 2],
) -> Result<Vec<RgbImage>, GenerationError> {
    let mut frames = last_frames(path, count)?;
    if is_image(path) {
        let [width, height] = frames.front().map_or([1, 1], |frame| [frame.width(), frame.height()]);
        frames.resize(count, RgbImage::new(width, height));
    }
    require_frames(path, frames.len(), count, inference_type)?;
    Ok(frames.iter().map(|frame| cover(frame, size)).collect())
}

/// Refuses an input with too few frames.
pub(super) fn require_frames(
    path: &Path,
    found: usize,
    expected: usize,
    inference_type: InferenceType,
) -> Result<(), GenerationError> {
    if found >= expected {
        return Ok(());
    }
    Err(GenerationError::ShortInput {
        path: path.to_owned(),
        found,
        expected,
        inference_type,
    })
}

/// Reads the last frame of an input as it is.
///
/// # Errors
/// [`GenerationError`] that names the input.
pub fn read_last_frame(path: &Path) -> Result<RgbImage, GenerationError> {
    let last = last_frames(path, 1)?.pop_back();
    last.ok_or_else(|| GenerationError::ShortInput {
        path: path.to_owned(),
        found: 0,
        expected: 1,
        inference_type: InferenceType::Image2World,
    })
}

/// Reads the last `count` frames, or all if there are fewer.
fn last_frames(path: &Path, count: usize) -> Result<VecDeque<RgbImage>, GenerationError> {
    if is_image(path) {
        return Ok(VecDeque::from([read_image(path)?]));
    }
    let mut last = VecDeque::with_capacity(count);
    for frame in VideoReader::open(path)? {
        if last.len() == count {
            last.pop_front();
        }
        last.push_back(frame?);
    }
    Ok(last)
}

/// Reads a picture as it is.
pub(super) fn read_image(path: &Path) -> Result<RgbImage, GenerationError> {
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
pub(super) fn cover(picture: &RgbImage, size: [usize; 2]) -> RgbImage {
    cover_with(picture, size, f64::ceil)
}

/// Does the same with the covering size rounded to the nearest, as the pipeline for the cameras of a robot does.
pub(super) fn cover_rounded(picture: &RgbImage, size: [usize; 2]) -> RgbImage {
    cover_with(picture, size, f64::round_ties_even)
}

fn cover_with(picture: &RgbImage, [height, width]: [usize; 2], round: fn(f64) -> f64) -> RgbImage {
    let (width, height) = (width as u32, height as u32);
    let (old_width, old_height) = (f64::from(picture.width()), f64::from(picture.height()));
    let ratio = (f64::from(width) / old_width).max(f64::from(height) / old_height);
    let [covering_width, covering_height] = [old_width, old_height].map(|side| round(ratio * side) as usize);
    let resized = stretch(picture, [covering_height, covering_width]);
    // Half pixels are rounded to even, as Python does.
    let margin = |covering: usize, side: u32| {
        let free = covering.saturating_sub(side as usize);
        (free as f64 / 2.0).round_ties_even() as u32
    };
    let (left, top) = (margin(covering_width, width), margin(covering_height, height));
    imageops::crop_imm(&resized, left, top, width, height).to_image()
}

/// Enlarges or shrinks a picture to the size, whatever its aspect.
pub(super) fn stretch(picture: &RgbImage, [height, width]: [usize; 2]) -> RgbImage {
    let (width, height) = (width as u32, height as u32);
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    imageops::resize(picture, width, height, FilterType::Triangle)
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
    fn stretching_keeps_all_of_a_picture() {
        let stretched = stretch(&picture(40, 4), [4, 10]);
        assert_eq!(stretched.dimensions(), (10, 4));
        // The last column stood for the last four.
        assert!(
            stretched.get_pixel(9, 0)[0].abs_diff(37) <= 1,
            "{:?}",
            stretched.get_pixel(9, 0)
        );
    }

    #[test]
    fn covering_sizes_are_rounded_up_or_to_the_nearest() {
        // 13 columns become 10.4, which is 11 or 10; the margins tell them apart.
        let tall = picture(13, 5);
        assert_eq!(cover(&tall, [4, 8]).dimensions(), (8, 4));
        assert_ne!(cover(&tall, [4, 8]), cover_rounded(&tall, [4, 8]));
        assert_eq!(cover_rounded(&picture(6, 4), [4, 6]), picture(6, 4));
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

    /// What PyTorch 2.15 makes of 23 × 17 pixels at 8 × 6, row by row: `interpolate` with `bilinear` and `antialias`, as
    /// torchvision resizes tensors, rounded, and the centre cut out.
    #[rustfmt::skip]
    const SMALL: [u8; 144] = [
        51, 5, 37, 136, 16, 49, 159, 39, 75, 73, 75, 88, 162, 126, 87, 116, 184, 135, 97, 80, 90, 179, 98, 82,
        80, 13, 117, 164, 23, 140, 132, 47, 122, 99, 83, 115, 175, 133, 109, 84, 192, 140, 125, 88, 158, 164, 106, 110,
        111, 22, 173, 176, 32, 117, 90, 56, 113, 128, 92, 107, 171, 142, 103, 82, 201, 126, 156, 97, 171, 123, 114, 114,
        142, 30, 79, 155, 40, 116, 79, 64, 120, 159, 100, 128, 129, 150, 117, 94, 201, 166, 175, 95, 133, 102, 123, 116,
        171, 39, 119, 134, 49, 142, 97, 73, 124, 174, 109, 117, 85, 159, 93, 125, 176, 135, 167, 62, 145, 79, 131, 132,
        188, 46, 172, 96, 56, 127, 125, 80, 135, 178, 116, 122, 79, 167, 116, 152, 180, 123, 132, 66, 165, 86, 139, 134,
    ];

    /// The same of 7 × 5 pixels at 10 × 6.
    #[rustfmt::skip]
    const LARGE: [u8; 180] = [
        5, 1, 13, 25, 2, 13, 51, 3, 13, 77, 5, 14, 103, 9, 16, 129, 13, 18, 155, 18, 20, 181, 24, 23,
        206, 31, 26, 227, 37, 28, 12, 3, 31, 32, 4, 31, 58, 5, 33, 84, 7, 35, 110, 10, 39, 136, 15, 43,
        162, 20, 48, 187, 26, 55, 213, 33, 63, 234, 39, 69, 19, 5, 49, 39, 6, 50, 65, 7, 52, 91, 9, 55,
        117, 12, 61, 143, 17, 68, 168, 22, 77, 194, 28, 87, 220, 35, 99, 241, 41, 110, 25, 7, 67, 46, 7, 68,
        72, 9, 71, 98, 11, 76, 123, 14, 84, 149, 18, 94, 175, 23, 105, 201, 30, 120, 227, 37, 136, 247, 43, 150,
        32, 9, 85, 53, 9, 87, 79, 11, 90, 104, 13, 96, 130, 16, 106, 156, 20, 119, 182, 25, 134, 208, 32, 152,
        234, 39, 173, 254, 45, 191, 39, 11, 103, 60, 11, 105, 85, 12, 110, 111, 15, 117, 137, 18, 129, 163, 22, 144,
        189, 27, 162, 215, 33, 184, 176, 41, 145, 117, 47, 88,
    ];

    #[test]
    fn pixels_are_those_of_pytorch() {
        let picture = |width, height| {
            RgbImage::from_fn(width, height, |x, y| {
                Rgb([x * 37 + y * 11, x * x + 3 * y, y * 29 + x * x * y].map(|value| (value % 256) as u8))
            })
        };
        for (made, expected) in [
            (cover(&picture(23, 17), [6, 8]), &SMALL[..]),
            (cover(&picture(7, 5), [6, 10]), &LARGE[..]),
        ] {
            let differences = made
                .as_raw()
                .iter()
                .zip(expected)
                .map(|(one, other)| one.abs_diff(*other));
            assert_eq!(made.as_raw().len(), expected.len());
            // A half may be rounded up by one and down by the other.
            assert!(differences.clone().all(|difference| difference <= 1), "{made:?}");
            let off = differences.filter(|difference| *difference > 0).count();
            assert!(off * 50 <= expected.len(), "{off} values are off by one");
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
        let padded = read_last_frames(&one, 5, InferenceType::Video2World, [4, 4]).unwrap();
        let padded: Vec<u8> = padded.iter().map(|frame| frame.get_pixel(0, 0)[0]).collect();
        assert_eq!(padded, [3, 0, 0, 0, 0]);
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
