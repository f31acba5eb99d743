//! Gradients of a convolution's weight and bias.

use bytemuck::{cast_slice, cast_slice_mut};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::plan::Plan;
use super::tile::{BLOCK, PIXELS};

/// Pieces that the work is cut into, whatever the number of threads: sums always run in the same order.
const PIECES: usize = 8;

/// Gradients of weight and bias, in the weight's own order.
#[derive(Debug)]
pub(super) struct WeightGradient {
    /// `[channels out, channels in, taps, rows, columns]`
    pub(super) weight: Vec<f32>,
    /// `[channels out]`
    pub(super) bias: Vec<f32>,
}

/// Sums the gradients over all output pixels.
pub(super) fn weight_gradient(plan: &Plan, slab: &[f32], gradient: &[f32]) -> WeightGradient {
    let blocks = plan.channels_out.div_ceil(BLOCK);
    let volume: usize = plan.kernel.iter().product();
    let rows = plan.batch * plan.output[0] * plan.output[1];
    let per_piece = rows.div_ceil(PIECES);
    let pieces: Vec<Piece<'_>> = (0..PIECES)
        .into_par_iter()
        .map(|index| {
            let mut piece = Piece {
                plan,
                slab,
                gradient,
                first: (index * per_piece).min(rows),
                last: ((index + 1) * per_piece).min(rows),
                weight: vec![0.0; blocks * volume * plan.channels_in * BLOCK],
                bias: vec![0.0; blocks * BLOCK],
                line: vec![0.0; plan.output[2] * BLOCK],
            };
            Arch::new().dispatch(&mut piece);
            piece
        })
        .collect();
    join(plan, pieces)
}

/// A range of output rows.
struct Piece<'a> {
    plan: &'a Plan,
    slab: &'a [f32],
    gradient: &'a [f32],
    first: usize,
    last: usize,
    /// `[channel blocks, taps, kernel rows, kernel columns * channels in, BLOCK]`
    weight: Vec<f32>,
    /// `[channel blocks, BLOCK]`
    bias: Vec<f32>,
    /// One channel block of one row of the gradient, `[width, BLOCK]`.
    line: Vec<f32>,
}

impl WithSimd for &mut Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.run::<S, 1>(simd),
            8 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            2 => self.run::<S, 8>(simd),
            _ => self.run::<S, 16>(simd),
        }
    }
}

impl Piece<'_> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize>(&mut self, simd: S) {
        for row in self.first..self.last {
            for block in 0..self.plan.channels_out.div_ceil(BLOCK) {
                self.load_line(row, block);
                self.row::<S, VECTORS>(simd, row, block);
            }
        }
    }

    /// Copies one channel block of a gradient row, and adds it to the bias.
    #[inline(always)]
    fn load_line(&mut self, row: usize, block: usize) {
        let channels_out = self.plan.channels_out;
        let width = self.plan.output[2];
        let (first, channels) = (block * BLOCK, BLOCK.min(channels_out - block * BLOCK));
        let gradient = &self.gradient[row * width * channels_out..(row + 1) * width * channels_out];
        let bias = &mut self.bias[first..first + BLOCK];
        for (line, gradient) in self
            .line
            .chunks_exact_mut(BLOCK)
            .zip(gradient.chunks_exact(channels_out))
        {
            line[..channels].copy_from_slice(&gradient[first..first + channels]);
            line[channels..].fill(0.0);
            for (bias, value) in bias.iter_mut().zip(&*line) {
                *bias += value;
            }
        }
    }

    #[inline(always)]
    fn row<S: Simd, const VECTORS: usize>(&mut self, simd: S, row: usize, block: usize) {
        let plan = self.plan;
        let [frames, height_out, _] = plan.output;
        let (clip, frame, line_out) = (row / height_out / frames, row / height_out % frames, row % height_out);
        let [height, width] = plan.padded();
        let [taps, kernel_rows, kernel_columns] = plan.kernel;
        let span = kernel_columns * plan.channels_in;
        let line = width * plan.channels_in;
        for tap in 0..taps {
            let Some(frame) = plan.input_frame(frame, tap) else {
                continue;
            };
            for kernel_row in 0..kernel_rows {
                let input_row = (clip * plan.input[0] + frame) * height + line_out * plan.stride[1] + kernel_row;
                let input = &self.slab[input_row * line..(input_row + 1) * line];
                let segment = ((block * taps + tap) * kernel_rows + kernel_row) * span * BLOCK;
                let sums = &mut self.weight[segment..segment + span * BLOCK];
                let share = Share {
                    input,
                    stride: plan.stride[2] * plan.channels_in,
                    gradient: &self.line,
                };
                share.accumulate_all::<S, VECTORS>(simd, sums);
            }
        }
    }
}

/// One row of inputs against one row of gradients.
struct Share<'a> {
    input: &'a [f32],
    /// Step between the pixels' inputs.
    stride: usize,
    /// `[width, BLOCK]`
    gradient: &'a [f32],
}

impl Share<'_> {
    #[inline(always)]
    fn accumulate_all<S: Simd, const VECTORS: usize>(&self, simd: S, sums: &mut [f32]) {
        let mut groups = sums.chunks_exact_mut(PIXELS * BLOCK);
        let mut value = 0;
        for group in &mut groups {
            self.accumulate::<S, PIXELS, VECTORS>(simd, value, group);
            value += PIXELS;
        }
        for sums in groups.into_remainder().chunks_exact_mut(BLOCK) {
            self.accumulate::<S, 1, VECTORS>(simd, value, sums);
            value += 1;
        }
    }

    /// Adds the share of `ROWS` successive input values, from value `first` of every pixel on.
    #[inline(always)]
    fn accumulate<S: Simd, const ROWS: usize, const VECTORS: usize>(&self, simd: S, first: usize, sums: &mut [f32]) {
        let mut registers = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (registers, sums) in registers.iter_mut().zip(sums.chunks_exact(BLOCK)) {
            registers.copy_from_slice(cast_slice::<f32, S::f32s>(sums));
        }
        let gradient: &[S::f32s] = cast_slice(self.gradient);
        let mut start = first;
        for gradient in gradient.chunks_exact(VECTORS) {
            let Some(values) = self.input.get(start..).and_then(|values| values.first_chunk::<ROWS>()) else {
                break;
            };
            start += self.stride;
            for (registers, value) in registers.iter_mut().zip(values) {
                let value = simd.splat_f32s(*value);
                for (register, gradient) in registers.iter_mut().zip(gradient) {
                    *register = simd.mul_add_e_f32s(value, *gradient, *register);
                }
            }
        }
        for (registers, sums) in registers.iter().zip(sums.chunks_exact_mut(BLOCK)) {
            cast_slice_mut::<f32, S::f32s>(sums).copy_from_slice(registers);
        }
    }
}

/// Adds the pieces and puts the sums in the weight's order.
fn join(plan: &Plan, pieces: Vec<Piece<'_>>) -> WeightGradient {
    let mut pieces = pieces.into_iter();
    let mut total = pieces.next().expect("the work is cut into at least one piece");
    for piece in pieces {
        for (total, value) in total.weight.iter_mut().zip(&piece.weight) {
            *total += value;
        }
        for (total, value) in total.bias.iter_mut().zip(&piece.bias) {
            *total += value;
        }
    }
    let volume: usize = plan.kernel.iter().product();
    let mut weight = vec![0.0; plan.channels_out * plan.channels_in * volume];
    let size = volume * plan.channels_in * BLOCK;
    for (out, weight) in weight.chunks_exact_mut(plan.channels_in * volume).enumerate() {
        let packed = &total.weight[out / BLOCK * size..(out / BLOCK + 1) * size];
        for (input, weight) in weight.chunks_exact_mut(volume).enumerate() {
            for (tap, weight) in weight.iter_mut().enumerate() {
                *weight = packed[(tap * plan.channels_in + input) * BLOCK + out % BLOCK];
            }
        }
    }
    total.bias.truncate(plan.channels_out);
    WeightGradient {
        weight,
        bias: total.bias,
    }
}
