//! Normally distributed numbers.

use rand::RngExt;
use worldloop_envs::seeding::Rng;

/// Draws from the standard normal distribution (Box and Muller's method).
pub(crate) fn standard_normal(rng: &mut Rng) -> f32 {
    // The logarithm needs a number above zero.
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
}

#[cfg(test)]
mod tests {
    use worldloop_envs::seeding;

    use super::*;

    #[test]
    fn mean_is_zero_and_variance_one() {
        let mut rng = seeding::rng(1, 2);
        let values: Vec<f32> = (0..20_000).map(|_| standard_normal(&mut rng)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
