//! Family `ref_dit`: NVIDIA's base transformer.

use std::error::Error;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::activation::silu;
use burn::tensor::{DType, Device, Int, Tensor};
use worldloop::world_model::dit::{Dit, DitInput, FrameCondition, RopeExponents, TimeEmbedding};
use worldloop::world_model::layers::RotaryTable;
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
        padding_mask: case.array("in.padding_mask").ok().map(|mask| mask.tensor(device)),
        action: action.map(|action| action.tensor(device)),
        residuals: None,
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

/// Compares what the network computes on the way, in its order, from its public parts.
fn trace(
    case: &Case,
    checks: &mut Checks<'_>,
    dit: &Dit,
    variant: &str,
    device: &Device,
) -> Result<(), Box<dyn Error>> {
    let context = dit.project_context(case.array("in.crossattn_emb")?.tensor(device));
    checks.locate("dbg.context", &Array::from_tensor(&context.tokens));

    let condition = FrameCondition::from_mask(case.array("in.condition_mask")?.tensor(device));
    let scale: f64 = case.field(&case.config, "timestep_scale")?;
    let time = dit.t_embedder.forward(timesteps(case, device)?.mul_scalar(scale));
    let time = match &dit.conditioning.action {
        Some(embedder) => {
            let action = case.array("in.action")?.tensor(device);
            embedder.forward(action, &condition).add_to(time)
        }
        None => time,
    };
    let normed = dit.t_embedding_norm.forward_f32(time.embedding);
    for suffix in [String::new(), format!(".{variant}")] {
        checks.locate(&format!("dbg.e{suffix}"), &Array::from_tensor(&normed));
        checks.locate(&format!("dbg.lora{suffix}"), &Array::from_tensor(&time.shared));
    }

    let latents: Tensor<5> = case.array("in.x")?.tensor(device);
    let [_, _, frames, height, width] = latents.dims();
    let rope = dit.rotary_table([frames, height, width], device);
    trace_phases(case, checks, &rope, variant)?;
    let mut tokens = dit
        .x_embedder
        .forward(input_channels(case, latents, device)?.cast(dit.dtype()));
    let grid = dit.x_embedder.grid([frames, height, width]);
    let compare = |checks: &mut Checks<'_>, name: &str, tokens: &Tensor<4>| {
        let array = Array::from_tensor(tokens);
        let shape = [array.shape[0], grid[0], grid[1], grid[2], array.shape[3]];
        checks.locate(name, &array.reshaped(&shape));
    };
    compare(checks, "dbg.x0", &tokens);
    let time = TimeEmbedding {
        embedding: silu(normed),
        shared: time.shared,
    };
    for (index, (block, context)) in dit.blocks.iter().zip(&context.blocks).enumerate() {
        tokens = block.forward(tokens, &time, context, &rope);
        compare(checks, &format!("dbg.block.{index}.{variant}"), &tokens);
    }
    compare(checks, &format!("dbg.block.last.{variant}"), &tokens);
    Ok(())
}

/// Joins latents, condition mask and padding mask, which is brought to the latents' size by taking every n-th pixel.
fn input_channels(case: &Case, latents: Tensor<5>, device: &Device) -> Result<Tensor<5>, CaseError> {
    let condition: Tensor<5> = case.array("in.condition_mask")?.tensor(device);
    let [_, _, frames, height, width] = latents.dims();
    if !case.field::<bool>(&case.config, "concat_padding_mask")? {
        return Ok(Tensor::cat(vec![latents, condition], 1));
    }
    let padding: Tensor<4> = match case.array("in.padding_mask") {
        Ok(mask) => mask.tensor(device),
        Err(_) => Tensor::zeros([latents.dims()[0], 1, height, width], device),
    };
    let [batch, _, rows, columns] = padding.dims();
    let every = |length: usize, wanted: usize| {
        let indices = (0..wanted).map(|index| (index * length / wanted) as i32);
        Tensor::<1, Int>::from_data(indices.collect::<Vec<_>>().as_slice(), device)
    };
    let padding = padding.select(2, every(rows, height)).select(3, every(columns, width));
    let padding = padding.unsqueeze_dim::<5>(2).expand([batch, 1, frames, height, width]);
    Ok(Tensor::cat(vec![latents, condition, padding], 1))
}

/// Compares phases through their cosines, of which the table has one per pair of channels.
fn trace_phases(case: &Case, checks: &mut Checks<'_>, rope: &RotaryTable, variant: &str) -> Result<(), CaseError> {
    let name = format!("dbg.rope_phase.{variant}");
    let Ok(phases) = case.array(&name) else {
        return Ok(());
    };
    let half = phases.shape[1] / 2;
    let rows = phases.values.chunks(2 * half);
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

/// Rounds every parameter to bfloat16.
struct ToBf16;

impl ModuleMapper for ToBf16 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| tensor.cast(DType::BF16))
    }
}
