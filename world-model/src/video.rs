//! RGB frames to tensors, and back.
//!
//! Source: `cosmos_predict2/_src/predict2/inference/video2world.py@50369b8` (normalisation, conversion to bytes).
//! Differs: normalisation is float32.

use burn::tensor::{Device, Tensor, TensorData};

use crate::world_model::Frame;

/// Channels of a frame.
const CHANNELS: usize = 3;

impl Frame {
    /// Takes an image of `height * width` RGB pixels in rows; none if the bytes are of another size.
    pub fn from_rgb8(height: usize, width: usize, pixels: &[u8]) -> Option<Self> {
        if pixels.len() != CHANNELS * height * width {
            return None;
        }
        let channel = |channel: usize| {
            pixels
                .iter()
                .skip(channel)
                .step_by(CHANNELS)
                .map(|&byte| from_byte(byte))
        };
        let values = (0..CHANNELS).flat_map(channel).collect();
        Some(Self { height, width, values })
    }

    /// Returns the frame as RGB pixels in rows; values are clamped and truncated.
    pub fn to_rgb8(&self) -> Vec<u8> {
        let size = self.height * self.width;
        (0..size)
            .flat_map(|pixel| (0..CHANNELS).map(move |channel| channel * size + pixel))
            .map(|index| to_byte(self.values[index]))
            .collect()
    }

    /// Returns the frame as it comes back from RGB bytes.
    #[must_use]
    pub fn through_rgb8(mut self) -> Self {
        for value in &mut self.values {
            *value = from_byte(to_byte(*value));
        }
        self
    }

    /// Returns the frame with all values in `[-1, 1]`.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        for value in &mut self.values {
            *value = value.clamp(-1.0, 1.0);
        }
        self
    }
}

/// Returns the value in `[-1, 1]` of a byte.
pub fn from_byte(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

/// Returns the byte of a value in `[-1, 1]`; the fraction is cut off, as upstream does.
pub fn to_byte(value: f32) -> u8 {
    (((value + 1.0) / 2.0).clamp(0.0, 1.0) * 255.0) as u8
}

/// Joins clips of equally many, equally large frames.
///
/// # Shapes
/// - output: `[batch, 3, frames, height, width]`, RGB in `[-1, 1]`
///
/// # Panics
/// If there is no frame, or clips differ in length or frames in size.
pub fn clips_to_tensor(clips: &[&[Frame]], device: &Device) -> Tensor<5> {
    let first = clips
        .first()
        .and_then(|clip| clip.first())
        .expect("there is at least one frame");
    let (count, height, width) = (clips[0].len(), first.height, first.width);
    let size = height * width;
    let mut values = Vec::with_capacity(clips.len() * CHANNELS * count * size);
    for clip in clips {
        assert_eq!(clip.len(), count, "clips differ in length");
        for channel in 0..CHANNELS {
            for frame in *clip {
                assert_eq!((frame.height, frame.width), (height, width), "frames differ in size");
                values.extend_from_slice(&frame.values[channel * size..(channel + 1) * size]);
            }
        }
    }
    Tensor::from_data(
        TensorData::new(values, [clips.len(), CHANNELS, count, height, width]),
        device,
    )
}

/// Takes clips apart into frames; float32 is assumed.
///
/// # Shapes
/// - video: `[batch, 3, frames, height, width]`, RGB in `[-1, 1]`
pub fn tensor_to_clips(video: Tensor<5>) -> Vec<Vec<Frame>> {
    let [batch, channels, count, height, width] = video.dims();
    let size = height * width;
    let values: Vec<f32> = video
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .expect("values were made float32");
    let frame = |clip: usize, frame: usize| {
        let start = |channel: usize| ((clip * channels + channel) * count + frame) * size;
        let values = (0..channels).flat_map(|channel| values[start(channel)..start(channel) + size].iter().copied());
        Frame {
            height,
            width,
            values: values.collect(),
        }
    };
    (0..batch)
        .map(|clip| (0..count).map(|index| frame(clip, index)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_round_trip_within_one() {
        for byte in 0..=255u8 {
            assert!(byte.abs_diff(to_byte(from_byte(byte))) <= 1, "{byte}");
        }
        assert_eq!((to_byte(-1.5), to_byte(1.5)), (0, 255));
    }

    #[test]
    fn frames_survive_the_tensor() {
        let pixels: Vec<u8> = (0..24).map(|value| value * 10).collect();
        let frame = Frame::from_rgb8(2, 4, &pixels).expect("the size fits");
        assert_eq!(frame.values[8], from_byte(10), "green follows red");
        let other = frame.clone().through_rgb8();
        let clips = [vec![frame.clone(), other.clone()], vec![other, frame]];
        let video = clips_to_tensor(&[&clips[0], &clips[1]], &Device::flex());
        assert_eq!(video.dims(), [2, 3, 2, 2, 4]);
        assert_eq!(tensor_to_clips(video), clips);
    }

    #[test]
    fn images_of_another_size_are_refused() {
        assert_eq!(Frame::from_rgb8(2, 4, &[0; 23]), None);
    }
}
