//! Gradients of a convolution with all that it fuses.

use pulp::Arch;
use rayon::prelude::*;

use super::activation::{RowScratch, norm_silu_row_gradient};
use super::plan::Plan;
use super::slab::padded_frames;
use super::tile::{PackedWeight, convolve};
use super::weight_gradient::weight_gradient;

/// Pieces that the activation's gradient is cut into, whatever the number of threads.
const PIECES: usize = 8;

/// What a convolution was made from.
#[derive(Debug)]
pub(super) struct Operands<'a> {
    pub(super) frames: &'a [f32],
    /// Factors of the norm in front, if there is one.
    pub(super) gamma: Option<&'a [f32]>,
    pub(super) weight: &'a [f32],
}

/// Gradients in the order of their operands; none where not wanted.
#[derive(Debug, Default)]
pub(super) struct OperandGradients {
    pub(super) frames: Option<Vec<f32>>,
    pub(super) gamma: Option<Vec<f32>>,
    pub(super) weight: Option<Vec<f32>>,
    pub(super) bias: Option<Vec<f32>>,
}

/// Turns the output's gradient into those of the operands: frames and gamma, weight and bias, as `wanted`.
pub(super) fn gradients(plan: &Plan, operands: &Operands<'_>, gradient: &[f32], wanted: [bool; 2]) -> OperandGradients {
    let mut found = OperandGradients::default();
    let [frames_wanted, weight_wanted] = wanted;
    if weight_wanted {
        let slab = padded_frames(plan, operands.frames, operands.gamma);
        let sums = weight_gradient(plan, &slab, gradient);
        found.weight = Some(sums.weight);
        found.bias = Some(sums.bias);
    }
    if frames_wanted {
        let turned = plan.input_gradient();
        let slab = padded_frames(&turned, gradient, None);
        let packed = PackedWeight::turned(&turned, operands.weight);
        let mut frames = convolve(&turned, &slab, &packed, None);
        if plan.repeat > 1 {
            frames = sum_repeats(plan, &frames);
        }
        if let Some(gamma) = operands.gamma {
            found.gamma = Some(through_activation(operands.frames, gamma, plan.input[2], &mut frames));
        }
        found.frames = Some(frames);
    }
    found
}

/// Adds the gradients of each pixel's repetitions.
fn sum_repeats(plan: &Plan, gradient: &[f32]) -> Vec<f32> {
    let [_, _, width] = plan.input;
    let (channels, repeat) = (plan.channels_in, plan.repeat);
    let line = width * channels;
    let mut sums = vec![0.0; plan.batch * plan.input[0] * plan.input[1] * line];
    sums.par_chunks_mut(line)
        .enumerate()
        .with_min_len(8)
        .for_each(|(row, sums)| {
            let block = &gradient[row * repeat * repeat * line..(row + 1) * repeat * repeat * line];
            for line in block.chunks_exact(repeat * line) {
                for (sums, repeats) in sums
                    .chunks_exact_mut(channels)
                    .zip(line.chunks_exact(repeat * channels))
                {
                    for values in repeats.chunks_exact(channels) {
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum += value;
                        }
                    }
                }
            }
        });
    sums
}

/// Takes the gradient back through SiLU and norm, in place, and returns that of `gamma`.
fn through_activation(frames: &[f32], gamma: &[f32], width: usize, gradient: &mut [f32]) -> Vec<f32> {
    let line = width * gamma.len();
    let rows = frames.len() / line;
    let piece = rows.div_ceil(PIECES) * line;
    let partial: Vec<Vec<f32>> = gradient
        .par_chunks_mut(piece)
        .zip(frames.par_chunks(piece))
        .map(|(gradient, frames)| {
            let mut sums = vec![0.0; gamma.len()];
            let mut scratch = RowScratch::default();
            Arch::new().dispatch(|| {
                for (gradient, row) in gradient.chunks_exact_mut(line).zip(frames.chunks_exact(line)) {
                    norm_silu_row_gradient(row, gamma, gradient, &mut sums, &mut scratch);
                }
            });
            sums
        })
        .collect();
    let mut total = vec![0.0; gamma.len()];
    for sums in partial {
        for (total, sum) in total.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    total
}
