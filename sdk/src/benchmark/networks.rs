//! Single networks with random weights.

use burn::tensor::{DType, Device, Distribution, Tensor};
use worldloop_world_model::dit::{DitInput, FrameCondition};
use worldloop_world_model::layers::cast_module;

use super::config::{BenchmarkConfig, DitBenchmark, VaeBenchmark};
use super::timing::{Timing, TimingSettings};

/// Times the forward pass of a network with weights in the given dtype; a VAE both ways.
pub fn time_networks(config: &BenchmarkConfig, settings: TimingSettings, dtype: DType, device: &Device) -> Vec<Timing> {
    match config {
        BenchmarkConfig::Dit(config) => vec![time_dit(config, settings, dtype, device)],
        BenchmarkConfig::Vae(config) => time_vae(config, settings, dtype, device),
    }
}

/// Times one evaluation; text and rotary table are made once before, as in an episode.
fn time_dit(config: &DitBenchmark, settings: TimingSettings, dtype: DType, device: &Device) -> Timing {
    let network = config.network();
    let dit = cast_module(network.init(device), dtype);
    let DitBenchmark {
        batch,
        latent_frames: frames,
        latent_height: height,
        latent_width: width,
        ..
    } = *config;
    let text = random([1, config.context_tokens, network.text_channels()], device);
    let context = dit.project_context(text);
    let condition = FrameCondition::first_frames(1, [batch, frames, height, width], device);
    let rope = dit.rotary_table([frames, height, width], device);
    let latents: Tensor<5> = random([batch, config.in_channels, frames, height, width], device);
    let actions: Tensor<3> = random(
        [batch, (frames - 1) * config.actions_per_latent_frame, config.action_dim],
        device,
    );
    time("dit_forward", settings, || {
        let input = DitInput {
            action: Some(actions.clone()),
            rope: Some(&rope),
            ..DitInput::new(
                latents.clone(),
                Tensor::full([batch, 1], 500.0, device),
                &context,
                &condition,
            )
        };
        dit.forward(&input)
    })
}

fn time_vae(config: &VaeBenchmark, settings: TimingSettings, dtype: DType, device: &Device) -> Vec<Timing> {
    let network = config.network();
    let vae = cast_module(network.init(device), dtype);
    let VaeBenchmark {
        batch,
        frames,
        height,
        width,
        ..
    } = *config;
    let space = network.spatial_compression();
    let video: Tensor<5> = random([batch, 3, frames, height, width], device);
    let latents = [
        batch,
        config.z_dim,
        network.latent_frames(frames),
        height / space,
        width / space,
    ];
    let latents: Tensor<5> = random(latents, device);
    vec![
        time("vae_encode", settings, || vae.encode_latents(video.clone())),
        time("vae_decode", settings, || vae.decode_latents(latents.clone())),
    ]
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

fn time(what: &str, settings: TimingSettings, mut forward: impl FnMut() -> Tensor<5>) -> Timing {
    let timing = Timing::measure::<std::convert::Infallible>(what, settings, || {
        // Reading the result waits for backends that work in the background.
        let _read = forward().into_data();
        Ok(())
    });
    match timing {
        Ok(timing) => timing,
        Err(never) => match never {},
    }
}
