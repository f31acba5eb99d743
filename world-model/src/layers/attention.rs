//! Scaled dot-product attention over heads that lie next to each other in memory.

use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, assert_shape};

/// Attends from every query to every key, without a mask.
///
/// # Shapes
/// - query: `[batch, tokens, heads, head_dim]`
/// - key, value: `[batch, context_tokens, heads, head_dim]`
/// - output: `[batch, tokens, heads * head_dim]`
///
/// # Panics
/// If batch, heads or head dim differ.
pub fn scaled_dot_product(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<3> {
    let [batch, tokens, heads, head_dim] = query.dims();
    assert_shape!(key, [batch, _, heads, head_dim]);
    assert_shape!(value, [batch, _, heads, head_dim]);
    let heads_first = |tensor: Tensor<4>| tensor.swap_dims(1, 2);
    let attended = attention(
        heads_first(query),
        heads_first(key),
        heads_first(value),
        None,
        None,
        AttentionModuleOptions::default(),
    );
    attended.swap_dims(1, 2).reshape([batch, tokens, heads * head_dim])
}
