//! Family `pipeline`: text and frames to a clip, in the loop of diffusers' `Cosmos2_5_PredictBasePipeline`.

use std::error::Error;
use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor};
use worldloop::world_model::catalog::SamplerPreset;
use worldloop::world_model::checkpoint::{CheckpointSource, KeyMap, load_into};
use worldloop::world_model::diffusion::{NetworkTime, SamplerConfig, SigmaTable};
use worldloop::world_model::dit::RopeExponents;
use worldloop::world_model::pipeline::{ClipInput, sample_clip};
use worldloop::world_model::vae::WanVaeConfig;
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::runner::{CaseResult, Outcome};
use crate::{dit_weights, wan_vae};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let settings = &case.description["params"];
    let source = CheckpointSource::open(case.weights("pipeline")?)?;
    let vae_config = vae_config(case)?;
    let mut vae = vae_config.init(device);
    let levels = vae_config.dim_mult.len();
    let names = KeyMap::vae_diffusers(levels, vae_config.num_res_blocks + 1).with_scope("vae.");
    load_into(&mut vae, &source, &names)?;
    let eps = case.field(settings, "qk_norm_eps")?;
    let dit_config = dit_weights::diffusers_config(case, &case.config["transformer"], RopeExponents::Exact, eps)?
        // The sampler counts time in thousandths.
        .with_timestep_scale(0.001);
    let mut dit = dit_config.init(device);
    load_into(&mut dit, &source, &KeyMap::dit_diffusers().with_scope("transformer."))?;

    let noise: Tensor<5> = case.array("in.noise")?.tensor(device);
    let given = given_frames(case, device)?;
    if case.has("in.video") {
        let whole = vae.encode_latents(case.array("in.video")?.tensor(device));
        checks.compare("out.condition_latent", &Array::from_tensor(&whole))?;
    }
    let context = dit.project_context(case.array("in.text")?.tensor(device));
    let negative = dit.project_context(case.array("in.negative_text")?.tensor(device));
    for guidance_scale in case.field::<Vec<f64>>(settings, "guidance")? {
        let sampler = sampler(case, guidance_scale)?;
        let sigmas = sampler.sigmas.schedule(sampler.num_steps).sigmas;
        checks.compare("out.sigmas", &vector(&sigmas))?;
        let (mut velocities, mut samples) = (Vec::new(), Vec::new());
        let input = ClipInput {
            given: given.clone(),
            negative: Some(&negative),
            ..ClipInput::new(noise.clone(), &context)
        };
        let clip = sample_clip(&sampler, &vae, &dit, input, |progress| {
            velocities.push(Array::from_tensor(progress.velocity));
            samples.push(Array::from_tensor(progress.sample));
            ControlFlow::Continue(())
        });
        let clip = clip.expect("nothing stops it");
        let name = |what: &str| format!("out.g{guidance_scale:.0}.{what}");
        checks.compare(&name("step_velocities"), &joined(&velocities))?;
        checks.compare(&name("step_latents"), &joined(&samples))?;
        checks.compare(&name("latents"), &Array::from_tensor(&clip.latents))?;
        let decoded = Array::from_tensor(&clip.video);
        checks.compare(&name("decoded"), &decoded)?;
        checks.compare(&name("decoded_clamped"), &decoded.map(|value| value.clamp(-1.0, 1.0)))?;
    }
    Ok(Outcome::Compared)
}

fn vae_config(case: &Case) -> Result<WanVaeConfig, CaseError> {
    let json = &case.config["vae"];
    wan_vae::config(case, json, case.field(json, "base_dim")?)
}

fn sampler(case: &Case, guidance_scale: f64) -> Result<SamplerConfig, Box<dyn Error>> {
    let settings = &case.description["params"];
    let steps: usize = case.field(settings, "steps")?;
    let schedule: String = case.field(settings, "schedule")?;
    let karras = schedule == "karras";
    let time: String = case.field(settings, "net_time")?;
    let given_time: f64 = case.field(settings, "conditional_frame_time")?;
    let plain = SamplerConfig {
        guidance_scale,
        ..SamplerConfig::default()
    };
    // What diffusers' pipeline does by itself is what the mode of that name has to do.
    if karras
        && time == "sigma"
        && given_time == 1e-4
        && let SamplerPreset::Flow(named) = SamplerPreset::Flow(plain.clone()).with_diffusers_numerics()
    {
        let num_steps = steps;
        return Ok(SamplerConfig { num_steps, ..named });
    }
    Ok(SamplerConfig {
        // NVIDIA's Karras table has one evaluation more than steps.
        num_steps: if karras { steps - 1 } else { steps },
        sigmas: if karras {
            SigmaTable::Karras
        } else {
            SigmaTable::Shift { shift: 5.0 }
        },
        network_time: if time == "int" {
            NetworkTime::Integer
        } else {
            NetworkTime::Exact
        },
        conditional_frame_timestep: (given_time >= 0.0).then_some(1000.0 * given_time),
        ..plain
    })
}

/// Takes the frames of the given latents: latent frame 0 is one frame, each further one four.
fn given_frames(case: &Case, device: &Device) -> Result<Option<Tensor<5>>, CaseError> {
    let latents: usize = case.field(&case.description["params"], "cond_latent_frames")?;
    if latents == 0 {
        return Ok(None);
    }
    let video: Tensor<5> = case.array("in.video")?.tensor(device);
    Ok(Some(video.narrow(2, 0, 4 * (latents - 1) + 1)))
}

fn vector(values: &[f64]) -> Array {
    Array {
        shape: vec![values.len()],
        values: values.to_vec(),
    }
}

/// Joins the clips of all steps, `[1, ...]` each, along their first axis.
fn joined(steps: &[Array]) -> Array {
    let stacked = Array::stack(steps);
    let mut shape = stacked.shape.clone();
    shape.remove(1);
    stacked.reshaped(&shape)
}
