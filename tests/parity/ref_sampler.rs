//! Family `ref_sampler`: NVIDIA's UniPC scheduler and the loop of its distilled models.

use std::ops::ControlFlow;

use burn::tensor::{DType, Device, Tensor};
use worldloop::world_model::diffusion::{SchedulerKind, SigmaTable, TrigFlow, TrigFlowRounding, TrigFlowStep};
use worldloop_tests::{Array, Case, Checks};

use crate::runner::{CaseResult, Outcome};
use crate::schedule_steps::AnalyticVelocity;

/// The velocity of every case of this family.
const VELOCITY: AnalyticVelocity = AnalyticVelocity {
    linear: 0.3,
    sine: 0.2,
    frequency: 3.0,
    time: 0.1,
};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    if case.has("out.coeffs_skip_out_in_noise") {
        trigflow(case, checks, device)
    } else {
        unipc(case, checks, device)
    }
}

fn unipc(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let (steps, shift) = (
        case.field(&case.config, "num_steps")?,
        case.field(&case.config, "shift")?,
    );
    let karras: bool = case.field(&case.config, "use_kerras_sigma")?;
    let table = if karras {
        SigmaTable::Karras
    } else {
        SigmaTable::Shift { shift }
    };
    let schedule = table.schedule(steps);
    let sigmas = Array::from_values(schedule.sigmas.iter().copied());
    checks.compare("out.sigmas_f64", &sigmas)?;
    checks.compare("out.sigmas_f32", &sigmas)?;
    checks.compare(
        "out.timesteps",
        &Array::from_values(schedule.timesteps.iter().map(|time| *time as f64)),
    )?;

    let noise = case.array("in.x")?;
    let (single, double): (Tensor<5>, Tensor<5>) = (noise.tensor(device), noise.tensor_f64(device));
    let run =
        |start: &Tensor<5>, times: Vec<f64>| VELOCITY.run(SchedulerKind::Unipc, schedule.clone(), start.clone(), times);
    let exact = run(&single, schedule.sigmas.clone());
    checks.compare("out.x_steps.f32", &Array::stack(&exact.samples))?;
    checks.compare("out.v_steps.f32", &Array::stack(&exact.velocities))?;
    let whole = schedule.timesteps.iter().map(|time| *time as f64 * 0.001).collect();
    checks.compare(
        "out.x_steps.f32_time_from_int_timestep",
        &Array::stack(&run(&single, whole).samples),
    )?;
    let double = Array::stack(&run(&double, schedule.sigmas.clone()).samples);
    checks.compare("out.x_steps.f64", &double)?;
    // The reference with scalars in float32; ours are in double precision, which the tolerance allows.
    checks.compare("out.x_steps.f64_samples_f32_scalars", &double)?;
    Ok(Outcome::Compared)
}

fn trigflow(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let mut angles: Vec<f64> = case.field(&case.config, "trigflow_times")?;
    if angles.last() == Some(&0.0) {
        angles.pop();
    }
    let coefficients = angles.iter().flat_map(|angle| {
        let factors = TrigFlow::coefficients(*angle);
        [factors.skip, factors.out, factors.input, factors.noise]
    });
    let coefficients = Array {
        shape: vec![angles.len(), 4],
        values: coefficients.collect(),
    };
    checks.compare("out.coeffs_skip_out_in_noise", &coefficients)?;

    for (name, rounding) in [
        ("exact", TrigFlowRounding::Exact),
        ("time_bf16", TrigFlowRounding::Time),
    ] {
        let flow = TrigFlow {
            angles: angles.clone(),
            rounding,
        };
        let noise: Tensor<5> = case.array("in.noise")?.tensor(device);
        let network = |sample: Tensor<5>, time| VELOCITY.at(&sample.cast(DType::F32), time);
        let steps = flow.sample(noise, network, || ControlFlow::Continue(()));
        let steps = steps.expect("nothing stops it");
        let stack = |part: fn(&TrigFlowStep) -> &Tensor<5>| {
            Array::stack(
                &steps
                    .iter()
                    .map(|step| Array::from_tensor(part(step)))
                    .collect::<Vec<_>>(),
            )
        };
        checks.compare(&format!("out.x0_steps.{name}"), &stack(|step| &step.clean))?;
        checks.compare(&format!("out.x_steps.{name}"), &stack(|step| &step.sample))?;
    }
    Ok(Outcome::Compared)
}
