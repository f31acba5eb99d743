//! Views of a clip: apart for the VAE, on one time axis for the transformer.
//!
//! Source: `cosmos_predict2/_src/predict2_multiview/models/multiview_vid2vid_model_rectified_flow.py@2ac6ee5` (`encode`,
//! `decode`).
//! Differs: views go through the VAE one after the other, not as a batch, which takes less memory.

use burn::tensor::Tensor;

/// Puts the views of every clip one after the other on the time axis.
///
/// # Shapes
/// - apart: `[batch * views, channels, frames, height, width]`
/// - output: `[batch, channels, views * frames, height, width]`
pub(super) fn join_views(apart: Tensor<5>, views: usize) -> Tensor<5> {
    if views == 1 {
        return apart;
    }
    let [clips, channels, frames, height, width] = apart.dims();
    let batch = clips / views;
    apart
        .reshape([batch, views, channels, frames, height * width])
        .swap_dims(1, 2)
        .reshape([batch, channels, views * frames, height, width])
}

/// Undoes [`join_views`].
pub(super) fn split_views(joined: Tensor<5>, views: usize) -> Tensor<5> {
    if views == 1 {
        return joined;
    }
    let [batch, channels, frames, height, width] = joined.dims();
    joined
        .reshape([batch, channels, views, frames / views, height * width])
        .swap_dims(1, 2)
        .reshape([batch * views, channels, frames / views, height, width])
}

/// Applies a network to every view alone; clips of one view stay together.
pub(super) fn each_view(apart: Tensor<5>, views: usize, network: impl Fn(Tensor<5>) -> Tensor<5>) -> Tensor<5> {
    if views == 1 {
        return network(apart);
    }
    let alone = (0..apart.dims()[0]).map(|index| network(apart.clone().narrow(0, index, 1)));
    Tensor::cat(alone.collect(), 0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int};

    use super::*;

    #[test]
    fn views_follow_each_other_and_come_apart_again() {
        let device = Device::flex();
        let apart = Tensor::<1, Int>::arange(0..24, &device)
            .float()
            .reshape([4, 3, 2, 1, 1]);
        let joined = join_views(apart.clone(), 2);
        assert_eq!(joined.dims(), [2, 3, 4, 1, 1]);
        let first: Vec<f32> = joined.clone().into_data().try_to_vec().expect("float32 data");
        // The first channel of the first clip: two frames of its first view, two of its second.
        assert_eq!(first[..4], [0.0, 1.0, 6.0, 7.0]);
        let again = split_views(joined, 2);
        again.into_data().assert_eq(&apart.into_data(), true);
    }

    #[test]
    fn a_network_sees_one_view_at_a_time() {
        let device = Device::flex();
        let apart = Tensor::<1, Int>::arange(0..12, &device)
            .float()
            .reshape([3, 2, 2, 1, 1]);
        let doubled = each_view(apart.clone(), 3, |view| {
            assert_eq!(view.dims()[0], 1);
            view.mul_scalar(2.0)
        });
        doubled.into_data().assert_eq(&apart.mul_scalar(2.0).into_data(), true);
    }
}
