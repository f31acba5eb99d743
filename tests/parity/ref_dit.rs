//! Family `ref_dit`: NVIDIA's base transformer.

use std::error::Error;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use worldloop::world_model::dit::{Dit, DitInput, FrameCondition, RopeExponents};
use worldloop_tests::{Array, Case, CaseError, Checks, Tolerance};

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
            dit = dit.map(&mut ToBf16);
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
    let condition = FrameCondition::from_mask(case.array("in.condition_mask")?.tensor(device));
    let context = dit.project_context(case.array("in.crossattn_emb")?.tensor(device));
    let action = case.has("in.action").then(|| case.array("in.action")).transpose()?;
    Ok(dit.forward(&DitInput {
        latents: case.array("in.x")?.tensor(device),
        timesteps: timesteps(case, device)?,
        context: &context,
        condition: &condition,
        padding_mask: Some(case.array("in.padding_mask")?.tensor(device)),
        action: action.map(|action| action.tensor(device)),
        rope: None,
    }))
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

/// Compares what the network computes on the way, in its order.
fn trace(
    case: &Case,
    checks: &mut Checks<'_>,
    dit: &Dit,
    variant: &str,
    device: &Device,
) -> Result<(), Box<dyn Error>> {
    let context = dit.project_context(case.array("in.crossattn_emb")?.tensor(device));
    checks.locate("dbg.context", &Array::from_tensor(&context.tokens));
    let [_, _, frames, height, width] = case.array("in.x")?.tensor::<5>(device).dims();
    let table = dit.rotary_table([frames, height, width], device);
    let phases = case.array(&format!("dbg.rope_phase.{variant}"));
    if let Ok(phases) = phases {
        let name = format!("dbg.rope_phase.{variant}");
        let half = phases.values.len() / table.tokens() / 2;
        // Phases are compared through their cosines, of which the table has one per pair of channels.
        let rows = phases
            .values
            .chunks(2 * half)
            .flat_map(|row| row[..half].iter().map(|phase| phase.cos()));
        let stored = Array {
            shape: vec![table.tokens(), half],
            values: rows.collect(),
        };
        let tolerance = case.tolerance(&name)?;
        let computed = Array::from_tensor(&table.cos());
        checks
            .intermediate
            .push(worldloop_tests::Check::compare(&name, &computed, &stored, tolerance));
    }
    Ok(())
}

/// Rounds every parameter to bfloat16.
struct ToBf16;

impl ModuleMapper for ToBf16 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::BF16))
    }
}
