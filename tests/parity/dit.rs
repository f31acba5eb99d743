//! Family `dit`: diffusers' `CosmosTransformer3DModel`.

use std::error::Error;

use burn::tensor::{Device, Tensor};
use worldloop::world_model::dit::{Dit, DitInput, FrameCondition, RopeExponents};
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::dit_weights::{diffusers_config, load};
use crate::runner::{CaseResult, Outcome};

/// The epsilon that diffusers has in the norms of queries and keys.
const DIFFUSERS_EPS: f64 = 1e-5;

/// The epsilon that NVIDIA's code has in the norms of queries and keys.
const NVIDIA_EPS: f64 = 1e-6;

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    if !case.config["img_context_dim_in"].is_null() {
        return Ok(Outcome::OutOfScope("it needs image context".to_string()));
    }
    if !case.config["controlnet_block_every_n"].is_null()
        || case.names_after("in.").any(|name| name.contains("control"))
    {
        return Ok(Outcome::OutOfScope("it needs a control branch".to_string()));
    }
    let eps = case
        .field(&case.description["params"], "qk_norm_eps")
        .unwrap_or(DIFFUSERS_EPS);
    let variants = [
        ("out.sample", RopeExponents::Exact, eps),
        ("alt.sample_qk_norm_eps_1e-6", RopeExponents::Exact, NVIDIA_EPS),
        ("alt.sample_nvidia_conventions", RopeExponents::Bf16, NVIDIA_EPS),
    ];
    for (name, rope, eps) in variants.into_iter().filter(|(name, _, _)| case.has(name)) {
        let config = diffusers_config(case, &case.config, rope, eps)?;
        let dit = load(case, &config, device)?;
        let sample = forward(case, &dit, device)?;
        checks.compare(name, &Array::from_tensor(&sample))?;
        if name == "out.sample" {
            let context = dit.project_context(case.array("in.text")?.tensor(device));
            checks.locate("dbg.crossattn_proj", &Array::from_tensor(&context.tokens));
        }
    }
    Ok(Outcome::Compared)
}

fn forward(case: &Case, dit: &Dit, device: &Device) -> Result<Tensor<5>, Box<dyn Error>> {
    let condition = FrameCondition::from_mask(case.array("in.condition_mask")?.tensor(device));
    let context = dit.project_context(case.array("in.text")?.tensor(device));
    Ok(dit.forward(&DitInput {
        latents: case.array("in.latents")?.tensor(device),
        timesteps: timesteps(case, device)?,
        context: &context,
        condition: &condition,
        padding_mask: case.array("in.padding_mask").ok().map(|mask| mask.tensor(device)),
        action: None,
        view_ids: None,
        camera: None,
        rope: None,
    }))
}

/// Brings `[batch]` and `[batch, 1, frames, 1, 1]` to `[batch, frames]`.
fn timesteps(case: &Case, device: &Device) -> Result<Tensor<2>, CaseError> {
    let stored = case.array("in.timestep")?;
    let frames = stored.shape.get(2).copied().unwrap_or(1);
    let batch = stored.values.len() / frames;
    Ok(stored.clone().reshaped(&[batch, frames]).tensor(device))
}
