//! Whether two worlds rank policies alike.

/// Returns the mean maximum rank violation: how much real success a wrong order in the simulation costs.
///
/// For each policy the largest real difference to a policy that the simulation orders otherwise; then the mean. 0 is a
/// perfect ranking. Policies that the simulation can't tell apart count as ordered otherwise where the real ones
/// differ. Without policies it is 0.
///
/// # Panics
/// If the lists differ in length.
pub fn mean_maximum_rank_violation(simulated: &[f64], real: &[f64]) -> f64 {
    assert_eq!(simulated.len(), real.len(), "a ranking needs pairs");
    if real.is_empty() {
        return 0.0;
    }
    let violation = |i: usize, j: usize| {
        let agree = (simulated[i] > simulated[j]) == (real[i] > real[j]);
        if agree { 0.0 } else { (real[i] - real[j]).abs() }
    };
    let worst = |i| (0..real.len()).map(|j| violation(i, j)).fold(0.0, f64::max);
    (0..real.len()).map(worst).sum::<f64>() / real.len() as f64
}

#[cfg(test)]
mod tests {
    use super::super::correlation::tests::{REAL, SIMULATED};
    use super::*;

    #[test]
    fn rank_violation_agrees_with_the_reference() {
        let violation = mean_maximum_rank_violation(&SIMULATED, &REAL);
        assert!((violation - 0.33636363636363636).abs() < 1e-12, "{violation}");
        let swapped = mean_maximum_rank_violation(&REAL, &SIMULATED);
        assert!((swapped - 0.2909090909090909).abs() < 1e-12, "{swapped}");
    }

    #[test]
    fn the_same_order_violates_nothing() {
        assert_eq!(mean_maximum_rank_violation(&[0.1, 0.5, 0.7], &[0.2, 0.3, 0.9]), 0.0);
    }
}
