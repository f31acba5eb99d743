//! All numbers that a training changes: weights, moments of the gradient, average weights.
//!
//! AdamW (Muon for hidden matrices, if asked for), clipping and averaging are one pass over each parameter in memory. That keeps the state plain data, which is
//! what makes a resumed training the same to the last bit.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rayon::prelude::*;

use crate::config::{MatrixUpdate, OptimizerConfig};
use crate::muon;

/// One parameter and what the optimiser remembers of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) path: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) weights: Vec<f32>,
    pub(crate) first_moment: Vec<f32>,
    pub(crate) second_moment: Vec<f32>,
    pub(crate) average: Vec<f32>,
}

/// Which weights to put into a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those of the last step.
    Latest,
    /// Their moving average.
    Average,
}

/// The rates of one update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Update {
    pub(crate) learning_rate: f64,
    pub(crate) ema_beta: f64,
    /// Updates made before this one.
    pub(crate) step: u64,
}

/// Gradient of one parameter; none where the loss does not depend on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gradient(Option<Vec<f32>>);

impl Gradient {
    /// Adds the gradients of two batches, parameter by parameter.
    pub(crate) fn sums(left: Vec<Self>, right: Vec<Self>) -> Vec<Self> {
        let pairs = left.into_par_iter().zip(right);
        let sums = pairs.map(|(left, right)| match (left.0, right.0) {
            (Some(mut left), Some(right)) => {
                left.iter_mut().zip(&right).for_each(|(left, right)| *left += right);
                Self(Some(left))
            }
            (one, None) | (None, one) => Self(one),
        });
        sums.collect()
    }

    /// Multiplies by a factor.
    pub(crate) fn scale(&mut self, factor: f32) {
        self.0.iter_mut().flatten().for_each(|value| *value *= factor);
    }
}

/// All parameters of a network, in the order of its fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameters(pub(crate) Vec<Parameter>);

impl Parameters {
    /// Takes the weights of a fresh network.
    pub(crate) fn collect<M: Module>(network: &M) -> Self {
        let mut collector = Collector {
            path: Vec::new(),
            found: Vec::new(),
        };
        network.visit(&mut collector);
        Self(collector.found)
    }

    /// Puts weights into a network of the same kind.
    pub(crate) fn install<M: Module>(&self, network: M, which: Which) -> M {
        network.map(&mut Installer {
            parameters: self.0.iter(),
            which,
        })
    }

    /// Takes the gradients of a network of the same kind; values that are not finite count as 0.
    pub(crate) fn gradients<M: Module>(&self, network: &M, gradients: &mut Gradients) -> Vec<Gradient> {
        let mut reader = GradientReader {
            gradients,
            found: Vec::with_capacity(self.0.len()),
        };
        network.visit(&mut reader);
        reader.found
    }

    /// Applies one step with clipping by the global norm; returns the norm before clipping.
    ///
    /// Parameters without a gradient stay as they are. Products of matrices are computed on `device`.
    pub(crate) fn update(
        &mut self,
        gradients: &[Gradient],
        config: &OptimizerConfig,
        update: Update,
        device: &Device,
    ) -> f64 {
        // In parallel over the parameters, but added up in their order: the same to the bit on any number of threads.
        let squares: Vec<f64> = gradients
            .par_iter()
            .map(|gradient| gradient.0.as_deref().map_or(0.0, sum_of_squares))
            .collect();
        let norm = squares.iter().sum::<f64>().sqrt();
        let clip = (config.max_gradient_norm / norm.max(1e-12)).min(1.0) as f32;
        let rates = Rates::new(config, update, clip);
        let parameters = self.0.par_iter_mut().with_max_len(1);
        parameters.zip(gradients).for_each(|(parameter, gradient)| {
            if let Some(gradient) = &gradient.0 {
                match parameter.hidden_matrix() {
                    Some(shape) if config.hidden_matrices == MatrixUpdate::Muon => {
                        parameter.update_matrix(gradient, shape, rates, device);
                    }
                    _ => parameter.update(gradient, rates),
                }
            }
            parameter.average(update.ema_beta as f32);
        });
        norm
    }
}

/// Constants of one update, in the precision of the weights.
#[derive(Debug, Clone, Copy)]
struct Rates {
    clip: f32,
    beta_1: f32,
    beta_2: f32,
    learning_rate: f32,
    step_size: f32,
    second_scale: f32,
    epsilon: f32,
    keep: f32,
}

impl Rates {
    fn new(config: &OptimizerConfig, update: Update, clip: f32) -> Self {
        let count = (update.step + 1).min(i32::MAX as u64) as i32;
        Self {
            clip,
            beta_1: config.beta_1 as f32,
            beta_2: config.beta_2 as f32,
            learning_rate: update.learning_rate as f32,
            step_size: (update.learning_rate / (1.0 - config.beta_1.powi(count))) as f32,
            second_scale: (1.0 / (1.0 - config.beta_2.powi(count))) as f32,
            epsilon: config.epsilon as f32,
            keep: (1.0 - update.learning_rate * config.weight_decay) as f32,
        }
    }
}

impl Parameter {
    fn update(&mut self, gradient: &[f32], rates: Rates) {
        let moments = self.first_moment.iter_mut().zip(&mut self.second_moment);
        for ((weight, (first, second)), &gradient) in self.weights.iter_mut().zip(moments).zip(gradient) {
            let gradient = gradient * rates.clip;
            *first = rates.beta_1 * *first + (1.0 - rates.beta_1) * gradient;
            *second = rates.beta_2 * *second + (1.0 - rates.beta_2) * gradient * gradient;
            let root = (*second * rates.second_scale).sqrt() + rates.epsilon;
            *weight = rates.keep * *weight - rates.step_size * *first / root;
        }
    }

    fn update_matrix(&mut self, gradient: &[f32], shape: [usize; 2], rates: Rates, device: &Device) {
        let step = muon::step(gradient, &mut self.first_moment, shape, device);
        for (weight, step) in self.weights.iter_mut().zip(step) {
            *weight = rates.keep * *weight - rates.learning_rate * step;
        }
    }

    /// Returns the shape of a matrix in a stack of equal blocks; vectors, kernels and the first and last layers are none.
    fn hidden_matrix(&self) -> Option<[usize; 2]> {
        let stacked = self.path.split('.').any(|name| name.parse::<usize>().is_ok());
        stacked.then(|| self.shape.as_slice().try_into().ok()).flatten()
    }

    fn average(&mut self, beta: f32) {
        for (average, &weight) in self.average.iter_mut().zip(&self.weights) {
            *average = beta * *average + (1.0 - beta) * weight;
        }
    }
}

fn sum_of_squares(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
}

/// Copies the values of a tensor to memory.
pub(crate) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data();
    match data.try_to_vec::<f32>() {
        Ok(values) => values,
        Err(_) => data.iter::<f32>().collect(),
    }
}

struct Collector {
    path: Vec<String>,
    found: Vec<Parameter>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let shape = tensor.dims().to_vec();
        let weights = to_vec(tensor.inner());
        let zeros = vec![0.0; weights.len()];
        self.found.push(Parameter {
            path: self.path.join("."),
            shape,
            first_moment: zeros.clone(),
            second_moment: zeros,
            average: weights.clone(),
            weights,
        });
    }
}

struct Installer<'a> {
    parameters: std::slice::Iter<'a, Parameter>,
    which: Which,
}

impl ModuleMapper for Installer<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(parameter) = self.parameters.next() else {
            return param;
        };
        let values = match self.which {
            Which::Latest => parameter.weights.clone(),
            Which::Average => parameter.average.clone(),
        };
        param.map(|old| {
            let device = old.device();
            let tensor = Tensor::from_data(TensorData::new(values, parameter.shape.clone()), &device);
            if device.is_autodiff() {
                tensor.require_grad()
            } else {
                tensor
            }
        })
    }
}

struct GradientReader<'a> {
    gradients: &'a mut Gradients,
    found: Vec<Gradient>,
}

impl ModuleVisitor for GradientReader<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(self.gradients).map(|gradient| {
            let mut values = to_vec(gradient);
            for value in &mut values {
                if !value.is_finite() {
                    *value = 0.0;
                }
            }
            values
        });
        self.found.push(Gradient(gradient));
    }
}
