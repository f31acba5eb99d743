//! Intervals of a proportion.

use serde::{Deserialize, Serialize};

/// Two-sided 95 % quantile of the normal distribution, as it is usually rounded.
pub const Z_95: f64 = 1.96;

/// An interval of a proportion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end, at least 0.
    pub low: f64,
    /// Upper end, at most 1.
    pub high: f64,
}

/// Returns the Wilson score interval of a proportion; without trials it is everything from 0 to 1.
///
/// `z` is the quantile of the normal distribution, [`Z_95`] for 95 %.
pub fn wilson_interval(successes: usize, trials: usize, z: f64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let n = trials as f64;
    let rate = successes as f64 / n;
    let scale = 1.0 + z * z / n;
    let center = (rate + z * z / (2.0 * n)) / scale;
    let half = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt() / scale;
    Interval {
        low: (center - half).max(0.0),
        high: (center + half).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_agrees_with_the_reference() {
        // scipy's binomtest.proportion_ci, and the closed formula for z = 1.96.
        let exact = 1.959963984540054;
        let cases = [
            (24, 30, Z_95, 0.6269395261897257, 0.9049502189759876),
            (5, 30, Z_95, 0.07336434240351682, 0.3356470518568018),
            (1, 30, Z_95, 0.005908437994857381, 0.16670751396958874),
            (0, 30, Z_95, 0.0, 0.11351709139047801),
            (30, 30, Z_95, 0.886482908609522, 1.0),
            (7, 13, Z_95, 0.29143432431832045, 0.7679424569851186),
            (24, 30, exact, 0.6269430358685175, 0.9049489282271013),
            (7, 13, exact, 0.29143795714506016, 0.767939321904617),
        ];
        for (successes, trials, z, low, high) in cases {
            let interval = wilson_interval(successes, trials, z);
            assert!(
                (interval.low - low).abs() < 1e-12 && (interval.high - high).abs() < 1e-12,
                "{interval:?}"
            );
        }
    }

    #[test]
    fn nothing_is_known_without_trials() {
        assert_eq!(wilson_interval(0, 0, Z_95), Interval { low: 0.0, high: 1.0 });
    }
}
