//! Rotary positions over time, height and width.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`VideoRopePosition3DEmb`).
//! Differs:
//! - phases are computed in double precision and rounded once
//! - the modulation by frame rate, off in every released checkpoint, is left out

use burn::config::Config;
use burn::tensor::Device;
use half::bf16;

use crate::layers::RotaryTable;

/// Base of the frequencies before the stretch.
const THETA: f64 = 10_000.0;

/// Precision of the exponents `2 k / axis_dim` of the frequencies.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum RopeExponents {
    /// Rounded to bfloat16, as NVIDIA's code keeps them.
    Bf16,
    /// Exact, as diffusers computes them.
    Exact,
}

/// Frequencies of one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisRope {
    exponents: Vec<f64>,
    theta: f64,
}

/// Rotary positions of a token grid: a head is split over time, height and width.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope3d {
    axes: [AxisRope; 3],
}

impl AxisRope {
    fn new(dim: usize, ratio: f64, exponents: RopeExponents) -> Self {
        let exact = (0..dim / 2).map(|index| (2 * index) as f64 / dim as f64);
        let exponents = match exponents {
            RopeExponents::Bf16 => exact.map(|exponent| bf16::from_f32(exponent as f32).to_f64()).collect(),
            RopeExponents::Exact => exact.collect(),
        };
        let theta = THETA * ratio.powf(dim as f64 / (dim as f64 - 2.0));
        Self { exponents, theta }
    }

    /// Returns the exponents of the frequencies, first to last.
    pub fn exponents(&self) -> &[f64] {
        &self.exponents
    }

    /// Returns the phases at a position, in radians.
    pub fn phases(&self, position: usize) -> impl Iterator<Item = f64> {
        self.exponents
            .iter()
            .map(move |exponent| position as f64 / self.theta.powf(*exponent))
    }
}

impl Rope3d {
    /// Splits heads of `head_dim` channels over the axes, with a stretch per axis in the order time, height, width.
    ///
    /// # Panics
    /// If `head_dim` is odd or below 12.
    pub fn new(head_dim: usize, ratios: [f64; 3], exponents: RopeExponents) -> Self {
        assert!(
            head_dim.is_multiple_of(2) && head_dim >= 12,
            "head_dim {head_dim} must be even and at least 12"
        );
        let spatial = head_dim / 6 * 2;
        let dims = [head_dim - 2 * spatial, spatial, spatial];
        Self {
            axes: std::array::from_fn(|axis| AxisRope::new(dims[axis], ratios[axis], exponents)),
        }
    }

    /// Returns the axes in the order time, height, width.
    pub fn axes(&self) -> &[AxisRope; 3] {
        &self.axes
    }

    /// Builds the table of a grid of `[frames, rows, columns]` tokens, columns fastest.
    pub fn table(&self, grid: [usize; 3], device: &Device) -> RotaryTable {
        self.table_of_views(1, grid, device)
    }

    /// Builds the table of so many views of `[frames, rows, columns]` tokens, one after the other and each from time
    /// zero.
    pub fn table_of_views(&self, views: usize, grid: [usize; 3], device: &Device) -> RotaryTable {
        let times: Vec<usize> = (0..views).flat_map(|_| 0..grid[0]).collect();
        self.table_at_times(&times, [grid[1], grid[2]], device)
    }

    /// Builds the table of frames of `[rows, columns]` tokens at any times, columns fastest.
    pub fn table_at_times(&self, times: &[usize], [rows, columns]: [usize; 2], device: &Device) -> RotaryTable {
        let mut positions = Vec::with_capacity(times.len() * rows * columns);
        for &time in times {
            for row in 0..rows {
                positions.extend((0..columns).map(|column| [time, row, column]));
            }
        }
        self.table_at(&positions, device)
    }

    /// Builds the table of tokens at any positions `[frame, row, column]`.
    pub fn table_at(&self, positions: &[[usize; 3]], device: &Device) -> RotaryTable {
        let per_axis: [Vec<Vec<f64>>; 3] = std::array::from_fn(|axis| {
            let length = positions.iter().map(|position| position[axis] + 1).max().unwrap_or(0);
            (0..length)
                .map(|position| self.axes[axis].phases(position).collect())
                .collect()
        });
        let half = self.axes.iter().map(|axis| axis.exponents.len()).sum();
        let mut phases = Vec::with_capacity(positions.len() * half);
        for position in positions {
            for (axis, table) in per_axis.iter().enumerate() {
                phases.extend_from_slice(&table[position[axis]]);
            }
        }
        RotaryTable::from_phases(&phases, half, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_of_128_is_split_22_21_21() {
        let rope = Rope3d::new(128, [1.0, 3.0, 3.0], RopeExponents::Bf16);
        assert_eq!(rope.axes().each_ref().map(|axis| axis.exponents().len()), [22, 21, 21]);
        assert!((rope.axes()[1].theta - 31_694.019_256_486_14).abs() < 1e-6);
        assert_eq!(rope.axes()[1].exponents()[1], 0.047_607_421_875);
        assert_eq!(rope.axes()[0].exponents()[21], 0.953_125);
    }
}
