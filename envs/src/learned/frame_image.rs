//! Float frames to 8-bit images, and back.

use image::{Rgb, RgbImage};
use worldloop_world_model::Frame;

/// Turns an 8-bit image into a frame.
///
/// # Shapes
/// - output: `[3, height, width]`, RGB in `[-1, 1]`
pub fn frame_from_image(image: &RgbImage) -> Frame {
    let (height, width) = (image.height() as usize, image.width() as usize);
    let plane = height * width;
    let mut values = vec![0.0; 3 * plane];
    for (index, pixel) in image.pixels().enumerate() {
        for (channel, value) in pixel.0.into_iter().enumerate() {
            values[channel * plane + index] = f32::from(value) / 127.5 - 1.0;
        }
    }
    Frame { height, width, values }
}

/// Rounds a frame to an 8-bit image; values beyond `[-1, 1]` are cut.
///
/// # Shapes
/// - frame: `[3, height, width]`, RGB in `[-1, 1]`
pub fn image_from_frame(frame: &Frame) -> RgbImage {
    let plane = frame.height * frame.width;
    let value = |channel: usize, index: usize| {
        let value = frame.values.get(channel * plane + index).copied().unwrap_or(-1.0);
        // The cast cuts at 0 and 255.
        ((value + 1.0) * 127.5).round() as u8
    };
    let mut image = RgbImage::new(frame.width as u32, frame.height as u32);
    for (index, pixel) in image.pixels_mut().enumerate() {
        *pixel = Rgb([value(0, index), value(1, index), value(2, index)]);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_8_bit_value_survives_the_round_trip() {
        let image = RgbImage::from_fn(16, 16, |x, y| {
            Rgb([(16 * y + x) as u8, (255 - 16 * y - x) as u8, (7 * x) as u8])
        });
        assert_eq!(image_from_frame(&frame_from_image(&image)), image);
    }

    #[test]
    fn overshooting_values_are_cut() {
        let frame = Frame {
            height: 1,
            width: 1,
            values: vec![1.2, -1.3, 0.0],
        };
        assert_eq!(image_from_frame(&frame).get_pixel(0, 0).0, [255, 0, 128]);
    }
}
