//! An episode as one picture: some of its frames in a row.

use std::io::Cursor;

use image::{ImageFormat, RgbImage};

use super::super::error::EvaluationError;

/// Gap between two frames, in pixels.
const GAP: u32 = 2;

/// Makes a PNG with up to `count` frames in a row, evenly spread from the first to the last.
///
/// # Errors
/// [`EvaluationError::Picture`] if there are no frames.
pub(super) fn film_strip(frames: &[RgbImage], count: usize) -> Result<Vec<u8>, EvaluationError> {
    let chosen: Vec<&RgbImage> = spread(frames.len(), count)
        .into_iter()
        .map(|index| &frames[index])
        .collect();
    let (width, height) = chosen.first().map_or((0, 0), |frame| frame.dimensions());
    let total = (width + GAP) * chosen.len() as u32;
    let mut strip = RgbImage::from_pixel(total.saturating_sub(GAP), height, image::Rgb([255; 3]));
    for (index, frame) in chosen.into_iter().enumerate() {
        image::imageops::replace(&mut strip, frame, i64::from((width + GAP) * index as u32), 0);
    }
    let mut png = Cursor::new(Vec::new());
    let written = strip.write_to(&mut png, ImageFormat::Png);
    written.map_err(|error| EvaluationError::Picture {
        what: "a film strip",
        source: error.into(),
    })?;
    Ok(png.into_inner())
}

/// Returns up to `count` indices below `length`, evenly spread, with the first and the last.
pub(super) fn spread(length: usize, count: usize) -> Vec<usize> {
    let count = count.min(length);
    match count {
        0 => Vec::new(),
        1 => vec![0],
        _ => (0..count).map(|index| index * (length - 1) / (count - 1)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_show_the_first_and_the_last_frame() {
        assert_eq!(spread(33, 9), [0, 4, 8, 12, 16, 20, 24, 28, 32]);
        assert_eq!(spread(3, 9), [0, 1, 2]);
        assert_eq!(spread(1, 9), [0]);
        assert!(spread(0, 9).is_empty());
    }
}
