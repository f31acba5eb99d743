//! Episodes as GIF animations: the prediction beside the simulator.

use image::RgbImage;

use super::super::error::EvaluationError;

/// Gap between the two pictures, in pixels of the pictures.
const GAP: u32 = 2;
/// How many times the last picture is held, so that one sees the end before it starts again.
const LAST_HELD: u16 = 6;
/// Trade between speed (30) and quality (1) of the palette; the pictures are small.
const PALETTE_SPEED: i32 = 1;

/// A GIF file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Animation {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Makes an animation with one or two pictures beside each other, each pixel blown up to `zoom` by `zoom`.
///
/// The shorter list holds its last picture. An empty list leaves its place out.
///
/// # Errors
/// [`EvaluationError::Picture`] if there is no picture at all, or they are too large for a GIF.
pub fn side_by_side_gif(
    left: &[RgbImage],
    right: &[RgbImage],
    frame_rate_hz: f32,
    zoom: u32,
) -> Result<Animation, EvaluationError> {
    let pictures = join(left, right);
    let picture_error = |source: Box<dyn std::error::Error + Send + Sync>| EvaluationError::Picture {
        what: "an animation",
        source,
    };
    let first = pictures
        .first()
        .ok_or_else(|| picture_error("it has no frames".into()))?;
    let (width, height) = (first.width() * zoom, first.height() * zoom);
    let side = |side: u32| u16::try_from(side).map_err(|error| picture_error(error.into()));
    let (gif_width, gif_height) = (side(width)?, side(height)?);
    let mut bytes = Vec::new();
    let mut encode = || -> Result<(), gif::EncodingError> {
        let mut encoder = gif::Encoder::new(&mut bytes, gif_width, gif_height, &[])?;
        encoder.set_repeat(gif::Repeat::Infinite)?;
        let delay = (100.0 / frame_rate_hz.max(1.0)).round() as u16;
        for (index, picture) in pictures.iter().enumerate() {
            let (small_width, small_height) = (picture.width() as u16, picture.height() as u16);
            // The palette is found on the small picture; blowing up the indices keeps it exact and cheap.
            let mut frame = gif::Frame::from_rgb_speed(small_width, small_height, picture.as_raw(), PALETTE_SPEED);
            frame.buffer = blow_up(&frame.buffer, picture.width() as usize, zoom as usize).into();
            (frame.width, frame.height) = (gif_width, gif_height);
            frame.delay = if index + 1 == pictures.len() {
                delay * LAST_HELD
            } else {
                delay
            };
            encoder.write_frame(&frame)?;
        }
        Ok(())
    };
    encode().map_err(|error| picture_error(error.into()))?;
    Ok(Animation { bytes, width, height })
}

/// Puts the pictures of two lists beside each other.
fn join(left: &[RgbImage], right: &[RgbImage]) -> Vec<RgbImage> {
    let held = |list: &[RgbImage], index: usize| list.get(index).or(list.last()).cloned();
    let both = |index| match (held(left, index), held(right, index)) {
        (Some(left), Some(right)) => beside(&left, &right),
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => RgbImage::new(1, 1),
    };
    (0..left.len().max(right.len())).map(both).collect()
}

fn beside(left: &RgbImage, right: &RgbImage) -> RgbImage {
    let height = left.height().max(right.height());
    let mut picture = RgbImage::from_pixel(left.width() + GAP + right.width(), height, image::Rgb([255; 3]));
    image::imageops::replace(&mut picture, left, 0, 0);
    image::imageops::replace(&mut picture, right, i64::from(left.width() + GAP), 0);
    picture
}

fn blow_up(indices: &[u8], width: usize, zoom: usize) -> Vec<u8> {
    let mut large = Vec::with_capacity(indices.len() * zoom * zoom);
    for row in indices.chunks_exact(width) {
        let wide: Vec<u8> = row.iter().flat_map(|index| std::iter::repeat_n(*index, zoom)).collect();
        (0..zoom).for_each(|_| large.extend_from_slice(&wide));
    }
    large
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn pictures(count: u8, color: [u8; 3]) -> Vec<RgbImage> {
        (0..count)
            .map(|index| RgbImage::from_pixel(8, 6, Rgb([color[0], color[1], color[2] + index])))
            .collect()
    }

    #[test]
    fn a_viewer_sees_every_frame_of_the_longer_list() {
        let animation = side_by_side_gif(&pictures(3, [200, 0, 0]), &pictures(5, [0, 0, 200]), 5.0, 3).unwrap();
        let mut decoder = gif::DecodeOptions::new();
        decoder.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = decoder.read_info(animation.bytes.as_slice()).unwrap();
        assert_eq!(
            (u32::from(decoder.width()), u32::from(decoder.height())),
            (animation.width, animation.height)
        );
        assert_eq!((animation.width, animation.height), ((8 + GAP + 8) * 3, 18));
        let mut frames = 0;
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            assert_eq!(frame.buffer[..3], [200, 0, frames.min(2)]);
            frames += 1;
        }
        assert_eq!(frames, 5);
    }

    #[test]
    fn no_frames_are_an_error() {
        assert!(side_by_side_gif(&[], &[], 5.0, 1).is_err());
    }
}
