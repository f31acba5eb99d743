//! Figures that show at a glance whether a tensor is sane.

use super::error::CheckpointError;
use super::source::CheckpointSource;

/// Figures of one tensor; those that are not numbers are counted and left out of the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorStatistics {
    /// Elements.
    pub count: usize,
    /// Elements that are not a number.
    pub nan: usize,
    /// Mean; not a number where there is no element.
    pub mean: f64,
    /// Standard deviation, over the number of elements; not a number where there is no element.
    pub std: f64,
    /// Smallest element; infinite where there is none.
    pub min: f32,
    /// Largest element; minus infinity where there is none.
    pub max: f32,
}

impl TensorStatistics {
    /// Computes the figures of some values.
    pub fn of(values: &[f32]) -> Self {
        let numbers = || values.iter().copied().filter(|value| !value.is_nan());
        let count = numbers().count();
        let mean = numbers().map(f64::from).sum::<f64>() / count as f64;
        let squares: f64 = numbers().map(|value| (f64::from(value) - mean).powi(2)).sum();
        Self {
            count: values.len(),
            nan: values.len() - count,
            mean,
            std: (squares / count as f64).sqrt(),
            min: numbers().fold(f32::INFINITY, f32::min),
            max: numbers().fold(f32::NEG_INFINITY, f32::max),
        }
    }
}

impl CheckpointSource {
    /// Reads one tensor and computes its figures.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn statistics(&self, key: &str) -> Result<TensorStatistics, CheckpointError> {
        Ok(TensorStatistics::of(&self.read(key)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_counted_apart() {
        let statistics = TensorStatistics::of(&[1.0, f32::NAN, 3.0]);
        let expected = TensorStatistics {
            count: 3,
            nan: 1,
            mean: 2.0,
            std: 1.0,
            min: 1.0,
            max: 3.0,
        };
        assert_eq!(statistics, expected);
    }

    #[test]
    fn no_elements_have_no_mean() {
        let statistics = TensorStatistics::of(&[]);
        assert!(statistics.mean.is_nan() && statistics.count == 0);
    }
}
