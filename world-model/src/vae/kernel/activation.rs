//! The norm and SiLU in front of a convolution, row by row, and their gradients.

use super::super::norm::MIN_LENGTH;

/// Partial sums per reduction, so that it runs in vector registers.
const LANES: usize = 8;

/// Scratch of one row's activation.
#[derive(Debug, Default)]
pub(super) struct RowScratch {
    lengths: Vec<f32>,
    linear: Vec<f32>,
    slope: Vec<f32>,
}

/// Writes `silu(norm(row) * gamma)` of a row of pixels to `out`.
#[inline(always)]
pub(super) fn norm_silu_row(row: &[f32], gamma: &[f32], out: &mut [f32]) {
    let channels = gamma.len();
    let root = (channels as f32).sqrt();
    for (pixel, out) in row.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
        let scale = root / squares(pixel).sqrt().max(MIN_LENGTH as f32);
        for ((out, value), gamma) in out.iter_mut().zip(pixel).zip(gamma) {
            *out = value * scale * gamma;
        }
    }
    for value in out.iter_mut() {
        *value *= sigmoid(*value);
    }
}

/// Turns the gradient of [`norm_silu_row`]'s output into that of its input, and adds to that of `gamma`.
#[inline(always)]
pub(super) fn norm_silu_row_gradient(
    row: &[f32],
    gamma: &[f32],
    gradient: &mut [f32],
    gamma_gradient: &mut [f32],
    scratch: &mut RowScratch,
) {
    let channels = gamma.len();
    let root = (channels as f32).sqrt();
    scratch.lengths.clear();
    scratch.linear.resize(row.len(), 0.0);
    scratch.slope.resize(row.len(), 0.0);
    for (pixel, linear) in row
        .chunks_exact(channels)
        .zip(scratch.linear.chunks_exact_mut(channels))
    {
        let length = squares(pixel).sqrt();
        scratch.lengths.push(length);
        let scale = root / length.max(MIN_LENGTH as f32);
        for ((linear, value), gamma) in linear.iter_mut().zip(pixel).zip(gamma) {
            *linear = value * scale * gamma;
        }
    }
    for (slope, linear) in scratch.slope.iter_mut().zip(&scratch.linear) {
        let gate = sigmoid(*linear);
        *slope = gate * (1.0 + linear * (1.0 - gate));
    }
    for (gradient, slope) in gradient.iter_mut().zip(&scratch.slope) {
        *gradient *= slope;
    }
    let pixels = row.chunks_exact(channels).zip(gradient.chunks_exact_mut(channels));
    for ((pixel, gradient), &length) in pixels.zip(&scratch.lengths) {
        let divisor = length.max(MIN_LENGTH as f32);
        let scale = root / divisor;
        let mut along = 0.0;
        for ((gradient, value), (gamma, sum)) in gradient
            .iter_mut()
            .zip(pixel)
            .zip(gamma.iter().zip(gamma_gradient.iter_mut()))
        {
            let scaled = *gradient * scale;
            *sum += scaled * value;
            *gradient = scaled * gamma;
            along += *gradient * value;
        }
        if length > divisor * 0.5 {
            let pull = along / (divisor * divisor);
            for (gradient, value) in gradient.iter_mut().zip(pixel) {
                *gradient -= value * pull;
            }
        }
    }
}

#[inline(always)]
fn squares(pixel: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (chunks, rest) = pixel.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value * value;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| value * value).sum::<f32>()
}

#[inline(always)]
fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + exp(-value))
}

/// Returns `e` to the power of `value` within two units in the last place, in operations that vectorise.
#[inline(always)]
fn exp(value: f32) -> f32 {
    /// Adding it rounds to an integer, which then sits in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// The upper part of the natural logarithm of 2: products with small integers are exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let value = value.clamp(-87.0, 88.0);
    let rounded = value * std::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = value - whole * LN2_HIGH - whole * LN2_LOW;
    let mut series = 1.987_569_2e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        series = series * rest + coefficient;
    }
    let fraction = series * rest * rest + rest + 1.0;
    let exponent = (rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits());
    fraction * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_to_float32() {
        for step in -870..=880 {
            let value = step as f32 / 10.0;
            let expected = f64::from(value).exp();
            let error = (f64::from(exp(value)) - expected).abs() / expected;
            assert!(error < 2.5e-7, "exp({value}) is off by {error:e}");
        }
    }
}
