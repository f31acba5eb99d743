//! Validation pictures: rows of frames.

use std::path::Path;

use image::{Rgb, RgbImage};

use crate::error::TrainingError;

/// Pixels between frames.
const GAP: u32 = 2;

/// Pixels per frame pixel.
const ZOOM: u32 = 2;

/// A clip as floats: `[3, frames, height, width]`, RGB in `[-1, 1]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClipView<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) frames: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Draws, for each pair of clips, a row of the truth, a row of the prediction, and a row of four times the difference.
pub(crate) fn draw_comparison(pairs: &[(ClipView<'_>, ClipView<'_>)], path: &Path) -> Result<(), TrainingError> {
    let Some((first, _)) = pairs.first() else {
        return Ok(());
    };
    let (cell_width, cell_height) = (first.width as u32 * ZOOM + GAP, first.height as u32 * ZOOM + GAP);
    let size = (first.frames as u32 * cell_width, 3 * pairs.len() as u32 * cell_height);
    let mut picture = RgbImage::from_pixel(size.0, size.1, Rgb([255, 255, 255]));
    for (place, (truth, prediction)) in (0..).step_by(3).zip(pairs) {
        for frame in 0..first.frames {
            let left = frame as u32 * cell_width;
            let mut put = |row: u32, pixel: &dyn Fn(usize, usize) -> Rgb<u8>| {
                for (y, x) in (0..first.height).flat_map(|y| (0..first.width).map(move |x| (y, x))) {
                    let colour = pixel(y, x);
                    for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let (column, line) = (left + x as u32 * ZOOM + dx, row * cell_height + y as u32 * ZOOM + dy);
                        picture.put_pixel(column, line, colour);
                    }
                }
            };
            put(place, &|y, x| truth.pixel(frame, y, x));
            put(place + 1, &|y, x| prediction.pixel(frame, y, x));
            put(place + 2, &|y, x| truth.difference(prediction, frame, y, x));
        }
    }
    picture.save(path).map_err(|source| TrainingError::Picture {
        path: path.to_path_buf(),
        source,
    })
}

impl ClipView<'_> {
    fn value(&self, channel: usize, frame: usize, y: usize, x: usize) -> f32 {
        self.values[((channel * self.frames + frame) * self.height + y) * self.width + x]
    }

    fn pixel(&self, frame: usize, y: usize, x: usize) -> Rgb<u8> {
        Rgb([0, 1, 2].map(|channel| {
            ((self.value(channel, frame, y, x) + 1.0) * 127.5)
                .round()
                .clamp(0.0, 255.0) as u8
        }))
    }

    fn difference(&self, other: &Self, frame: usize, y: usize, x: usize) -> Rgb<u8> {
        Rgb([0, 1, 2].map(|channel| {
            let difference = self.value(channel, frame, y, x) - other.value(channel, frame, y, x);
            (4.0 * 127.5 * difference.abs()).round().clamp(0.0, 255.0) as u8
        }))
    }
}
