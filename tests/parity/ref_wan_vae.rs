//! Family `ref_wan_vae`: the original `WanVAE_`, one-shot and streamed.

use burn::tensor::{Device, Tensor};
use worldloop::world_model::vae::{DecoderState, EncoderState, LatentStats, WanVae};
use worldloop_tests::{Array, Case, Checks};

use crate::runner::{CaseResult, Outcome};
use crate::wan_vae::{config, load};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let config = config(case, &case.config, case.field(&case.config, "dim")?)?;
    let vae = load(case, &config, device)?;
    let rounded = LatentStats::new(&config.with_latents_bf16(true));

    for clip in case.names_after("in.video.") {
        let video: Tensor<5> = case.array(&format!("in.video.{clip}"))?.tensor(device);
        // The reference goes through the clip piece by piece; both ways must give its numbers.
        for mean in [vae.encode(video.clone()).mean, encode_streamed(&vae, &video)] {
            checks.compare(&format!("out.mu.{clip}"), &Array::from_tensor(&mean))?;
            let latent = vae.stats.normalize(mean.clone());
            checks.compare(&format!("out.latent.{clip}"), &Array::from_tensor(&latent))?;
            let latent = Array::from_tensor(&rounded.normalize(mean));
            checks.compare(&format!("out.latent_bf16_constants.{clip}"), &latent)?;
        }
        let latent: Tensor<5> = case.array(&format!("out.latent.{clip}"))?.tensor(device);
        compare_decoded(&vae, latent, &format!("out.recon.{clip}"), checks)?;
    }
    if case.has("in.random_latent") {
        compare_decoded(
            &vae,
            case.array("in.random_latent")?.tensor(device),
            "out.random_recon",
            checks,
        )?;
    }
    Ok(Outcome::Compared)
}

fn compare_decoded(
    vae: &WanVae,
    latents: Tensor<5>,
    name: &str,
    checks: &mut Checks<'_>,
) -> Result<(), worldloop_tests::CaseError> {
    checks.compare(name, &Array::from_tensor(&vae.decode_latents(latents.clone())))?;
    checks.compare(
        name,
        &Array::from_tensor(&decode_streamed(vae, &vae.stats.denormalize(latents))),
    )
}

/// Encodes the first frame, then one latent frame's worth of frames at a time.
fn encode_streamed(vae: &WanVae, video: &Tensor<5>) -> Tensor<5> {
    let (frames, window) = (video.dims()[2], vae.temporal_compression);
    let mut state = EncoderState::new();
    let mut means = vec![vae.encode_chunk(video.clone().narrow(2, 0, 1), &mut state).mean];
    for start in (1..frames).step_by(window) {
        means.push(
            vae.encode_chunk(video.clone().narrow(2, start, window), &mut state)
                .mean,
        );
    }
    Tensor::cat(means, 2)
}

/// Decodes one latent frame at a time.
fn decode_streamed(vae: &WanVae, latents: &Tensor<5>) -> Tensor<5> {
    let mut state = DecoderState::new();
    let frames = 0..latents.dims()[2];
    Tensor::cat(
        frames
            .map(|frame| vae.decode_chunk(latents.clone().narrow(2, frame, 1), &mut state))
            .collect(),
        2,
    )
}
