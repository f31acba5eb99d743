//! Family `scheduler`: sigma tables and samplers as diffusers runs them, in both precisions.

use std::error::Error;

use burn::tensor::{Device, Tensor};
use worldloop::world_model::diffusion::{SchedulerKind, SigmaSchedule, SigmaTable};
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::runner::{CaseResult, Outcome};
use crate::schedule_steps::AnalyticVelocity;

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let params = &case.description["params"];
    let shift: f64 = case.field(params, "shift")?;
    let name: String = case.field(params, "schedule")?;
    let (kind, table) = match name.as_str() {
        "karras" => (SchedulerKind::Unipc, SigmaTable::KarrasDiffusers),
        "nvidia_shift" => (SchedulerKind::Unipc, SigmaTable::Shift { shift }),
        "diffusers_shift" => (SchedulerKind::Unipc, SigmaTable::ShiftDiffusers { shift }),
        "euler_default" => (SchedulerKind::Euler, SigmaTable::EulerDiffusers { shift }),
        "euler_uniform" => (SchedulerKind::Euler, SigmaTable::Uniform { shift }),
        other => {
            return Ok(Outcome::OutOfScope(format!(
                "no released model uses the schedule `{other}`"
            )));
        }
    };
    let velocity = velocity(case)?;
    for steps in case.field::<Vec<usize>>(params, "steps")? {
        let schedule = table.schedule(steps);
        compare_table(checks, &format!("out.n{steps}"), &schedule, kind)?;
        compare_states(
            case,
            checks,
            &format!("out.n{steps}"),
            velocity,
            (kind, &schedule),
            device,
        )?;
    }
    Ok(Outcome::Compared)
}

fn velocity(case: &Case) -> Result<AnalyticVelocity, CaseError> {
    let json = &case.description["params"]["velocity"];
    Ok(AnalyticVelocity {
        linear: case.field(json, "a")?,
        sine: case.field(json, "b")?,
        frequency: case.field(json, "c")?,
        time: case.field(json, "d")?,
    })
}

fn compare_table(
    checks: &mut Checks<'_>,
    start: &str,
    schedule: &SigmaSchedule,
    kind: SchedulerKind,
) -> Result<(), Box<dyn Error>> {
    let sigmas = Array::from_values(schedule.sigmas.iter().copied());
    checks.compare(&format!("{start}.sigmas_f64"), &sigmas)?;
    checks.compare(&format!("{start}.sigmas"), &sigmas)?;
    let name = format!("{start}.timesteps");
    let timesteps = match kind {
        SchedulerKind::Unipc => Array::from_values(schedule.timesteps.iter().map(|time| *time as f64)),
        // diffusers' Euler scheduler keeps the fraction.
        SchedulerKind::Euler => Array::from_values(schedule.float_timesteps.iter().map(|time| f64::from(*time))),
    };
    Ok(checks.compare(&name, &timesteps)?)
}

fn compare_states(
    case: &Case,
    checks: &mut Checks<'_>,
    start: &str,
    velocity: AnalyticVelocity,
    (kind, schedule): (SchedulerKind, &SigmaSchedule),
    device: &Device,
) -> Result<(), Box<dyn Error>> {
    let noise = case.array("in.x")?;
    let precisions: [(&str, Tensor<5>); 2] = [("f32", noise.tensor(device)), ("f64", noise.tensor_f64(device))];
    for (precision, initial) in precisions {
        let whole = schedule.timesteps.iter().map(|time| *time as f64 * 0.001);
        let times: [(&str, Vec<f64>); 2] = [("", schedule.sigmas.clone()), ("_int_time", whole.collect())];
        for (suffix, times) in times {
            let name = format!("{start}.x_{precision}{suffix}");
            if case.has(&name) {
                let run = velocity.run(kind, schedule.clone(), initial.clone(), times);
                let states: Vec<Array> = std::iter::once(noise.clone()).chain(run.samples).collect();
                checks.compare(&name, &Array::stack(&states))?;
            }
        }
    }
    Ok(())
}
