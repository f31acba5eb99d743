//! The kernels on whole CPU tensors, forwards and backwards.

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Bytes, DType, Shape};

use super::blocks::map_blocks;
use super::kernels::{self, Phases};

/// Attention scores of a clip that are held at once where they are not kept for the backward pass: a core's cache.
const SCORES_AT_ONCE: usize = 1 << 18;

/// Fewest tokens whose scores are held at once.
const SMALLEST_PART: usize = 64;

/// Rows of a modulation: every group of rows has its own vector.
struct Groups {
    width: usize,
    group_len: usize,
}

/// Operands of a norm of heads.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    pub(super) heads: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) phases: Option<(FlexTensor, FlexTensor)>,
    pub(super) epsilon: f32,
}

/// Operands of an attention, `[batch, tokens, heads, head_dim]` each; key and value may be one for the whole batch.
#[derive(Debug, Clone)]
pub(super) struct QueryKeyValue {
    pub(super) query: FlexTensor,
    pub(super) key: FlexTensor,
    pub(super) value: FlexTensor,
    /// Whether products round their factors to bfloat16.
    pub(super) rounded: bool,
}

pub(super) fn gelu(input: FlexTensor) -> FlexTensor {
    in_place(input, |values| {
        map_blocks(values, values.len().max(1), 1, |_, block| kernels::gelu(block));
    })
}

pub(super) fn gelu_backward(input: &FlexTensor, gradient: FlexTensor) -> FlexTensor {
    let input = input.to_contiguous();
    in_place(gradient, |values| {
        map_blocks(values, values.len().max(1), 1, |block, part| {
            kernels::gelu_backward(block.of(slice(&input)), part)
        });
    })
}

pub(super) fn modulate(tokens: &FlexTensor, shift: &FlexTensor, scale: &FlexTensor, epsilon: f32) -> FlexTensor {
    let (tokens, shift, scale) = (tokens.to_contiguous(), shift.to_contiguous(), scale.to_contiguous());
    let Groups { width, group_len } = Groups::of(&tokens, &scale);
    let mut output = vec![0.0; slice(&tokens).len()];
    map_blocks(&mut output, group_len, width, |block, part| {
        let vector = block.group * width..(block.group + 1) * width;
        let (shift, scale) = (&slice(&shift)[vector.clone()], &slice(&scale)[vector]);
        kernels::modulate(block.of(slice(&tokens)), shift, scale, epsilon, part);
    });
    tensor(output, shape(&tokens))
}

/// Returns the gradients of tokens, shift and scale.
pub(super) fn modulate_backward(
    tokens: &FlexTensor,
    scale: &FlexTensor,
    gradient: FlexTensor,
    epsilon: f32,
) -> [FlexTensor; 3] {
    let (tokens, scale) = (tokens.to_contiguous(), scale.to_contiguous());
    let groups = Groups::of(&tokens, &scale);
    let width = groups.width;
    let mut sums = Vec::new();
    let gradient = in_place(gradient, |values| {
        sums = map_blocks(values, groups.group_len, width, |block, part| {
            let mut sums = vec![0.0; 2 * width];
            let (shift_sum, scale_sum) = sums.split_at_mut(width);
            let scale = &slice(&scale)[block.group * width..(block.group + 1) * width];
            kernels::modulate_backward(block.of(slice(&tokens)), scale, epsilon, part, (shift_sum, scale_sum));
            (block.group, sums)
        });
    });
    let mut totals = [vec![0.0; slice(&scale).len()], vec![0.0; slice(&scale).len()]];
    for (group, sums) in &sums {
        for (total, sum) in totals.iter_mut().zip(sums.chunks_exact(width)) {
            add(&mut total[group * width..(group + 1) * width], sum);
        }
    }
    let [shift_total, scale_total] = totals;
    [
        gradient,
        tensor(shift_total, shape(&scale)),
        tensor(scale_total, shape(&scale)),
    ]
}

pub(super) fn gated_add(tokens: FlexTensor, gate: &FlexTensor, added: &FlexTensor) -> FlexTensor {
    let (gate, added) = (gate.to_contiguous(), added.to_contiguous());
    let Groups { width, group_len } = Groups::of(&added, &gate);
    in_place(tokens, |values| {
        map_blocks(values, group_len, width, |block, part| {
            let gate = &slice(&gate)[block.group * width..(block.group + 1) * width];
            kernels::gated_add(part, gate, block.of(slice(&added)));
        });
    })
}

/// Returns the gradients of the gate and of what was added.
pub(super) fn gated_add_backward(gate: &FlexTensor, added: &FlexTensor, gradient: FlexTensor) -> [FlexTensor; 2] {
    let (gate, added) = (gate.to_contiguous(), added.to_contiguous());
    let Groups { width, group_len } = Groups::of(&added, &gate);
    let mut sums = Vec::new();
    let gradient = in_place(gradient, |values| {
        sums = map_blocks(values, group_len, width, |block, part| {
            let mut sum = vec![0.0; width];
            let gate = &slice(&gate)[block.group * width..(block.group + 1) * width];
            kernels::gated_add_backward(block.of(slice(&added)), gate, part, &mut sum);
            (block.group, sum)
        });
    });
    let mut total = vec![0.0; slice(&gate).len()];
    for (group, sum) in &sums {
        add(&mut total[group * width..(group + 1) * width], sum);
    }
    [tensor(total, shape(&gate)), gradient]
}

/// Multiplies rows by a weight, factors rounded to bfloat16: `[rows, inputs]` by `[inputs, outputs]`.
pub(super) fn product(rows: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    multiply_rounded(rows, weight)
}

/// Returns the gradients of rows and weight.
pub(super) fn product_backward(rows: &FlexTensor, weight: &FlexTensor, gradient: &FlexTensor) -> [FlexTensor; 2] {
    [
        multiply_rounded(gradient, &weight.transpose(0, 1)),
        multiply_rounded(&rows.transpose(0, 1), gradient),
    ]
}

impl Heads {
    pub(super) fn normed(&self) -> FlexTensor {
        let operands = self.contiguous();
        let (tokens_len, heads_per_token) = operands.geometry();
        let width = slice(&operands.weight).len();
        let mut output = vec![0.0; slice(&operands.heads).len()];
        map_blocks(&mut output, tokens_len, heads_per_token * width, |block, part| {
            let phases = operands.phases_from(block.start % tokens_len / (heads_per_token * width));
            let heads = block.of(slice(&operands.heads));
            kernels::norm_rotate(
                heads,
                slice(&operands.weight),
                self.epsilon,
                phases,
                part,
                heads_per_token,
            );
        });
        tensor(output, shape(&operands.heads))
    }

    /// Returns the gradients of the heads and of the weight.
    pub(super) fn normed_backward(&self, gradient: FlexTensor) -> [FlexTensor; 2] {
        let operands = self.contiguous();
        let (tokens_len, heads_per_token) = operands.geometry();
        let width = slice(&operands.weight).len();
        let mut sums = Vec::new();
        let gradient = in_place(gradient, |values| {
            sums = map_blocks(values, tokens_len, heads_per_token * width, |block, part| {
                let mut sum = vec![0.0; width];
                let phases = operands.phases_from(block.start % tokens_len / (heads_per_token * width));
                let heads = block.of(slice(&operands.heads));
                let (weight, epsilon) = (slice(&operands.weight), self.epsilon);
                kernels::norm_rotate_backward(heads, weight, epsilon, phases, (part, &mut sum), heads_per_token);
                sum
            });
        });
        let mut total = vec![0.0; width];
        for sum in &sums {
            add(&mut total, sum);
        }
        [gradient, tensor(total, shape(&self.weight))]
    }

    fn contiguous(&self) -> Self {
        let phases = self
            .phases
            .as_ref()
            .map(|(cos, sin)| (cos.to_contiguous(), sin.to_contiguous()));
        Self {
            heads: self.heads.to_contiguous(),
            weight: self.weight.to_contiguous(),
            phases,
            epsilon: self.epsilon,
        }
    }

    /// Returns the values of one clip's tokens, and the heads of a token.
    fn geometry(&self) -> (usize, usize) {
        let shape = shape(&self.heads);
        (shape[1] * shape[2] * shape[3], shape[2])
    }

    fn phases_from(&self, token: usize) -> Option<Phases<'_>> {
        let (cos, sin) = self.phases.as_ref()?;
        let half = slice(&self.weight).len() / 2;
        Some(Phases {
            cos: &slice(cos)[token * half..],
            sin: &slice(sin)[token * half..],
        })
    }
}

impl QueryKeyValue {
    /// Returns the attended values and the probabilities, which the backward pass needs.
    pub(super) fn attended(&self) -> (FlexTensor, FlexTensor) {
        let probabilities = self.probabilities(heads_first(&self.query), heads_first(&self.key).transpose(2, 3));
        let attended = self.multiply(probabilities.clone(), heads_first(&self.value));
        (tokens_first(&attended).to_contiguous(), probabilities)
    }

    /// Returns the attended values; no more than a part of the scores is held at once.
    pub(super) fn attended_in_parts(&self) -> FlexTensor {
        let query = shape(&self.query);
        let [batch, tokens, heads, width] = [query[0], query[1], query[2], query[3]];
        let per_token = heads * shape(&self.key)[1];
        let part = (SCORES_AT_ONCE / per_token.max(1)).max(SMALLEST_PART);
        if part + 1 >= tokens {
            return self.attended().0;
        }
        // The keys are read once per part: worth laying out as the product wants them.
        let keys = heads_first(&self.key).transpose(2, 3).to_contiguous();
        let (queries, values) = (heads_first(&self.query), heads_first(&self.value));
        let mut output = vec![0.0; batch * tokens * heads * width];
        let mut start = 0;
        while start < tokens {
            // Never a part of one token: that would be a product with a vector, which adds up in another order.
            let count = if start + part + 1 >= tokens {
                tokens - start
            } else {
                part
            };
            let probabilities = self.probabilities(queries.narrow(2, start, count), keys.clone());
            let attended = self.multiply(probabilities, values.clone());
            for (index, row) in slice(&attended).chunks_exact(width).enumerate() {
                let (token, head, clip) = (index % count, index / count % heads, index / count / heads);
                let to = ((clip * tokens + start + token) * heads + head) * width;
                output[to..to + width].copy_from_slice(row);
            }
            start += count;
        }
        tensor(output, query)
    }

    /// Returns the gradients of query, key and value.
    pub(super) fn backward(&self, probabilities: &FlexTensor, gradient: &FlexTensor) -> [FlexTensor; 3] {
        let gradient = heads_first(gradient);
        let (query, key, value) = (
            heads_first(&self.query),
            heads_first(&self.key),
            heads_first(&self.value),
        );
        let value_gradient = self.multiply(probabilities.transpose(2, 3), gradient.clone());
        let width = shape(probabilities)[3];
        let factor = self.factor();
        let scores = in_place(self.multiply(gradient, value.transpose(2, 3)), |values| {
            map_blocks(values, values.len().max(1), width, |block, part| {
                kernels::softmax_backward(block.of(slice(probabilities)), part, width, factor);
            });
        });
        let key_gradient = self.multiply(scores.transpose(2, 3), query);
        let query_gradient = self.multiply(scores, key);
        [
            tokens_first(&query_gradient),
            self.of_contexts(tokens_first(&key_gradient)),
            self.of_contexts(tokens_first(&value_gradient)),
        ]
    }

    /// Adds up the gradients of a batch where one context served it.
    fn of_contexts(&self, gradient: FlexTensor) -> FlexTensor {
        if shape(&self.key)[0] == shape(&gradient)[0] {
            gradient
        } else {
            Flex::float_sum_dim(gradient, 0)
        }
    }

    fn probabilities(&self, query: FlexTensor, keys: FlexTensor) -> FlexTensor {
        let factor = self.factor();
        let scores = self.multiply(query, keys);
        let width = shape(&self.key)[1];
        in_place(scores, |values| {
            map_blocks(values, values.len().max(1), width, |_, block| {
                kernels::softmax(block, width, factor)
            });
        })
    }

    /// Multiplies matrices, `[batch, heads, rows, columns]` each; the right ones may be those of one clip for all.
    fn multiply(&self, left: FlexTensor, right: FlexTensor) -> FlexTensor {
        if self.rounded {
            multiply_rounded(&left, &right)
        } else {
            Flex::float_matmul(left, right)
        }
    }

    fn factor(&self) -> f32 {
        1.0 / (shape(&self.query)[3] as f32).sqrt()
    }
}

impl Groups {
    /// Tells the rows that share a vector: all of a clip's, or those of one of its frames.
    fn of(tokens: &FlexTensor, vectors: &FlexTensor) -> Self {
        let (tokens, vectors) = (shape(tokens), shape(vectors));
        let width = tokens[3];
        Self {
            width,
            group_len: tokens.num_elements() / (vectors[0] * vectors[1]),
        }
    }
}

/// Multiplies stacks of matrices with factors rounded to bfloat16; one right matrix may serve a stack of left ones.
fn multiply_rounded(left: &FlexTensor, right: &FlexTensor) -> FlexTensor {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if super::tiles::Tiles::exist() {
        return super::stacks::multiply(left, right);
    }
    multiply_rounded_anywhere(left, right)
}

/// The same without tile registers.
fn multiply_rounded_anywhere(left: &FlexTensor, right: &FlexTensor) -> FlexTensor {
    let rounded = |tensor: &FlexTensor| {
        in_place(tensor.clone(), |values| {
            map_blocks(values, values.len().max(1), 1, |_, block| {
                kernels::round_to_bfloat16(block)
            });
        })
    };
    Flex::float_matmul(rounded(left), rounded(right))
}

/// Swaps tokens and heads, without a copy.
fn heads_first(tensor: &FlexTensor) -> FlexTensor {
    tensor.transpose(1, 2)
}

/// Swaps heads and tokens back, without a copy.
fn tokens_first(tensor: &FlexTensor) -> FlexTensor {
    tensor.transpose(1, 2)
}

/// Changes a tensor's values, in its own memory where nothing else holds it.
fn in_place(tensor: FlexTensor, change: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut tensor = match tensor.layout().contiguous_offsets() {
        Some((0, end)) if end == tensor.storage::<f32>().len() => tensor,
        _ => tensor.to_contiguous(),
    };
    change(tensor.storage_mut());
    tensor
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("callers pass contiguous float32 tensors")
}

fn shape(tensor: &FlexTensor) -> Shape {
    tensor.layout().shape().clone()
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape), DType::F32)
}

fn add(totals: &mut [f32], sums: &[f32]) {
    for (total, sum) in totals.iter_mut().zip(sums) {
        *total += sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_products_are_the_same_with_and_without_tile_registers() {
        let stack = |shape: [usize; 4], seed: usize| {
            let values =
                (0..shape.iter().product()).map(|place: usize| ((place * 7919 + seed) % 1000) as f32 / 500.0 - 1.0);
            tensor(values.collect(), Shape::from(shape))
        };
        // Heads of 20 values between tokens, as attention has them, and one stack of keys for two clips.
        let query = stack([2, 40, 3, 20], 1).transpose(1, 2);
        let keys = stack([1, 50, 3, 20], 2).transpose(1, 2);
        for (left, right) in [
            (query.clone(), keys.transpose(2, 3)),
            (query.transpose(2, 3), stack([2, 3, 40, 7], 3)),
        ] {
            let (found, expected) = (
                multiply_rounded(&left, &right),
                multiply_rounded_anywhere(&left, &right),
            );
            assert_eq!(shape(&found), shape(&expected));
            for (found, expected) in slice(&found).iter().zip(slice(&expected)) {
                assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
            }
        }
    }
}
