//! Frames that are given (image2world, video2world) and the mask that marks them.
//!
//! Source: `cosmos_predict2/_src/predict2/models/video2world_model_rectified_flow.py@50369b8` (`denoise`).
//! Differs: nothing.

use burn::tensor::{Device, Tensor, assert_shape};

/// Marks the latent frames that are given instead of generated: 1 where given, 0 where generated.
#[derive(Debug, Clone)]
pub struct FrameCondition {
    mask: Tensor<5>,
}

impl FrameCondition {
    /// Takes a mask as it is.
    ///
    /// # Shapes
    /// - mask: `[batch, 1, frames, height, width]`, latent pixels
    ///
    /// # Panics
    /// If the mask has more than one channel.
    pub fn from_mask(mask: Tensor<5>) -> Self {
        assert_shape!(mask, [_, 1, _, _, _]);
        Self { mask }
    }

    /// Marks the first `given` latent frames of every clip, for latents of `[batch, frames, height, width]`.
    ///
    /// # Panics
    /// If there are fewer frames than `given`.
    pub fn first_frames(given: usize, [batch, frames, height, width]: [usize; 4], device: &Device) -> Self {
        assert!(given <= frames, "{given} of {frames} frames cannot be given");
        let part = |length: usize, value: f32| Tensor::full([batch, 1, length, height, width], value, device);
        let mask = match (given, frames - given) {
            (0, _) => part(frames, 0.0),
            (_, 0) => part(frames, 1.0),
            (given, generated) => Tensor::cat(vec![part(given, 1.0), part(generated, 0.0)], 2),
        };
        Self { mask }
    }

    /// Marks the first `given` latent frames of every view of every clip; the views follow each other on the axis of
    /// frames.
    ///
    /// # Panics
    /// If the frames are no whole number of views, or a view has fewer than `given`.
    pub fn first_frames_of_views(
        given: usize,
        views: usize,
        [batch, frames, height, width]: [usize; 4],
        device: &Device,
    ) -> Self {
        assert!(
            views > 0 && frames.is_multiple_of(views),
            "{frames} frames are not {views} equal views"
        );
        let one = Self::first_frames(given, [batch, frames / views, height, width], device);
        Self {
            mask: one.mask.repeat_dim(2, views),
        }
    }

    /// Returns the mask, `[batch, 1, frames, height, width]`.
    pub fn mask(&self) -> Tensor<5> {
        self.mask.clone()
    }

    /// Returns the number of latent frames.
    pub fn frames(&self) -> usize {
        self.mask.dims()[2]
    }

    /// Returns 1 for each generated frame and 0 for each given one, `[batch, frames]`.
    pub fn generated_frames(&self) -> Tensor<2> {
        let [batch, _, frames, _, _] = self.mask.dims();
        let corner = self.mask().narrow(3, 0, 1).narrow(4, 0, 1).reshape([batch, frames]);
        corner.neg().add_scalar(1.0)
    }

    /// Puts the given latents in their places and keeps the others.
    ///
    /// # Shapes
    /// - given, others: `[batch, channels, frames, height, width]`
    pub fn merge(&self, given: Tensor<5>, others: Tensor<5>) -> Tensor<5> {
        let mask = self.mask();
        given * mask.clone() + others * mask.neg().add_scalar(1.0)
    }

    /// Gives the frames that are given a time of their own, on the scale of the timesteps.
    ///
    /// # Shapes
    /// - timesteps: `[batch, 1]` or `[batch, frames]`
    /// - output: `[batch, frames]`
    pub fn per_frame_timesteps(&self, timesteps: Tensor<2>, given_timestep: f64) -> Tensor<2> {
        let generated = self.generated_frames();
        let given = generated.clone().neg().add_scalar(1.0).mul_scalar(given_timestep);
        timesteps * generated + given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_frames_keep_their_latents_and_time() {
        let device = Device::flex();
        let condition = FrameCondition::first_frames(1, [1, 3, 1, 1], &device);
        let full = |value: f32| Tensor::<5>::full([1, 2, 3, 1, 1], value, &device);
        let merged: Vec<f32> = condition
            .merge(full(7.0), full(2.0))
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        assert_eq!(merged, [7.0, 2.0, 2.0, 7.0, 2.0, 2.0]);
        let times = condition.per_frame_timesteps(Tensor::full([1, 1], 500.0, &device), 0.5);
        assert_eq!(
            times.into_data().try_to_vec::<f32>().expect("float32 data"),
            [0.5, 500.0, 500.0]
        );
    }

    #[test]
    fn no_frame_and_every_frame_can_be_given() {
        let device = Device::flex();
        for (given, expected) in [(0, 1.0), (2, 0.0)] {
            let condition = FrameCondition::first_frames(given, [1, 2, 1, 1], &device);
            let generated: Vec<f32> = condition
                .generated_frames()
                .into_data()
                .try_to_vec()
                .expect("float32 data");
            assert_eq!(generated, [expected; 2]);
        }
    }

    #[test]
    fn every_view_has_its_given_frames() {
        let condition = FrameCondition::first_frames_of_views(1, 3, [1, 6, 1, 1], &Device::flex());
        let generated = condition.generated_frames().into_data();
        let generated: Vec<f32> = generated.try_to_vec().expect("float32 data");
        assert_eq!(generated, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    }
}
