//! The kernels: plain loops over rows, compiled for the widest vectors of the machine.
//!
//! Sums run over a fixed number of lanes in a fixed order, so that a result depends neither on the machine's vector
//! width nor on the number of threads.

use pulp::{Arch, Simd, WithSimd};

use super::math::{erf, exp, to_bfloat16};

/// Lanes of a sum.
const LANES: usize = 16;
const FRAC_1_SQRT_TAU: f32 = 0.398_942_3;

/// Compiles a function once for each kind of vectors and picks the widest at run time.
macro_rules! vectorised {
    ($(#[$meta:meta])* fn $name:ident<'a>($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        pub(super) fn $name<'a>($($argument: $type),*) {
            struct Kernel<'a> {
                $($argument: $type),*
            }
            impl<'a> WithSimd for Kernel<'a> {
                type Output = ();

                #[inline(always)]
                fn with_simd<S: Simd>(self, _: S) {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            Arch::new().dispatch(Kernel { $($argument),* });
        }
    };
}

/// Cosines and sines of consecutive tokens.
#[derive(Clone, Copy)]
pub(super) struct Phases<'a> {
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
}

vectorised! {
    /// `x Φ(x)`, in place.
    fn gelu<'a>(values: &'a mut [f32]) {
        for value in values {
            *value *= 0.5 + 0.5 * erf(*value * std::f32::consts::FRAC_1_SQRT_2);
        }
    }
}

vectorised! {
    /// Rounds to the nearest bfloat16, in place.
    fn round_to_bfloat16<'a>(values: &'a mut [f32]) {
        for value in values {
            *value = f32::from_bits(u32::from(to_bfloat16(*value)) << 16);
        }
    }
}

vectorised! {
    /// Multiplies gradients by the derivative of the GELU.
    fn gelu_backward<'a>(inputs: &'a [f32], gradients: &'a mut [f32]) {
        for (gradient, &x) in gradients.iter_mut().zip(inputs) {
            let cdf = 0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2);
            *gradient *= cdf + x * FRAC_1_SQRT_TAU * exp(-0.5 * x * x);
        }
    }
}

vectorised! {
    /// Normalises rows, then scales and shifts them.
    fn modulate<'a>(rows: &'a [f32], shift: &'a [f32], scale: &'a [f32], epsilon: f32, output: &'a mut [f32]) {
        let width = shift.len();
        for (row, output) in rows.chunks_exact(width).zip(output.chunks_exact_mut(width)) {
            let (mean, factor) = moments(row, epsilon);
            let parameters = shift.iter().zip(scale);
            for ((output, &value), (&shift, &scale)) in output.iter_mut().zip(row).zip(parameters) {
                *output = (value - mean) * factor * (1.0 + scale) + shift;
            }
        }
    }
}

vectorised! {
    /// Turns the gradients of modulated rows into those of the rows, in place, and adds up those of shift and scale.
    fn modulate_backward<'a>(
        rows: &'a [f32],
        scale: &'a [f32],
        epsilon: f32,
        gradients: &'a mut [f32],
        sums: (&'a mut [f32], &'a mut [f32]),
    ) {
        let width = scale.len();
        let (shift_sum, scale_sum) = sums;
        for (row, gradient) in rows.chunks_exact(width).zip(gradients.chunks_exact_mut(width)) {
            let (mean, factor) = moments(row, epsilon);
            let sums = shift_sum.iter_mut().zip(scale_sum.iter_mut());
            for ((gradient, &value), ((shift_sum, scale_sum), &scale)) in gradient.iter_mut().zip(row).zip(sums.zip(scale))
            {
                *shift_sum += *gradient;
                *scale_sum += *gradient * ((value - mean) * factor);
                *gradient *= 1.0 + scale;
            }
            let mean_gradient = sum(gradient, |gradient| gradient) / width as f32;
            let along = sum_of_pairs(gradient, row, |gradient, value| gradient * ((value - mean) * factor)) / width as f32;
            for (gradient, &value) in gradient.iter_mut().zip(row) {
                *gradient = factor * (*gradient - mean_gradient - (value - mean) * factor * along);
            }
        }
    }
}

vectorised! {
    /// Adds rows, each channel weighted by its gate.
    fn gated_add<'a>(rows: &'a mut [f32], gate: &'a [f32], added: &'a [f32]) {
        let width = gate.len();
        for (row, added) in rows.chunks_exact_mut(width).zip(added.chunks_exact(width)) {
            for ((value, &added), &gate) in row.iter_mut().zip(added).zip(gate) {
                *value += added * gate;
            }
        }
    }
}

vectorised! {
    /// Weights gradients by the gate and adds up the gate's own.
    fn gated_add_backward<'a>(added: &'a [f32], gate: &'a [f32], gradients: &'a mut [f32], gate_sum: &'a mut [f32]) {
        let width = gate.len();
        for (gradient, added) in gradients.chunks_exact_mut(width).zip(added.chunks_exact(width)) {
            let parameters = gate.iter().zip(gate_sum.iter_mut());
            for ((gradient, &added), (&gate, gate_sum)) in gradient.iter_mut().zip(added).zip(parameters) {
                *gate_sum += *gradient * added;
                *gradient *= gate;
            }
        }
    }
}

vectorised! {
    /// Divides heads by their root mean square, multiplies by the weight and rotates by the token's phases.
    fn norm_rotate<'a>(
        heads: &'a [f32],
        weight: &'a [f32],
        epsilon: f32,
        phases: Option<Phases<'a>>,
        output: &'a mut [f32],
        heads_per_token: usize,
    ) {
        let width = weight.len();
        for (index, (head, output)) in heads
            .chunks_exact(width)
            .zip(output.chunks_exact_mut(width))
            .enumerate()
        {
            let factor = inverse_rms(head, epsilon);
            for ((output, &value), &weight) in output.iter_mut().zip(head).zip(weight) {
                *output = value * factor * weight;
            }
            if let Some(phases) = phases {
                rotate(output, phases.of_token(index / heads_per_token, width / 2), 1.0);
            }
        }
    }
}

vectorised! {
    /// Turns the gradients of normed heads into those of the heads, in place, and adds up those of the weight.
    fn norm_rotate_backward<'a>(
        heads: &'a [f32],
        weight: &'a [f32],
        epsilon: f32,
        phases: Option<Phases<'a>>,
        gradients: (&'a mut [f32], &'a mut [f32]),
        heads_per_token: usize,
    ) {
        let width = weight.len();
        let (gradients, weight_sum) = gradients;
        for (index, (head, gradient)) in heads
            .chunks_exact(width)
            .zip(gradients.chunks_exact_mut(width))
            .enumerate()
        {
            if let Some(phases) = phases {
                rotate(gradient, phases.of_token(index / heads_per_token, width / 2), -1.0);
            }
            let factor = inverse_rms(head, epsilon);
            for ((gradient, &value), (&weight, sum)) in gradient
                .iter_mut()
                .zip(head)
                .zip(weight.iter().zip(weight_sum.iter_mut()))
            {
                *sum += *gradient * value * factor;
                *gradient *= weight;
            }
            let along = sum_of_pairs(gradient, head, |gradient, value| gradient * value) * factor * factor / width as f32;
            for (gradient, &value) in gradient.iter_mut().zip(head) {
                *gradient = factor * (*gradient - value * along);
            }
        }
    }
}

vectorised! {
    /// Softmax of rows times a factor, in place.
    fn softmax<'a>(rows: &'a mut [f32], width: usize, factor: f32) {
        for row in rows.chunks_exact_mut(width) {
            let highest = highest(row);
            for value in row.iter_mut() {
                *value = exp((*value - highest) * factor);
            }
            let inverse = 1.0 / sum(row, |value| value);
            for value in row.iter_mut() {
                *value *= inverse;
            }
        }
    }
}

vectorised! {
    /// Turns the gradients of a softmax into those of its input, in place.
    fn softmax_backward<'a>(probabilities: &'a [f32], gradients: &'a mut [f32], width: usize, factor: f32) {
        for (row, gradient) in probabilities.chunks_exact(width).zip(gradients.chunks_exact_mut(width)) {
            let along = sum_of_pairs(gradient, row, |gradient, value| gradient * value);
            for (gradient, &value) in gradient.iter_mut().zip(row) {
                *gradient = (*gradient - along) * value * factor;
            }
        }
    }
}

impl<'a> Phases<'a> {
    #[inline(always)]
    fn of_token(&self, token: usize, half: usize) -> Self {
        let range = token * half..(token + 1) * half;
        Self {
            cos: &self.cos[range.clone()],
            sin: &self.sin[range],
        }
    }
}

/// Rotates the first half of a head against the second, forwards or backwards.
#[inline(always)]
fn rotate(head: &mut [f32], phases: Phases<'_>, direction: f32) {
    let (first, second) = head.split_at_mut(phases.cos.len());
    for ((first, second), (&cos, &sin)) in first.iter_mut().zip(second).zip(phases.cos.iter().zip(phases.sin)) {
        let sin = sin * direction;
        (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
    }
}

#[inline(always)]
fn inverse_rms(head: &[f32], epsilon: f32) -> f32 {
    1.0 / (sum(head, |value| value * value) / head.len() as f32 + epsilon).sqrt()
}

/// Returns the mean and the inverse standard deviation.
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let mean = sum(row, |value| value) / row.len() as f32;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / row.len() as f32;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

#[inline(always)]
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += term(value);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += term(value);
    }
    fold(lanes)
}

#[inline(always)]
fn sum_of_pairs(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let ((left_chunks, left_rest), (right_chunks, right_rest)) =
        (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        for (lane, (&left, &right)) in lanes.iter_mut().zip(left.iter().zip(right)) {
            *lane += term(left, right);
        }
    }
    for (lane, (&left, &right)) in lanes.iter_mut().zip(left_rest.iter().zip(right_rest)) {
        *lane += term(left, right);
    }
    fold(lanes)
}

#[inline(always)]
fn highest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > *lane { value } else { *lane };
        }
    }
    rest.iter().chain(&lanes).fold(
        f32::NEG_INFINITY,
        |highest, &value| if value > highest { value } else { highest },
    )
}

/// Adds up lanes by halves.
#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for lane in 0..count {
            lanes[lane] += lanes[lane + count];
        }
    }
    lanes[0]
}
