//! Rotary positions as a table of cosines and sines.

use burn::tensor::{DType, Device, Tensor, TensorData, assert_shape};

use super::untracked_cast;

/// Cosines and sines of the phases of every token, computed once and used by every block and step.
#[derive(Debug, Clone)]
pub struct RotaryTable {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl RotaryTable {
    /// Builds the table from phases in radians, `half` of them per token, tokens slow.
    ///
    /// # Panics
    /// If the phases are not a whole number of tokens.
    pub fn from_phases(phases: &[f64], half: usize, device: &Device) -> Self {
        assert!(
            phases.len().is_multiple_of(half),
            "{} phases are no whole number of tokens of {half}",
            phases.len()
        );
        let shape = [phases.len() / half, half];
        let table = |function: fn(f64) -> f64| {
            let values: Vec<f32> = phases.iter().map(|&phase| function(phase) as f32).collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Self {
            cos: table(f64::cos),
            sin: table(f64::sin),
        }
    }

    /// Rounds cosines and sines to the values that a dtype has; the table itself is float32.
    pub fn rounded(self, dtype: DType) -> Self {
        let round = |table| untracked_cast(untracked_cast(table, dtype), DType::F32);
        Self {
            cos: round(self.cos),
            sin: round(self.sin),
        }
    }

    /// Returns the cosines, `[tokens, head_dim / 2]`.
    pub fn cos(&self) -> Tensor<2> {
        self.cos.clone()
    }

    /// Returns the sines, `[tokens, head_dim / 2]`.
    pub fn sin(&self) -> Tensor<2> {
        self.sin.clone()
    }

    /// Returns the number of tokens.
    pub fn tokens(&self) -> usize {
        self.cos.dims()[0]
    }

    /// Rotates each head by its token's phases; the first half of a head pairs with the second.
    ///
    /// # Shapes
    /// - input: `[batch, tokens, heads, head_dim]`
    /// - output: `[batch, tokens, heads, head_dim]`, the input's dtype
    ///
    /// # Panics
    /// If the tokens or the head dim are not those of the table.
    pub fn apply(&self, input: Tensor<4>) -> Tensor<4> {
        let [tokens, half] = self.cos.dims();
        let head_dim = 2 * half;
        assert_shape!(input, [_, tokens, _, head_dim]);
        let dtype = input.dtype();
        let input = untracked_cast(input, DType::F32);
        let (cos, sin) = (
            self.cos().reshape([1, tokens, 1, half]),
            self.sin().reshape([1, tokens, 1, half]),
        );
        let (first, second) = (input.clone().narrow(3, 0, half), input.narrow(3, half, half));
        let turned_first = first.clone() * cos.clone() - second.clone() * sin.clone();
        let turned_second = second * cos + first * sin;
        untracked_cast(Tensor::cat(vec![turned_first, turned_second], 3), dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_swaps_the_halves() {
        let device = Device::flex();
        let table = RotaryTable::from_phases(&[std::f64::consts::FRAC_PI_2], 1, &device);
        let output = table.apply(Tensor::<4>::from_data([[[[2.0, 5.0]]]], &device));
        let expected = Tensor::<4>::from_data([[[[-5.0, 2.0]]]], &device);
        let distance: f32 = (output - expected).abs().max().into_scalar();
        assert!(distance < 1e-6);
    }

    #[test]
    fn a_rounded_table_is_float32_with_the_values_of_its_dtype() {
        let device = Device::flex();
        let table = RotaryTable::from_phases(&[0.3, 1.1], 1, &device);
        let rounded = table.clone().rounded(DType::BF16).cos();
        assert_eq!(rounded.dtype(), DType::F32);
        assert_eq!(
            rounded.to_data(),
            table.cos().cast(DType::BF16).cast(DType::F32).to_data()
        );
        assert_eq!(table.clone().rounded(DType::F32).sin().to_data(), table.sin().to_data());
    }
}
