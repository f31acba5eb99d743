//! Muon: steps of equal size in all directions of a matrix.
//!
//! Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the size of a step follows
//! Liu et al. 2025, "Muon is scalable for LLM training" §2.2.

use burn::tensor::{Device, Tensor, TensorData};
use worldloop_world_model::layers::{matrix_product, with_bfloat16_products};

use crate::parameters::to_vec;

/// Decay of the sum of gradients.
const MOMENTUM: f32 = 0.95;

/// Steps of the iteration that brings all singular values near 1.
const ITERATIONS: usize = 5;

/// Its coefficients: steep at 0 and bounded near 1.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Root mean square of a step at learning rate 1: about that of AdamW.
const STEP_RMS: f32 = 0.2;

/// Adds a gradient to the momentum and returns the step that this asks for, at learning rate 1.
///
/// # Shapes
/// - `gradient`, `momentum`, result: `shape`, a matrix
pub(crate) fn step(gradient: &[f32], momentum: &mut [f32], shape: [usize; 2], device: &Device) -> Vec<f32> {
    let ahead: Vec<f32> = momentum
        .iter_mut()
        .zip(gradient)
        .map(|(momentum, gradient)| {
            *momentum = MOMENTUM * *momentum + gradient;
            gradient + MOMENTUM * *momentum
        })
        .collect();
    let size = shape[0].max(shape[1]) as f32;
    let mut step = orthogonalized(ahead, shape, device);
    step.iter_mut().for_each(|value| *value *= STEP_RMS * size.sqrt());
    step
}

/// Replaces the singular values of a matrix by values near 1; a zero matrix stays zero.
///
/// The iteration corrects itself: rounded products are as good, and faster.
fn orthogonalized(values: Vec<f32>, shape: [usize; 2], device: &Device) -> Vec<f32> {
    with_bfloat16_products(|| iterate(values, shape, device))
}

fn iterate(values: Vec<f32>, [rows, columns]: [usize; 2], device: &Device) -> Vec<f32> {
    let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt() as f32;
    let matrix = Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device);
    // The products are smallest with the shorter side in front.
    let wide = if rows > columns { matrix.transpose() } else { matrix };
    let mut wide = wide.div_scalar(norm.max(1e-12));
    let [linear, cubic, quintic] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let square = matrix_product(wide.clone(), wide.clone().transpose());
        let factor = square.clone().mul_scalar(cubic) + matrix_product(square.clone(), square).mul_scalar(quintic);
        wide = wide.clone().mul_scalar(linear) + matrix_product(factor, wide);
    }
    to_vec(if rows > columns { wide.transpose() } else { wide })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::StepRandom;

    #[test]
    fn all_directions_of_a_matrix_come_out_about_equally_long() {
        let device = Device::flex();
        for shape in [[6, 20], [20, 6]] {
            let mut values = StepRandom::new(3, 0, 0).normals(120);
            // One direction far stronger than the others.
            values.iter_mut().take(20).for_each(|value| *value *= 100.0);
            let matrix =
                Tensor::<2>::from_data(TensorData::new(orthogonalized(values, shape, &device), shape), &device);
            let wide = if shape[0] > shape[1] {
                matrix.transpose()
            } else {
                matrix
            };
            let gram = to_vec(wide.clone().matmul(wide.transpose()));
            for (place, value) in gram.into_iter().enumerate() {
                let diagonal = place % 7 == 0;
                let expected = if diagonal { 0.4..1.6 } else { -0.4..0.4 };
                assert!(expected.contains(&value), "{value} at {place}");
            }
        }
    }

    #[test]
    fn steps_are_as_large_as_those_of_adamw() {
        let shape = [32, 64];
        let gradient: Vec<f32> = StepRandom::new(4, 0, 0).normals(shape[0] * shape[1]);
        let mut momentum = vec![0.0; gradient.len()];
        let step = step(&gradient, &mut momentum, shape, &Device::flex());
        let rms = (step.iter().map(|value| value * value).sum::<f32>() / step.len() as f32).sqrt();
        assert!((0.1..0.3).contains(&rms), "{rms}");
        assert_eq!(momentum, gradient);
    }

    #[test]
    fn no_gradient_is_no_step() {
        let step = step(&[0.0; 6], &mut [0.0; 6], [2, 3], &Device::flex());
        assert_eq!(step, [0.0; 6]);
    }
}
