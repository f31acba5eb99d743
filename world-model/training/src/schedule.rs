//! Learning rate and averaging over the steps.

use std::f64::consts::PI;

use crate::config::OptimizerConfig;

/// Learning rate over the highest one at the very first step.
const START_FACTOR: f64 = 1e-6;

/// Returns the learning rate of a step, counted from 0: a linear rise, then half a cosine.
pub(crate) fn learning_rate(config: &OptimizerConfig, step: u64, steps: u64) -> f64 {
    if step < config.warmup_steps {
        let risen = step as f64 / config.warmup_steps as f64;
        return config.learning_rate * (START_FACTOR + (1.0 - START_FACTOR) * risen);
    }
    let length = steps.saturating_sub(config.warmup_steps).max(1) as f64;
    let passed = ((step - config.warmup_steps) as f64 / length).min(1.0);
    let factor = config.final_factor + (1.0 - config.final_factor) * 0.5 * (1.0 + (PI * passed).cos());
    config.learning_rate * factor
}

/// Returns how much of the average stays at an iteration, counted from 0; 0 at the first one.
///
/// Source: `cosmos_transfer2/_src/predict2/utils/ema` of cosmos-transfer2.5@2ff49d0 (power average).
pub(crate) fn ema_beta(exponent: f64, iteration: u64) -> f64 {
    if iteration == 0 {
        0.0
    } else {
        (1.0 - 1.0 / (iteration as f64 + 1.0)).powf(exponent + 1.0)
    }
}

/// Returns the exponent whose power average has the given relative width.
///
/// It is the largest root of `x³ + 7x² + (16 - rate⁻²) x + (12 - rate⁻²)`.
pub(crate) fn ema_exponent(rate: f64) -> f64 {
    let inverse = rate.powi(-2);
    let polynomial = |x: f64| ((x + 7.0) * x + 16.0 - inverse) * x + 12.0 - inverse;
    // Beyond the largest root the polynomial only rises; 1 / rate is always beyond it.
    let (mut low, mut high) = (0.0, 1.0 / rate);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if polynomial(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_rate_has_the_published_exponent() {
        assert!((ema_exponent(0.1) - 6.94).abs() < 0.005, "{}", ema_exponent(0.1));
    }

    #[test]
    fn the_average_starts_as_the_weights_and_slows_down() {
        let betas: Vec<f64> = [0, 1, 10, 1000].map(|iteration| ema_beta(6.94, iteration)).to_vec();
        assert!(betas[0] == 0.0 && betas.is_sorted() && betas[3] < 1.0, "{betas:?}");
    }

    #[test]
    fn the_rate_rises_then_falls_to_its_end() {
        let config = OptimizerConfig {
            learning_rate: 2.0,
            warmup_steps: 10,
            final_factor: 0.1,
            ..Default::default()
        };
        let rate = |step| learning_rate(&config, step, 110);
        assert!(rate(0) < 1e-4 && (rate(10) - 2.0).abs() < 1e-9 && rate(5) > rate(4));
        assert!((rate(110) - 0.2).abs() < 1e-9 && (rate(500) - 0.2).abs() < 1e-9 && rate(60) < rate(59));
    }
}
