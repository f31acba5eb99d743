//! Products on tile registers: factors are rounded and laid out in tiles first.

use std::cell::Cell;
use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::math::to_bfloat16;
use super::tiles::{DEPTH, EDGE, TILE, Tiles};

/// Rows of sums that one call of [`Tiles::multiply`] computes, and columns.
const STEP: usize = 2 * EDGE;

/// Additions from which on a product is shared among threads.
const SHARED_FROM: usize = 1 << 23;

/// Multiplies two matrices on tile registers; sums are written `stride` values from row to row.
///
/// Where there are no registers the sums stay as they are: see [`Tiles::exist`].
pub(super) fn multiply(left: Matrix<'_>, right: Matrix<'_>, sums: &mut [f32], stride: usize) {
    debug_assert_eq!(left.columns, right.rows);
    let work = left.rows * left.columns * right.columns;
    let threads = if work < SHARED_FROM {
        1
    } else {
        rayon::current_num_threads()
    };
    let (mut left_buffer, mut right_buffer) = BUFFERS.take();
    // Of a left factor the hardware wants rows of values, of a right one rows of pairs.
    let left = Packed::new(left, threads, true, &mut left_buffer);
    let right = Packed::new(right.transposed(), threads, false, &mut right_buffer);
    let rows_at_once = left.length.div_ceil(threads).next_multiple_of(STEP);
    let part = |(index, sums): (usize, &mut [f32])| {
        let first = index * rows_at_once;
        let last = (first + rows_at_once).min(left.length);
        if let Some(tiles) = Tiles::new() {
            multiply_part(&tiles, (&left, first..last), &right, sums, stride);
        }
    };
    if threads == 1 {
        part((0, sums));
    } else {
        sums.par_chunks_mut(rows_at_once * stride).enumerate().for_each(part);
    }
    BUFFERS.set((left_buffer, right_buffer));
}

thread_local! {
    /// Memory of both factors' tiles, kept for the thread's next product.
    static BUFFERS: Cell<(Vec<Tile>, Vec<Tile>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Multiplies some rows of the left factor by all columns of the right one.
fn multiply_part(
    tiles: &Tiles,
    (left, rows): (&Packed<'_>, Range<usize>),
    right: &Packed<'_>,
    sums: &mut [f32],
    stride: usize,
) {
    let mut edge = [0.0; STEP * STEP];
    let mut block = |row: usize, column: usize| {
        let (left_panels, right_panels) = (left.pair(row), right.pair(column));
        let (height, width) = (STEP.min(rows.end - row), STEP.min(right.length - column));
        let start = (row - rows.start) * stride + column;
        if height == STEP && width == STEP {
            tiles.multiply(left_panels, right_panels, &mut sums[start..], stride);
            return;
        }
        tiles.multiply(left_panels, right_panels, &mut edge, STEP);
        for (line, edge) in edge.chunks_exact(STEP).take(height).enumerate() {
            sums[start + line * stride..][..width].copy_from_slice(&edge[..width]);
        }
    };
    // The smaller factor is read again and again, and so stays in the cache.
    let (rows, columns) = (rows.clone(), 0..right.length);
    if rows.len() < columns.len() {
        for column in columns.step_by(STEP) {
            rows.clone().step_by(STEP).for_each(|row| block(row, column));
        }
    } else {
        for row in rows.step_by(STEP) {
            columns.clone().step_by(STEP).for_each(|column| block(row, column));
        }
    }
}

/// A matrix within a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Values from the start of one stored row to that of the next.
    pub(super) stride: usize,
    /// Whether the stored rows are the columns.
    pub(super) transposed: bool,
}

impl Matrix<'_> {
    /// Swaps rows and columns.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            transposed: !self.transposed,
            ..self
        }
    }
}

/// One tile: 16 lines of 16 pairs of their values, or 16 pairs of 16 lines.
type Tile = [[u32; EDGE]; EDGE];

/// A factor in tiles: panels of 16 rows or columns, over the whole depth each.
struct Packed<'a> {
    /// Rows or columns, without those that fill the last pair of panels.
    length: usize,
    /// Values of a panel.
    panel: usize,
    tiles: &'a [Tile],
}

impl<'a> Packed<'a> {
    /// Packs the rows of a matrix, called lines here, into tiles whose rows are lines, or else pairs of a line's values.
    fn new(lines: Matrix<'_>, threads: usize, by_line: bool, buffer: &'a mut Vec<Tile>) -> Self {
        let depth = lines.columns.div_ceil(DEPTH);
        let panels = lines.rows.next_multiple_of(STEP) / EDGE;
        let panels_at_once = panels.div_ceil(threads);
        if buffer.len() < panels * depth {
            buffer.resize(panels * depth, [[0; EDGE]; EDGE]);
        }
        let tiles = &mut buffer[..panels * depth];
        // What lies beyond the last line is not written below, and must not be what an earlier product left.
        tiles[lines.rows / EDGE * depth..].fill([[0; EDGE]; EDGE]);
        let pack = |(index, tiles): (usize, &mut [Tile])| {
            Arch::new().dispatch(Pack {
                lines,
                first: index * panels_at_once * EDGE,
                tiles,
                depth,
                by_line,
            });
        };
        if threads == 1 {
            pack((0, &mut *tiles));
        } else {
            tiles.par_chunks_mut(panels_at_once * depth).enumerate().for_each(pack);
        }
        Self {
            length: lines.rows,
            panel: depth * TILE,
            tiles,
        }
    }

    /// Returns the panel that starts with a row or column, and the next.
    fn pair(&self, first: usize) -> [&[u16]; 2] {
        let values: &[u16] = bytemuck::cast_slice(self.tiles);
        let start = first / EDGE * self.panel;
        let (one, other) = values[start..start + 2 * self.panel].split_at(self.panel);
        [one, other]
    }
}

/// Rounds some lines into their panels.
struct Pack<'a> {
    lines: Matrix<'a>,
    first: usize,
    tiles: &'a mut [Tile],
    /// Tiles of a panel.
    depth: usize,
    by_line: bool,
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let last = (self.first + self.tiles.len() / self.depth * EDGE).min(self.lines.rows);
        let lines = self.first..last.max(self.first);
        if self.lines.transposed {
            self.lines.pack_pairs(lines, self.depth, self.tiles);
        } else {
            self.lines.pack_lines(lines, self.depth, self.tiles);
        }
        if self.lines.transposed == self.by_line {
            for tile in self.tiles {
                transpose(tile);
            }
        }
    }
}

impl Matrix<'_> {
    /// Packs lines that lie in memory one after the other; a tile's rows are lines.
    #[inline(always)]
    fn pack_lines(&self, lines: Range<usize>, depth: usize, tiles: &mut [Tile]) {
        let mut row = vec![0_u16; depth * DEPTH];
        for (index, line) in lines.enumerate() {
            let values = &self.values[line * self.stride..][..self.columns];
            for (rounded, &value) in row.iter_mut().zip(values) {
                *rounded = to_bfloat16(value);
            }
            let panel = &mut tiles[index / EDGE * depth..][..depth];
            for (tile, pairs) in panel.iter_mut().zip(row.chunks_exact(DEPTH)) {
                tile[index % EDGE].copy_from_slice(bytemuck::cast_slice(pairs));
            }
        }
    }

    /// Packs lines whose values lie next to those of other lines; a tile's rows are pairs of values.
    #[inline(always)]
    fn pack_pairs(&self, lines: Range<usize>, depth: usize, tiles: &mut [Tile]) {
        let mut row = vec![0_u32; tiles.len() / depth * EDGE];
        // Pairs that fill the last tile.
        for pair in self.columns.div_ceil(2)..depth * EDGE {
            let tiles = tiles[pair / EDGE..].iter_mut().step_by(depth);
            tiles.for_each(|tile| tile[pair % EDGE] = [0; EDGE]);
        }
        for pair in 0..self.columns.div_ceil(2) {
            let values = |offset: usize| &self.values[(2 * pair + offset) * self.stride..][lines.clone()];
            if 2 * pair + 1 < self.columns {
                for ((rounded, &even), &odd) in row.iter_mut().zip(values(0)).zip(values(1)) {
                    *rounded = u32::from(to_bfloat16(even)) | u32::from(to_bfloat16(odd)) << 16;
                }
            } else {
                for (rounded, &even) in row.iter_mut().zip(values(0)) {
                    *rounded = u32::from(to_bfloat16(even));
                }
            }
            let tiles = tiles[pair / EDGE..].iter_mut().step_by(depth);
            for (tile, lines) in tiles.zip(row.chunks_exact(EDGE)) {
                tile[pair % EDGE].copy_from_slice(lines);
            }
        }
    }
}

/// Swaps rows and columns, in rounds of ever smaller blocks.
#[inline(always)]
fn transpose(tile: &mut Tile) {
    swap_blocks::<8>(tile);
    swap_blocks::<4>(tile);
    swap_blocks::<2>(tile);
    swap_blocks::<1>(tile);
}

/// Swaps the upper right and lower left quarters of all blocks of twice the size.
#[inline(always)]
fn swap_blocks<const SIZE: usize>(tile: &mut Tile) {
    for row in (0..EDGE).filter(|row| row & SIZE == 0) {
        let (upper, lower) = (tile[row], tile[row + SIZE]);
        for column in 0..EDGE {
            if column & SIZE == 0 {
                tile[row + SIZE][column] = upper[column + SIZE];
            } else {
                tile[row][column] = lower[column - SIZE];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|place| ((place * 7919 + seed * 104_729) % 1000) as f32 / 500.0 - 1.0)
            .collect()
    }

    fn matrix(values: &[f32], rows: usize, columns: usize) -> Matrix<'_> {
        Matrix {
            values,
            rows,
            columns,
            stride: columns,
            transposed: false,
        }
    }

    fn at(matrix: Matrix<'_>, row: usize, column: usize) -> f32 {
        let place = if matrix.transposed {
            column * matrix.stride + row
        } else {
            row * matrix.stride + column
        };
        bf16::from_f32(matrix.values[place]).to_f32()
    }

    #[test]
    fn products_of_all_shapes_and_layouts_are_those_of_plain_loops() {
        if !Tiles::exist() {
            println!("this machine has no tile registers: nothing was checked");
            return;
        }
        let shapes = [
            (1, 1, 1),
            (16, 32, 16),
            (32, 64, 96),
            (5, 200, 33),
            (70, 31, 17),
            (33, 48, 192),
            (260, 400, 130),
        ];
        for (rows, depth, columns) in shapes {
            let (left, right) = (values(rows * depth, 1), values(depth * columns, 2));
            let lefts = [matrix(&left, rows, depth), matrix(&left, depth, rows).transposed()];
            let rights = [
                matrix(&right, depth, columns),
                matrix(&right, columns, depth).transposed(),
            ];
            for (left, right) in lefts.into_iter().flat_map(|left| rights.map(|right| (left, right))) {
                let stride = columns + 3;
                let mut sums = vec![7.0; rows * stride];
                multiply(left, right, &mut sums, stride);
                for (place, &sum) in sums.iter().enumerate() {
                    let (row, column) = (place / stride, place % stride);
                    let expected = if column < columns {
                        (0..depth)
                            .map(|step| at(left, row, step) * at(right, step, column))
                            .sum()
                    } else {
                        7.0
                    };
                    assert!(
                        (sum - expected).abs() < 2e-3,
                        "{sum} is not {expected} at {row}, {column}"
                    );
                }
            }
        }
    }
}
