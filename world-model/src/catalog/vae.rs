//! Sizes of a video VAE from the shapes of its weights.
//!
//! Mean and deviation of the latents are not in the file: with 16 latent channels those of Wan2.1 are assumed.

use super::error::RecognizeError;
use super::shapes::Shapes;
use crate::vae::WanVaeConfig;

/// Returns whether there is a video VAE at all.
pub(super) fn is_vae(shapes: &Shapes<'_>) -> bool {
    shapes.has("encoder.conv1.weight") && shapes.has("decoder.conv1.weight") && shapes.has("conv2.weight")
}

/// Reads the sizes off the shapes.
pub(super) fn config(shapes: &Shapes<'_>) -> Result<WanVaeConfig, RecognizeError> {
    let [base_dim, in_channels, _, _, _] = shapes.sizes("encoder.conv1.weight")?;
    let [z_dim, _, _, _, _] = shapes.sizes("conv2.weight")?;
    // Channels and residual blocks of each level, the finest first.
    let mut levels = vec![(base_dim, 0)];
    let mut temporal_downsample = Vec::new();
    for layer in 0..shapes.count("encoder.downsamples.")? {
        let name = |part: &str| format!("encoder.downsamples.{layer}.{part}.weight");
        if let Some([channels, _, _, _, _]) = shapes.optional(&name("conv1"))? {
            if let Some(level) = levels.last_mut() {
                *level = (channels, level.1 + 1);
            }
        } else {
            let [channels, _, _, _]: [usize; 4] = shapes.sizes(&name("resample"))?;
            temporal_downsample.push(shapes.has(&name("time_conv")));
            levels.push((channels, 0));
        }
    }
    let wan = WanVaeConfig::wan2_1();
    let (latents_mean, latents_std) = if z_dim == wan.z_dim {
        (wan.latents_mean, wan.latents_std)
    } else {
        (vec![0.0; z_dim], vec![1.0; z_dim])
    };
    let dim_mult = levels.iter().map(|(channels, _)| channels / base_dim).collect();
    let config = WanVaeConfig::new(
        base_dim,
        dim_mult,
        z_dim,
        temporal_downsample,
        latents_mean,
        latents_std,
    )
    .with_num_res_blocks(levels[0].1)
    .with_in_channels(in_channels);
    config.validate().map_err(|source| RecognizeError::Vae {
        location: shapes.location(),
        source,
    })?;
    Ok(config)
}
