//! Family `dit`: diffusers' `CosmosTransformer3DModel`.

use std::error::Error;

use burn::tensor::{Device, Tensor};
use worldloop::world_model::dit::{BlockResiduals, Context, Dit, DitInput, FrameCondition, RopeExponents};
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::dit_weights::{diffusers_config, load};
use crate::runner::{CaseResult, Outcome};

/// The epsilon that diffusers has in the norms of queries and keys.
const DIFFUSERS_EPS: f64 = 1e-5;

/// The epsilon that NVIDIA's code has in the norms of queries and keys.
const NVIDIA_EPS: f64 = 1e-6;

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
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
            let context = context(case, &dit, device)?;
            checks.locate("dbg.crossattn_proj", &Array::from_tensor(&context.tokens));
            if let Some(image) = &context.image {
                checks.locate("dbg.img_context_proj", &Array::from_tensor(image));
            }
        }
    }
    Ok(Outcome::Compared)
}

fn forward(case: &Case, dit: &Dit, device: &Device) -> Result<Tensor<5>, Box<dyn Error>> {
    let condition = FrameCondition::from_mask(case.array("in.condition_mask")?.tensor(device));
    let context = context(case, dit, device)?;
    let latents: Tensor<5> = case.array("in.latents")?.tensor(device);
    let residuals = residuals(case, dit, latents.dims(), device)?;
    Ok(dit.forward(&DitInput {
        latents,
        timesteps: timesteps(case, device)?,
        context: &context,
        condition: &condition,
        padding_mask: case.array("in.padding_mask").ok().map(|mask| mask.tensor(device)),
        action: None,
        residuals: residuals.as_ref(),
        view_ids: None,
        camera: None,
        rope: None,
    }))
}

fn context(case: &Case, dit: &Dit, device: &Device) -> Result<Context, CaseError> {
    let image = case.array("in.image_context").ok().map(|image| image.tensor(device));
    Ok(dit.project_context_with_image(case.array("in.text")?.tensor(device), image))
}

/// Reads what a control network added, `[batch, tokens, width]` each.
fn residuals(
    case: &Case,
    dit: &Dit,
    latents: [usize; 5],
    device: &Device,
) -> Result<Option<BlockResiduals>, CaseError> {
    let names = case.names_after("in.control_residual.");
    let mut places: Vec<usize> = names.filter_map(|place| place.parse().ok()).collect();
    if places.is_empty() {
        return Ok(None);
    }
    places.sort_unstable();
    let [_, _, frames, height, width] = latents;
    let [frames, rows, columns] = dit.x_embedder.grid([frames, height, width]);
    let read = |place: usize| {
        let stored: Tensor<3> = case.array(&format!("in.control_residual.{place}"))?.tensor(device);
        let [batch, _, channels] = stored.dims();
        Ok(stored.reshape([batch, frames, rows * columns, channels]))
    };
    Ok(Some(BlockResiduals {
        every: case.field(&case.config, "controlnet_block_every_n")?,
        tokens: places.into_iter().map(read).collect::<Result<_, CaseError>>()?,
    }))
}

/// Brings `[batch]` and `[batch, 1, frames, 1, 1]` to `[batch, frames]`.
fn timesteps(case: &Case, device: &Device) -> Result<Tensor<2>, CaseError> {
    let stored = case.array("in.timestep")?;
    let frames = stored.shape.get(2).copied().unwrap_or(1);
    let batch = stored.values.len() / frames;
    Ok(stored.clone().reshaped(&[batch, frames]).tensor(device))
}
