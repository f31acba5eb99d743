//! Seeded normal noise, the same on every device.
//!
//! Source: `cosmos_predict2/_src/imaginaire/utils/misc.py@50369b8` (`arch_invariant_rand`), which uses
//! `numpy.random.RandomState`: the 32-bit Mersenne Twister with the polar method.
//! Differs: seeds of several words are there too, as numpy takes them.

use burn::tensor::{Device, Tensor, TensorData};

const STATE_WORDS: usize = 624;
const MIDDLE: usize = 397;

/// Draws what `numpy.random.RandomState` draws from the same seed.
///
/// # Example
/// ```
/// use worldloop_world_model::diffusion::NumpyRandom;
///
/// let first = NumpyRandom::new(0).standard_normal();
/// assert!((first - 1.76405235).abs() < 1e-8);
/// ```
#[derive(Debug, Clone)]
pub struct NumpyRandom {
    state: [u32; STATE_WORDS],
    next: usize,
    spare: Option<f64>,
}

impl NumpyRandom {
    /// Seeds with one 32-bit number.
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; STATE_WORDS];
        for index in 1..STATE_WORDS {
            let last = state[index - 1];
            state[index] = 1_812_433_253u32
                .wrapping_mul(last ^ (last >> 30))
                .wrapping_add(index as u32);
        }
        Self {
            state,
            next: STATE_WORDS,
            spare: None,
        }
    }

    /// Seeds with several 32-bit numbers; at least one.
    pub fn from_words(words: &[u32]) -> Self {
        let words = if words.is_empty() { &[0] } else { words };
        let mut random = Self::new(19_650_218);
        let state = &mut random.state;
        let mix = |last: u32| last ^ (last >> 30);
        let (mut index, mut word) = (1, 0);
        for _ in 0..STATE_WORDS.max(words.len()) {
            let mixed = state[index] ^ mix(state[index - 1]).wrapping_mul(1_664_525);
            state[index] = mixed.wrapping_add(words[word]).wrapping_add(word as u32);
            index = advance(index, state);
            word = (word + 1) % words.len();
        }
        for _ in 1..STATE_WORDS {
            let mixed = state[index] ^ mix(state[index - 1]).wrapping_mul(1_566_083_941);
            state[index] = mixed.wrapping_sub(index as u32);
            index = advance(index, state);
        }
        state[0] = 0x8000_0000;
        random
    }

    /// Draws 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.next == STATE_WORDS {
            self.twist();
        }
        let mut bits = self.state[self.next];
        self.next += 1;
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c_5680;
        bits ^= (bits << 15) & 0xefc6_0000;
        bits ^ (bits >> 18)
    }

    /// Draws a number of 53 random bits in `[0, 1)`.
    pub fn uniform(&mut self) -> f64 {
        let high = f64::from(self.next_u32() >> 5);
        let low = f64::from(self.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// Draws from the normal distribution of mean 0 and deviation 1.
    pub fn standard_normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let first = 2.0 * self.uniform() - 1.0;
            let second = 2.0 * self.uniform() - 1.0;
            let radius = first * first + second * second;
            if radius > 0.0 && radius < 1.0 {
                let factor = (-2.0 * radius.ln() / radius).sqrt();
                self.spare = Some(factor * first);
                return factor * second;
            }
        }
    }

    /// Draws `count` normal numbers, rounded to float32.
    pub fn standard_normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.standard_normal() as f32).collect()
    }

    /// Draws a tensor of normal numbers, last axis fastest.
    pub fn standard_normal_tensor<const D: usize>(&mut self, shape: [usize; D], device: &Device) -> Tensor<D> {
        Tensor::from_data(
            TensorData::new(self.standard_normals(shape.iter().product()), shape),
            device,
        )
    }

    fn twist(&mut self) {
        for index in 0..STATE_WORDS {
            let upper = self.state[index] & 0x8000_0000;
            let lower = self.state[(index + 1) % STATE_WORDS] & 0x7fff_ffff;
            let bits = upper | lower;
            let twisted = if bits & 1 == 0 {
                bits >> 1
            } else {
                (bits >> 1) ^ 0x9908_b0df
            };
            self.state[index] = self.state[(index + MIDDLE) % STATE_WORDS] ^ twisted;
        }
        self.next = 0;
    }
}

/// Moves to the next word of the state while seeding; word 0 only carries the last one over.
fn advance(index: usize, state: &mut [u32; STATE_WORDS]) -> usize {
    if index + 1 < STATE_WORDS {
        return index + 1;
    }
    state[0] = state[STATE_WORDS - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_0_and_1_give_numpys_numbers() {
        for (seed, expected) in [
            (
                0,
                [1.76405235, 0.40015721, 0.97873798, 2.2408932, 1.86755799, -0.97727788],
            ),
            (
                1,
                [
                    1.62434536,
                    -0.61175641,
                    -0.52817175,
                    -1.07296862,
                    0.86540763,
                    -2.3015387,
                ],
            ),
        ] {
            let mut random = NumpyRandom::new(seed);
            for value in expected {
                let found = random.standard_normal();
                assert!((found - value).abs() < 1e-8, "seed {seed}: {found} instead of {value}");
            }
        }
    }

    #[test]
    fn word_seeds_follow_the_reference_generator() {
        let mut random = NumpyRandom::from_words(&[0x123, 0x234, 0x345, 0x456]);
        let first: Vec<u32> = (0..5).map(|_| random.next_u32()).collect();
        assert_eq!(
            first,
            [1_067_595_299, 955_945_823, 477_289_528, 4_107_218_783, 4_228_976_476]
        );
    }

    #[test]
    fn different_words_give_different_noise() {
        let mut one = NumpyRandom::from_words(&[1, 0, 0, 0]);
        let mut other = NumpyRandom::from_words(&[1, 0, 1, 0]);
        assert_ne!(one.standard_normals(4), other.standard_normals(4));
    }
}
