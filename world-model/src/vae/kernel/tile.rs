//! The walk: output rows accumulate their taps in registers.

use bytemuck::cast_slice;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::plan::Plan;

/// Output channels that are accumulated together.
pub(super) const BLOCK: usize = 16;

/// Output pixels that are accumulated together.
pub(super) const PIXELS: usize = 6;

/// Longest run of input values between two stores of the accumulators, so that the weights stay in the first cache.
const RUN: usize = 128;

/// Weights in the order of the walk: `[channel blocks, taps, kernel rows, kernel columns * channels in, BLOCK]`.
#[derive(Debug)]
pub(super) struct PackedWeight(Vec<f32>);

impl PackedWeight {
    /// Packs a weight `[channels out, channels in, taps, rows, columns]` of the plan.
    pub(super) fn forward(plan: &Plan, weight: &[f32]) -> Self {
        let volume: usize = plan.kernel.iter().product();
        Self::pack(plan, |out, input, tap| {
            weight[(out * plan.channels_in + input) * volume + tap]
        })
    }

    /// Packs the same weight for the plan of the input gradient: turned around, channels swapped.
    pub(super) fn turned(plan: &Plan, weight: &[f32]) -> Self {
        let volume: usize = plan.kernel.iter().product();
        Self::pack(plan, |out, input, tap| {
            weight[(input * plan.channels_out + out) * volume + volume - 1 - tap]
        })
    }

    fn pack(plan: &Plan, weight: impl Fn(usize, usize, usize) -> f32 + Sync) -> Self {
        let volume: usize = plan.kernel.iter().product();
        let size = volume * plan.channels_in * BLOCK;
        let mut packed = vec![0.0; plan.channels_out.div_ceil(BLOCK) * size];
        packed.par_chunks_mut(size).enumerate().for_each(|(block, packed)| {
            for (tap, packed) in packed.chunks_exact_mut(plan.channels_in * BLOCK).enumerate() {
                for (input, packed) in packed.chunks_exact_mut(BLOCK).enumerate() {
                    for (lane, packed) in packed.iter_mut().enumerate() {
                        let out = block * BLOCK + lane;
                        if out < plan.channels_out {
                            *packed = weight(out, input, tap);
                        }
                    }
                }
            }
        });
        Self(packed)
    }
}

/// Convolves padded frames; `bias` has the output's channels.
pub(super) fn convolve(plan: &Plan, slab: &[f32], weight: &PackedWeight, bias: Option<&[f32]>) -> Vec<f32> {
    let rows = plan.rows_per_tile();
    let [frames, height, width] = plan.output;
    let mut output = vec![0.0; plan.batch * frames * height * width * plan.channels_out];
    let tiles_per_frame = height / rows;
    output
        .par_chunks_mut(rows * width * plan.channels_out)
        .enumerate()
        .for_each(|(index, out)| {
            let (frame, tile) = (index / tiles_per_frame, index % tiles_per_frame);
            Arch::new().dispatch(Tile {
                plan,
                slab,
                weight: &weight.0,
                bias,
                clip: frame / frames,
                frame: frame % frames,
                first_row: tile * rows,
                rows,
                out,
            });
        });
    output
}

/// Some rows of one output frame.
struct Tile<'a> {
    plan: &'a Plan,
    slab: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    clip: usize,
    frame: usize,
    first_row: usize,
    rows: usize,
    out: &'a mut [f32],
}

/// One run of weights over the pixels of one row.
struct Run<'a> {
    /// Input values, from the first pixel's first value on.
    input: &'a [f32],
    /// Step between the pixels' values.
    stride: usize,
    /// `[length, BLOCK]`
    weight: &'a [f32],
}

impl WithSimd for Tile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.run::<S, 1, 1>(simd),
            8 => self.run::<S, 1, 2>(simd),
            4 => self.run::<S, 2, 4>(simd),
            2 => self.run::<S, 4, 8>(simd),
            _ => self.run::<S, 8, 16>(simd),
        }
    }
}

impl Tile<'_> {
    /// Computes the tile; a channel block takes `FULL` vectors, one of at most half the channels `HALF`.
    #[inline(always)]
    fn run<S: Simd, const HALF: usize, const FULL: usize>(self, simd: S) {
        let channels_out = self.plan.channels_out;
        let width = self.plan.output[2];
        let mut sums = vec![0.0; self.rows * width * BLOCK];
        for block in 0..channels_out.div_ceil(BLOCK) {
            let first = block * BLOCK;
            let channels = BLOCK.min(channels_out - first);
            self.start(&mut sums, first, channels);
            if channels * 2 <= BLOCK {
                self.accumulate::<S, HALF>(simd, block, &mut sums);
            } else {
                self.accumulate::<S, FULL>(simd, block, &mut sums);
            }
            for (sums, out) in sums.chunks_exact(BLOCK).zip(self.out.chunks_exact_mut(channels_out)) {
                out[first..first + channels].copy_from_slice(&sums[..channels]);
            }
        }
    }

    #[inline(always)]
    fn start(&self, sums: &mut [f32], first: usize, channels: usize) {
        let mut start = [0.0; BLOCK];
        if let Some(bias) = self.bias {
            start[..channels].copy_from_slice(&bias[first..first + channels]);
        }
        for sums in sums.chunks_exact_mut(BLOCK) {
            sums.copy_from_slice(&start);
        }
    }

    #[inline(always)]
    fn accumulate<S: Simd, const VECTORS: usize>(&self, simd: S, block: usize, sums: &mut [f32]) {
        let plan = self.plan;
        let [_, kernel_rows, kernel_columns] = plan.kernel;
        let [height, width] = plan.padded();
        let span = kernel_columns * plan.channels_in;
        let line = width * plan.channels_in;
        for tap in 0..plan.kernel[0] {
            let Some(frame) = plan.input_frame(self.frame, tap) else {
                continue;
            };
            let frame = (self.clip * plan.input[0] + frame) * height;
            for kernel_row in 0..kernel_rows {
                let segment = ((block * plan.kernel[0] + tap) * kernel_rows + kernel_row) * span * BLOCK;
                let weight = &self.weight[segment..segment + span * BLOCK];
                for (run, weight) in weight.chunks(RUN * BLOCK).enumerate() {
                    for (row, sums) in sums.chunks_exact_mut(plan.output[2] * BLOCK).enumerate() {
                        let input_row = frame + (self.first_row + row) * plan.stride[1] + kernel_row;
                        let input = &self.slab[input_row * line + run * RUN..(input_row + 1) * line];
                        let run = Run {
                            input,
                            stride: plan.stride[2] * plan.channels_in,
                            weight,
                        };
                        run.accumulate_row::<S, VECTORS>(simd, sums);
                    }
                }
            }
        }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn accumulate_row<S: Simd, const VECTORS: usize>(&self, simd: S, sums: &mut [f32]) {
        let mut groups = sums.chunks_exact_mut(PIXELS * BLOCK);
        let mut pixel = 0;
        for group in &mut groups {
            self.accumulate::<S, PIXELS, VECTORS>(simd, pixel, group);
            pixel += PIXELS;
        }
        let rest = groups.into_remainder();
        match rest.len() / BLOCK {
            5 => self.accumulate::<S, 5, VECTORS>(simd, pixel, rest),
            4 => self.accumulate::<S, 4, VECTORS>(simd, pixel, rest),
            3 => self.accumulate::<S, 3, VECTORS>(simd, pixel, rest),
            2 => self.accumulate::<S, 2, VECTORS>(simd, pixel, rest),
            1 => self.accumulate::<S, 1, VECTORS>(simd, pixel, rest),
            _ => (),
        }
    }

    /// Adds the run's share to `ROWS` pixels, from pixel `first` on.
    #[inline(always)]
    fn accumulate<S: Simd, const ROWS: usize, const VECTORS: usize>(&self, simd: S, first: usize, sums: &mut [f32]) {
        let length = self.weight.len() / BLOCK;
        let inputs: [&[f32]; ROWS] = std::array::from_fn(|row| &self.input[(first + row) * self.stride..][..length]);
        let mut registers = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        for (registers, sums) in registers.iter_mut().zip(sums.chunks_exact(BLOCK)) {
            registers.copy_from_slice(&cast_slice::<f32, S::f32s>(sums)[..VECTORS]);
        }
        let weight: &[S::f32s] = cast_slice(self.weight);
        for (index, weight) in weight.chunks_exact(BLOCK / S::F32_LANES).take(length).enumerate() {
            for (registers, input) in registers.iter_mut().zip(&inputs) {
                let value = simd.splat_f32s(input[index]);
                for (register, weight) in registers.iter_mut().zip(weight) {
                    *register = simd.mul_add_e_f32s(value, *weight, *register);
                }
            }
        }
        for (registers, sums) in registers.iter().zip(sums.chunks_exact_mut(BLOCK)) {
            bytemuck::cast_slice_mut::<f32, S::f32s>(sums)[..VECTORS].copy_from_slice(registers);
        }
    }
}
