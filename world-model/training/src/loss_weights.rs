//! Which latents count how much in the loss of a world model.

use burn::tensor::{Device, Tensor, TensorData};
use worldloop_world_model::vae::WanVae;

use crate::latents::LatentStore;
use crate::random::StepRandom;

/// Windows on which the decoder's sensitivity to each channel is measured.
const SENSITIVITY_WINDOWS: usize = 8;
/// Deviation of the noise that it is measured with; latents have a deviation of 1.
const SENSITIVITY_DEVIATION: f32 = 0.3;

/// Returns by channel how much the decoded frames change with its latents, in squares, relative to the mean channel.
///
/// Latents are no end in themselves: an error in a channel that the decoder hardly looks at costs nothing.
pub(crate) fn channel_sensitivities(vae: &WanVae, store: &LatentStore, device: &Device) -> Vec<f32> {
    let [channels, frames, height, width] = store.latents.shape;
    let count = SENSITIVITY_WINDOWS.min(store.windows.len());
    let chosen = (0..count).flat_map(|place| store.latents.clip(place * store.windows.len() / count));
    let values: Vec<f32> = chosen.map(|value| value.to_f32()).collect();
    let latents = Tensor::<5>::from_data(
        TensorData::new(values, [count, channels, frames, height, width]),
        device,
    );
    let decoded = vae.decode_latents(latents.clone());
    let plane = frames * height * width;
    let changes: Vec<f32> = (0..channels)
        .map(|channel| {
            let mut noise = vec![0.0; count * channels * plane];
            let mut random = StepRandom::new(0, channel as u64, 7);
            for clip in noise.chunks_exact_mut(channels * plane) {
                let drawn = random.normals(plane);
                for (value, drawn) in clip[channel * plane..].iter_mut().zip(drawn) {
                    *value = SENSITIVITY_DEVIATION * drawn;
                }
            }
            let noise = Tensor::<5>::from_data(TensorData::new(noise, latents.dims()), device);
            let change = vae.decode_latents(latents.clone() + noise) - decoded.clone();
            change.square().mean().into_scalar::<f32>()
        })
        .collect();
    let mean = changes.iter().sum::<f32>() / channels as f32;
    changes
        .iter()
        .map(|change| change / mean.max(f32::MIN_POSITIVE))
        .collect()
}

/// Weighs latents of generated frames that differ from the given one, `[batch, 1, frames - 1, height, width]`, mean 1.
pub(crate) fn motion_weights(clean: Tensor<5>, motion_weight: f64) -> Tensor<5> {
    let [_, _, frames, _, _] = clean.dims();
    let first = clean.clone().narrow(2, 0, 1);
    let change = (clean.narrow(2, 1, frames - 1) - first)
        .abs()
        .mean_dim(1)
        .clamp(0.0, 1.0);
    let weights = change.mul_scalar(motion_weight) + 1.0;
    let mean = weights.clone().mean().reshape([1, 1, 1, 1, 1]);
    weights / mean
}
