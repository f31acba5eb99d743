//! Tensors as stacks of matrices, multiplied on tile registers.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

use super::tiled::{self, Matrix};

/// Multiplies stacks of matrices on tile registers; one right matrix may serve a stack of left ones.
pub(super) fn multiply(left: &FlexTensor, right: &FlexTensor) -> FlexTensor {
    let (left, right) = (Stack::new(left), Stack::new(right));
    let (rows, columns) = (left.rows, right.columns);
    let mut output_shape = left.leading.clone();
    output_shape.extend([rows, columns]);
    let mut output = vec![0.0; output_shape.iter().product()];
    output
        .par_chunks_mut((rows * columns).max(1))
        .enumerate()
        .for_each(|(index, sums)| tiled::multiply(left.matrix(index), right.matrix(index), sums, columns));
    let layout = Layout::contiguous(Shape::from(output_shape));
    FlexTensor::new(Bytes::from_elems(output), layout, DType::F32)
}

/// A tensor as matrices: its last two axes are theirs.
struct Stack {
    tensor: FlexTensor,
    leading: Vec<usize>,
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl Stack {
    fn new(tensor: &FlexTensor) -> Self {
        let axes = tensor.layout().num_dims();
        let ends = |tensor: &FlexTensor| {
            let strides = tensor.layout().strides();
            (strides[axes - 2], strides[axes - 1])
        };
        let follows = |(row, column): (isize, isize)| column == 1 && row > 0 || row == 1 && column > 0;
        let tensor = if follows(ends(tensor)) {
            tensor.clone()
        } else {
            tensor.to_contiguous()
        };
        let shape = tensor.layout().shape();
        Self {
            leading: shape[..axes - 2].to_vec(),
            rows: shape[axes - 2],
            columns: shape[axes - 1],
            transposed: ends(&tensor).1 != 1,
            tensor,
        }
    }

    /// Returns one of the matrices, in the order of the leading axes of a stack whose first axis may be longer.
    fn matrix(&self, index: usize) -> Matrix<'_> {
        let layout = self.tensor.layout();
        let mut start = layout.start_offset();
        let mut rest = index;
        for (&count, &stride) in self.leading.iter().zip(layout.strides()).rev() {
            start += rest % count * stride.unsigned_abs();
            rest /= count;
        }
        let axes = layout.num_dims();
        let outer = layout.strides()[axes - if self.transposed { 1 } else { 2 }].unsigned_abs();
        let (rows, columns) = if self.transposed {
            (self.columns, self.rows)
        } else {
            (self.rows, self.columns)
        };
        let values = &self.tensor.storage::<f32>()[start..];
        let matrix = Matrix {
            values,
            rows,
            columns,
            stride: outer,
            transposed: false,
        };
        if self.transposed { matrix.transposed() } else { matrix }
    }
}
