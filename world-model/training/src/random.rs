//! Random numbers that depend on the seed and the step alone, so that nothing need be remembered to resume.

use std::f32::consts::TAU;

use rand::{Rng as _, RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// What one step draws its random numbers from.
#[derive(Debug, Clone)]
pub struct StepRandom(Pcg64);

impl StepRandom {
    /// Makes the generator of one step; `stream` separates independent uses.
    pub fn new(seed: u64, step: u64, stream: u64) -> Self {
        let mut bytes = [0; 32];
        for (place, number) in bytes
            .chunks_exact_mut(8)
            .zip([seed, step, stream, stream.wrapping_mul(0x9E37_79B9)])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let mut random = Pcg64::from_seed(bytes);
        // Neighbouring seeds give neighbouring first outputs; these are thrown away.
        for _ in 0..4 {
            random.next_u64();
        }
        Self(random)
    }

    /// Draws an index below `count`, 0 if there is none.
    pub fn index(&mut self, count: usize) -> usize {
        if count == 0 { 0 } else { self.0.random_range(0..count) }
    }

    /// Draws a number in `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        self.0.random()
    }

    /// Draws `true` with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.uniform() < probability
    }

    /// Draws a number of the standard normal distribution.
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (TAU * self.uniform()).cos()
    }

    /// Draws numbers of the standard normal distribution.
    pub fn normals(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            let (sine, cosine) = (TAU * self.uniform()).sin_cos();
            values.extend([radius * cosine, radius * sine]);
        }
        values.truncate(count);
        values
    }

    /// Returns the numbers below `count` in random order.
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for place in (1..count).rev() {
            order.swap(place, self.index(place + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_step_same_numbers_and_other_step_other_numbers() {
        let draw = |step| StepRandom::new(7, step, 0).normals(3);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn normals_have_zero_mean_and_unit_deviation() {
        let values = StepRandom::new(1, 2, 3).normals(20_000);
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        let mut order = StepRandom::new(1, 2, 3).permutation(50);
        assert!(!order.is_sorted());
        order.sort_unstable();
        assert_eq!(order, (0..50).collect::<Vec<_>>());
    }
}
