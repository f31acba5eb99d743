//! Work on a buffer in blocks of rows, on all threads.

use rayon::prelude::*;

/// Values of one block: small enough for a core's cache, large enough to be worth a task.
const BLOCK_VALUES: usize = 16 * 1024;
/// Buffers up to this length stay on the calling thread.
const SERIAL_VALUES: usize = 2 * BLOCK_VALUES;

/// A block of whole rows within one group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// Index of the group.
    pub(super) group: usize,
    /// First value of the block in the buffer.
    pub(super) start: usize,
    /// Number of values.
    pub(super) len: usize,
}

impl Block {
    /// Cuts the block out of another buffer of the same shape.
    pub(super) fn of<'a>(&self, values: &'a [f32]) -> &'a [f32] {
        &values[self.start..self.start + self.len]
    }
}

/// Runs a task on every block and returns the results in the order of the blocks.
///
/// Blocks depend on the shape alone, so that what is added up over them does not depend on the number of threads.
pub(super) fn map_blocks<R: Send>(
    values: &mut [f32],
    group_len: usize,
    width: usize,
    task: impl Fn(Block, &mut [f32]) -> R + Sync,
) -> Vec<R> {
    let block_len = (BLOCK_VALUES / width).max(1) * width;
    let serial = values.len() <= SERIAL_VALUES;
    let run = |(group, chunk): (usize, &mut [f32])| {
        let block = |(index, part): (usize, &mut [f32])| {
            let start = group * group_len + index * block_len;
            task(
                Block {
                    group,
                    start,
                    len: part.len(),
                },
                part,
            )
        };
        if serial {
            chunk.chunks_mut(block_len).enumerate().map(block).collect::<Vec<R>>()
        } else {
            chunk
                .par_chunks_mut(block_len)
                .enumerate()
                .map(block)
                .collect::<Vec<R>>()
        }
    };
    let groups: Vec<Vec<R>> = if serial {
        values.chunks_mut(group_len).enumerate().map(run).collect()
    } else {
        values.par_chunks_mut(group_len).enumerate().map(run).collect()
    };
    groups.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_row_once_and_in_order() {
        for rows in [3, 20_000] {
            let mut values = vec![0.0_f32; 2 * rows * 4];
            let blocks = map_blocks(&mut values, rows * 4, 4, |block, part| {
                for value in part {
                    *value += 1.0;
                }
                block
            });
            assert!(values.iter().all(|&value| value == 1.0));
            assert!(
                blocks
                    .windows(2)
                    .all(|pair| pair[0].start + pair[0].len == pair[1].start)
            );
            assert_eq!(blocks.last().map(|block| block.group), Some(1));
        }
    }
}
