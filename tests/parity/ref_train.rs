//! Family `ref_train`: one training step, its loss and its gradients.

use std::collections::BTreeMap;
use std::error::Error;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use worldloop::world_model::checkpoint::KeyMap;
use worldloop::world_model::diffusion::{add_noise, velocity};
use worldloop::world_model::dit::{Dit, DitInput, FrameCondition, RopeExponents};
use worldloop_tests::{Array, Case, Checks};

use crate::dit_weights::{load, nvidia_config};
use crate::runner::{CaseResult, Outcome};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let device = device.clone().autodiff();
    let config = nvidia_config(case, &case.config, RopeExponents::Bf16)?;
    let dit = load(case, &config, &device)?;
    let step = Step::new(case, &device)?;
    checks.compare("out.timesteps", &Array::from_tensor(&step.timesteps))?;
    checks.compare(
        "out.sigmas",
        &Array::from_tensor(&step.timesteps.clone().div_scalar(1000.0)),
    )?;
    checks.compare("out.xt", &Array::from_tensor(&step.noisy))?;

    let velocity = step.velocity(case, &dit, &device)?;
    checks.compare("out.velocity", &Array::from_tensor(&velocity))?;
    let target = worldloop::world_model::diffusion::velocity(step.clean.clone(), step.noise.clone());
    let squares = (velocity - target).square();
    let batch = squares.dims()[0];
    let per_sample = squares.reshape([batch as i32, -1]).mean_dim(1).reshape([batch]);
    checks.compare("out.per_sample_loss", &Array::from_tensor(&per_sample))?;
    let loss = per_sample.mean();
    compare_loss(case, checks, &Array::from_tensor(&loss))?;

    let gradients = collect_gradients(&dit, &loss.backward());
    compare_gradients(case, checks, &gradients)?;
    Ok(Outcome::Compared)
}

/// What one step trains on.
struct Step {
    clean: Tensor<5>,
    noise: Tensor<5>,
    noisy: Tensor<5>,
    timesteps: Tensor<2>,
    condition: FrameCondition,
}

impl Step {
    fn new(case: &Case, device: &Device) -> Result<Self, Box<dyn Error>> {
        let shift: f64 = case.field(&case.config, "shift")?;
        let uniform: Tensor<1> = case.array("in.u")?.tensor(device);
        let shifted = uniform.clone().mul_scalar(shift) / uniform.mul_scalar(shift - 1.0).add_scalar(1.0);
        let batch = shifted.dims()[0];
        let (clean, noise): (Tensor<5>, Tensor<5>) = (
            case.array("in.x0")?.tensor(device),
            case.array("in.noise")?.tensor(device),
        );
        let sigma = shifted.clone().reshape([batch, 1, 1, 1, 1]);
        Ok(Self {
            noisy: add_noise(clean.clone(), noise.clone(), sigma),
            clean,
            noise,
            timesteps: shifted.mul_scalar(1000.0).reshape([batch, 1]),
            condition: FrameCondition::from_mask(case.array("in.condition_mask")?.tensor(device)),
        })
    }

    /// Predicts the velocity; on given frames it is the true one, so that they add nothing to the loss.
    fn velocity(&self, case: &Case, dit: &Dit, device: &Device) -> Result<Tensor<5>, Box<dyn Error>> {
        let context = dit.project_context(case.array("in.crossattn_emb")?.tensor(device));
        let predicted = dit.forward(&DitInput {
            action: Some(case.array("in.action")?.tensor(device)),
            ..DitInput::new(
                self.condition.merge(self.clean.clone(), self.noisy.clone()),
                self.timesteps.clone(),
                &context,
                &self.condition,
            )
        });
        Ok(self
            .condition
            .merge(velocity(self.clean.clone(), self.noise.clone()), predicted))
    }
}

/// Compares the loss relatively, at the bound that the case states.
fn compare_loss(case: &Case, checks: &mut Checks<'_>, loss: &Array) -> Result<(), Box<dyn Error>> {
    let bound = case.field(&case.description["tolerance"], "loss_rel")?;
    for name in ["out.loss", "out.loss_f64"] {
        let stored = case.array(name)?.values[0];
        checks.bound(name, (loss.values[0] - stored).abs() / stored.abs(), bound);
    }
    Ok(())
}

/// Compares gradients by the relative L2 norm of the difference, at the bound that the case states.
fn compare_gradients(
    case: &Case,
    checks: &mut Checks<'_>,
    gradients: &BTreeMap<String, Array>,
) -> Result<(), Box<dyn Error>> {
    let bound = case.field(&case.description["tolerance"], "grad_rel_l2")?;
    for name in case.names_after("out.grad.") {
        let stored = case.array(&format!("out.grad.{name}"))?;
        let computed = gradients.get(name).ok_or_else(|| format!("no gradient of `{name}`"))?;
        if computed.shape != stored.shape {
            return Err(format!(
                "gradient of `{name}` is {:?}, expected {:?}",
                computed.shape, stored.shape
            )
            .into());
        }
        let difference = computed
            .values
            .iter()
            .zip(&stored.values)
            .map(|(computed, stored)| computed - stored);
        let distance = norm(difference) / norm(stored.values.iter().copied());
        checks.bound(&format!("out.grad.{name}"), distance, bound);
    }
    let name = "out.grad_norm_all_f64";
    let all = norm(gradients.values().flat_map(|gradient| gradient.values.iter().copied()));
    let stored = case.array(name)?.values[0];
    checks.bound(name, (all - stored).abs() / stored, bound);
    Ok(())
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Collects the gradients of a network under NVIDIA's names and in its orientation.
fn collect_gradients(dit: &Dit, gradients: &Gradients) -> BTreeMap<String, Array> {
    let mut collector = GradientCollector {
        gradients,
        path: Vec::new(),
        collected: BTreeMap::new(),
    };
    dit.visit(&mut collector);
    let map = KeyMap::dit_nvidia();
    collector
        .collected
        .into_iter()
        .map(|(path, gradient)| (map.to_stored(&path), gradient))
        .collect()
}

struct GradientCollector<'a> {
    gradients: &'a Gradients,
    path: Vec<(String, String)>,
    collected: BTreeMap<String, Array>,
}

impl ModuleVisitor for GradientCollector<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((name.to_string(), container_type.to_string()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = param.val().grad(self.gradients) else {
            return;
        };
        let is_linear = self
            .path
            .last()
            .is_some_and(|(name, container)| name == "weight" && container == "Struct:Linear");
        let gradient = if is_linear {
            gradient.swap_dims(D - 2, D - 1)
        } else {
            gradient
        };
        let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        self.collected.insert(names.join("."), Array::from_tensor(&gradient));
    }
}
