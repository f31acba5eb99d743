//! Elementary functions that a compiler can vectorise: no branches, no tables, no calls.

/// Adding it rounds a small float to the nearest integer, kept in the low bits.
const ROUND: f32 = 12_582_912.0;
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Smallest and largest argument whose exponential is a normal float.
const EXP_RANGE: (f32, f32) = (-87.0, 88.0);
/// Beyond this, erf is 1 in float32.
const ERF_RANGE: f32 = 3.925;

/// Returns the exponential, to two units in the last place; arguments are clamped to what float32 can hold.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = clamp(x, EXP_RANGE.0, EXP_RANGE.1);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    // Least squares on the Chebyshev nodes of half a binade; the first two terms are exact.
    let p = 1.375_115e-3_f32;
    let p = p * r + 8.368_988e-3;
    let p = p * r + 0.041_669_544;
    let p = p * r + 0.166_665_18;
    let p = p * r + 0.499_999_9;
    let p = (p * r + 1.0) * r + 1.0;
    p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

/// Returns the error function, to four units of 1e-7.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = clamp(x, -ERF_RANGE, ERF_RANGE);
    let u = x * x;
    // A rational fit of erf(x) / x in the square of x.
    let p = 2.045_931_3e-6_f32;
    let p = p * u + 2.848_385_8e-4;
    let p = p * u + 3.772_6e-3;
    let p = p * u + 0.052_769_426;
    let p = p * u + 0.190_595_73;
    let p = p * u + std::f32::consts::FRAC_2_SQRT_PI;
    let q = 3.804_652_3e-5_f32;
    let q = q * u + 1.163_858_7e-3;
    let q = q * u + 0.014_983_3;
    let q = q * u + 0.114_183_42;
    let q = q * u + 0.502_243_8;
    let q = q * u + 1.0;
    x * p / q
}

/// Clamps and lets NaN through.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// Rounds to the nearest bfloat16, ties to even; returns its bits.
#[inline(always)]
pub(super) fn to_bfloat16(value: f32) -> u16 {
    let bits = value.to_bits();
    (bits.wrapping_add(0x7FFF + ((bits >> 16) & 1)) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_of_the_standard_library() {
        for step in -8_700..=8_800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 3e-7, "exp({x}) is off by {error}");
        }
    }

    #[test]
    fn erf_has_its_known_values() {
        for (x, exact) in [
            (0.0, 0.0),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (-2.0, -0.995_322_3),
            (9.0, 1.0),
        ] {
            assert!((erf(x) - exact).abs() < 6e-7, "erf({x}) is {}", erf(x));
        }
    }

    #[test]
    fn nan_stays_nan() {
        assert!(exp(f32::NAN).is_nan() && erf(f32::NAN).is_nan());
    }

    #[test]
    fn rounding_is_that_of_the_half_crate() {
        for value in [
            0.0,
            -0.0,
            1.0,
            1.003_906_3,
            1.011_718_8,
            -3.7e-39,
            65_000.1,
            f32::MAX,
            f32::INFINITY,
        ] {
            assert_eq!(to_bfloat16(value), half::bf16::from_f32(value).to_bits(), "{value}");
        }
    }
}
