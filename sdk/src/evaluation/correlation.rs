//! How two lists of numbers move together.

/// Returns Pearson's correlation of two equally long lists, in `[-1, 1]`.
///
/// It is `None` where it is not defined: fewer than two pairs, or a list without spread.
///
/// # Panics
/// If the lists differ in length.
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "correlation needs pairs");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product: f64 = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum();
    let square = |values: &[f64], mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let norms = (square(a, mean_a) * square(b, mean_b)).sqrt();
    (a.len() >= 2 && norms > 1e-12).then(|| (product / norms).clamp(-1.0, 1.0))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::evaluation) const REAL: [f64; 11] = [0.3, 0.4, 0.85, 0.85, 0.2, 0.25, 0.9, 0.4, 0.1, 0.8, 0.65];
    pub(in crate::evaluation) const SIMULATED: [f64; 11] =
        [0.44, 0.44, 0.88, 0.12, 0.2, 0.16, 0.84, 0.38, 0.0, 0.62, 0.5];

    #[test]
    fn pearson_agrees_with_the_reference() {
        let r = pearson(&SIMULATED, &REAL).expect("both lists have spread");
        assert!((r - 0.6968264399507601).abs() < 1e-12, "{r}");
    }

    #[test]
    fn a_list_without_spread_has_no_correlation() {
        assert_eq!(pearson(&[0.5, 0.5, 0.5], &[0.1, 0.2, 0.3]), None);
        assert_eq!(pearson(&[0.5], &[0.1]), None);
        assert_eq!(pearson(&[], &[]), None);
    }
}
