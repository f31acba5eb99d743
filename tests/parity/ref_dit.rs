//! Family `ref_dit`: NVIDIA's base transformer.

use std::error::Error;

use burn::tensor::{DType, Device, Tensor};
use worldloop::world_model::dit::{Context, Dit, DitInput, FrameCondition, RopeExponents};
use worldloop::world_model::layers::RotaryTable;
use worldloop::world_model::layers::cast_module;
use worldloop_tests::{Array, Case, CaseError, Check, Checks, Tolerance};

use crate::dit_weights::{load, nvidia_config};
use crate::runner::{CaseResult, Outcome};

/// Bound that the case with a bfloat16 path states for an implementation in float32, in its notes.
const FLOAT32_MATH: Tolerance = Tolerance {
    max_abs: 1e-4,
    mean_abs: 1e-4,
};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let class: String = case.field(&case.config, "class")?;
    if class != "MinimalV1LVGDiT" {
        return Ok(Outcome::OutOfScope(format!("its class is {class}")));
    }
    let needs_bf16 = case.names_after("out.velocity.").any(|variant| variant == "bf16_path");
    if needs_bf16 && !device.supports_dtype(DType::BF16) {
        return Ok(Outcome::OutOfScope("this device has no bfloat16".to_string()));
    }
    compare_velocities(case, checks, device)?;
    Ok(Outcome::Compared)
}

/// Compares every output of a network with or without actions.
pub(crate) fn compare_velocities(case: &Case, checks: &mut Checks<'_>, device: &Device) -> Result<(), Box<dyn Error>> {
    for variant in case.names_after("out.velocity.") {
        let name = format!("out.velocity.{variant}");
        let rope = if variant == "rope_f32" {
            RopeExponents::Exact
        } else {
            RopeExponents::Bf16
        };
        let mut dit = load(case, &nvidia_config(case, &case.config, rope)?, device)?;
        if variant == "bf16_path" {
            dit = cast_module(dit, DType::BF16);
        }
        let velocity = Array::from_tensor(&forward(case, &dit, device)?);
        match variant {
            "fp32_math" => checks.compare_within(&name, &velocity, FLOAT32_MATH)?,
            _ => checks.compare(&name, &velocity)?,
        }
        trace(case, checks, &dit, variant, device)?;
    }
    Ok(())
}

/// Runs the network on the case's inputs.
pub(crate) fn forward(case: &Case, dit: &Dit, device: &Device) -> Result<Tensor<5>, Box<dyn Error>> {
    let inputs = Inputs::read(case, dit, device)?;
    Ok(dit.forward(&inputs.dit_input()))
}

/// The case's inputs, as far as it has them.
struct Inputs {
    latents: Tensor<5>,
    timesteps: Tensor<2>,
    context: Context,
    condition: FrameCondition,
    padding_mask: Option<Tensor<4>>,
    action: Option<Tensor<3>>,
    view_ids: Option<Vec<Vec<usize>>>,
    camera: Option<Tensor<5>>,
}

impl Inputs {
    fn read(case: &Case, dit: &Dit, device: &Device) -> Result<Self, CaseError> {
        Ok(Self {
            latents: case.array("in.x")?.tensor(device),
            timesteps: timesteps(case, device)?,
            context: dit.project_context(case.array("in.crossattn_emb")?.tensor(device)),
            condition: FrameCondition::from_mask(case.array("in.condition_mask")?.tensor(device)),
            padding_mask: case.array("in.padding_mask").ok().map(|mask| mask.tensor(device)),
            action: case.array("in.action").ok().map(|action| action.tensor(device)),
            view_ids: view_ids(case)?,
            camera: case.array("in.camera").ok().map(|camera| camera.tensor(device)),
        })
    }

    fn dit_input(&self) -> DitInput<'_> {
        DitInput {
            padding_mask: self.padding_mask.clone(),
            action: self.action.clone(),
            view_ids: self.view_ids.as_deref(),
            camera: self.camera.clone(),
            ..DitInput::new(
                self.latents.clone(),
                self.timesteps.clone(),
                &self.context,
                &self.condition,
            )
        }
    }
}

/// Brings the camera of every frame, `[batch, frames]`, to that of every view.
fn view_ids(case: &Case) -> Result<Option<Vec<Vec<usize>>>, CaseError> {
    let Ok(stored) = case.array("in.view_indices") else {
        return Ok(None);
    };
    let per_view: usize = case.field(&case.config, "state_t")?;
    let of_clip = |row: &[f64]| row.iter().step_by(per_view).map(|id| *id as usize).collect();
    Ok(Some(stored.values.chunks(stored.shape[1]).map(of_clip).collect()))
}

/// Brings `[batch]` to `[batch, 1]`.
fn timesteps(case: &Case, device: &Device) -> Result<Tensor<2>, CaseError> {
    let stored = case.array("in.timesteps")?;
    let batch = stored.shape.first().copied().unwrap_or(1);
    Ok(stored
        .clone()
        .reshaped(&[batch, stored.values.len() / batch])
        .tensor(device))
}

/// Compares what the network computes on the way, in its order, from its public parts.
fn trace(
    case: &Case,
    checks: &mut Checks<'_>,
    dit: &Dit,
    variant: &str,
    device: &Device,
) -> Result<(), Box<dyn Error>> {
    let inputs = Inputs::read(case, dit, device)?;
    let input = inputs.dit_input();
    checks.locate("dbg.context", &Array::from_tensor(&inputs.context.tokens));

    let conditions = dit.block_conditions(&input);
    let scale: f64 = case.field(&case.config, "timestep_scale")?;
    let time = dit.t_embedder.forward(inputs.timesteps.clone().mul_scalar(scale));
    let time = match (&dit.conditioning.action, &inputs.action) {
        (Some(embedder), Some(action)) => embedder.forward(action.clone(), &inputs.condition).add_to(time),
        _ => time,
    };
    let normed = dit.t_embedding_norm.forward_f32(time.embedding);
    for suffix in [String::new(), format!(".{variant}")] {
        checks.locate(&format!("dbg.e{suffix}"), &Array::from_tensor(&normed));
        let shared = Array::from_tensor(&conditions.time.shared);
        checks.locate(&format!("dbg.lora{suffix}"), &shared);
    }
    let [batch, _, frames, height, width] = inputs.latents.dims();
    if let Some(views) = &dit.conditioning.views
        && let Some(modulation) = &views.modulation
    {
        let ids = views.ids(inputs.view_ids.as_deref(), batch, frames);
        checks.locate("dbg.view_mod_9D", &Array::from_tensor(&modulation.forward(&ids)));
    }
    trace_phases(case, checks, &conditions.rope, variant)?;

    let mut tokens = dit.embed(&input);
    let grid = dit.x_embedder.grid([frames, height, width]);
    let compare = |checks: &mut Checks<'_>, name: &str, tokens: &Tensor<4>| {
        let array = Array::from_tensor(tokens);
        let shape = [array.shape[0], grid[0], grid[1], grid[2], array.shape[3]];
        checks.locate(name, &array.reshaped(&shape));
    };
    compare(checks, "dbg.x0", &tokens);
    for (index, (block, context)) in dit.blocks.iter().zip(&inputs.context.blocks).enumerate() {
        tokens = block.forward(tokens, &conditions, context);
        compare(checks, &format!("dbg.block.{index}.{variant}"), &tokens);
    }
    compare(checks, &format!("dbg.block.last.{variant}"), &tokens);
    let final_tokens = dit.final_layer.forward(tokens, &conditions.time);
    compare(checks, &format!("dbg.final_tokens.{variant}"), &final_tokens);
    Ok(())
}

/// Compares phases through their cosines, of which the table has one per pair of channels.
fn trace_phases(case: &Case, checks: &mut Checks<'_>, rope: &RotaryTable, variant: &str) -> Result<(), CaseError> {
    let name = format!("dbg.rope_phase.{variant}");
    let Ok(phases) = case.array(&name) else {
        return Ok(());
    };
    let half = phases.shape[1] / 2;
    // A table of one view stands for all views.
    let rows = phases.values.chunks(2 * half).take(rope.tokens());
    let stored = Array {
        shape: vec![rope.tokens(), half],
        values: rows
            .flat_map(|row| row[..half].iter().map(|phase| phase.cos()))
            .collect(),
    };
    let check = Check::compare(&name, &Array::from_tensor(&rope.cos()), &stored, case.tolerance(&name)?);
    checks.intermediate.push(check);
    Ok(())
}
