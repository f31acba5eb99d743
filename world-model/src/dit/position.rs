//! Learned positions, one table per axis, added to the tokens before every block.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`LearnablePosEmbAxis`), which no released
//! 2.5 checkpoint has switched on: at 64×64 pixels a token needs to know where it is, and rotary positions only say how
//! far tokens are apart.
//! Differs: nothing.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor};

use crate::layers::{trunc_normal, untracked_cast};

/// Added to the root mean square that positions are divided by.
const EPSILON: f64 = 1e-6;

/// Configuration of [`AxisPositions`].
#[derive(Config, Debug, PartialEq, Eq)]
pub struct AxisPositionsConfig {
    /// Most latent frames.
    pub len_t: usize,
    /// Most rows of tokens.
    pub len_h: usize,
    /// Most columns of tokens.
    pub len_w: usize,
}

/// Learned positions of the token grid.
#[derive(Module, Debug)]
pub struct AxisPositions {
    /// Table over frames, `[len_t, model_channels]`.
    pub pos_emb_t: Param<Tensor<2>>,
    /// Table over rows, `[len_h, model_channels]`.
    pub pos_emb_h: Param<Tensor<2>>,
    /// Table over columns, `[len_w, model_channels]`.
    pub pos_emb_w: Param<Tensor<2>>,
}

impl AxisPositionsConfig {
    /// Initialises the tables for a network of the given width.
    pub fn init(&self, model_channels: usize, device: &Device) -> AxisPositions {
        let std = (model_channels as f64).powf(-0.5);
        let table = |len: usize| trunc_normal(len, model_channels, std, device);
        AxisPositions {
            pos_emb_t: table(self.len_t),
            pos_emb_h: table(self.len_h),
            pos_emb_w: table(self.len_w),
        }
    }
}

impl AxisPositions {
    /// Returns the positions of a grid of `[frames, rows, columns]` tokens, each of root mean square 1.
    ///
    /// # Shapes
    /// - output: `[1, frames, rows * columns, model_channels]`
    ///
    /// # Panics
    /// If the grid is longer than the tables.
    pub fn forward(&self, grid: [usize; 3], dtype: DType) -> Tensor<4> {
        let [_, width] = self.pos_emb_t.dims();
        let [frames, rows, columns] = grid;
        let axis = |table: &Param<Tensor<2>>, axis: usize| {
            let [len, _] = table.dims();
            let wanted = grid[axis];
            assert!(wanted <= len, "{wanted} tokens do not fit learned positions of {len}");
            let mut shape = [1, 1, 1, width];
            shape[axis] = wanted;
            untracked_cast(table.val(), DType::F32)
                .narrow(0, 0, wanted)
                .reshape(shape)
                .expand([frames, rows, columns, width])
        };
        let sum = axis(&self.pos_emb_t, 0) + axis(&self.pos_emb_h, 1) + axis(&self.pos_emb_w, 2);
        let sum = sum.reshape([1, frames, rows * columns, width]);
        let rms = sum.clone().square().mean_dim(3).sqrt();
        untracked_cast(sum / (rms + EPSILON), dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions() -> AxisPositions {
        AxisPositionsConfig::new(3, 4, 5).init(8, &Device::flex())
    }

    #[test]
    fn every_token_has_a_place_of_its_own_and_the_same_length() {
        let output = positions().forward([2, 4, 5], DType::F32);
        assert_eq!(output.dims(), [1, 2, 20, 8]);
        let values: Vec<f32> = output.into_data().try_to_vec().expect("float32 data");
        let rows: Vec<&[f32]> = values.chunks(8).collect();
        for (index, row) in rows.iter().enumerate() {
            let mean_square = row.iter().map(|value| value * value).sum::<f32>() / 8.0;
            assert!((mean_square - 1.0).abs() < 1e-4, "{mean_square}");
            assert!(!rows[..index].contains(row), "token {index} repeats another one");
        }
    }

    #[test]
    #[should_panic(expected = "6 tokens do not fit learned positions of 5")]
    fn a_grid_beyond_the_tables_is_refused() {
        let _ = positions().forward([1, 1, 6], DType::F32);
    }
}
