//! Causal attention in which groups of query heads share keys and values.
//!
//! Source: transformers 5.23.0, `models/qwen2_5_vl/modeling_qwen2_5_vl.py` (`Qwen2_5_VLAttention`).
//! Differs:
//! - of half-precision weights, rotation and attention run in float32 and are rounded once each
//! - text has one position per token instead of three equal ones

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Tensor, assert_shape};

use crate::layers::{RotaryTable, linear_rows, untracked_cast};

/// Configuration of a [`GroupedQueryAttention`].
#[derive(Config, Debug)]
pub struct GroupedQueryAttentionConfig {
    /// Width of the residual stream; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Number of query heads; a multiple of `num_key_value_heads`.
    pub num_attention_heads: usize,
    /// Number of key and value heads.
    pub num_key_value_heads: usize,
}

/// Causal self-attention with fewer key and value heads than query heads.
#[derive(Module, Debug)]
pub struct GroupedQueryAttention {
    /// Projection to queries.
    pub q_proj: Linear,
    /// Projection to keys.
    pub k_proj: Linear,
    /// Projection to values.
    pub v_proj: Linear,
    /// Projection of the attended values, without bias.
    pub o_proj: Linear,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads.
    pub num_key_value_heads: usize,
}

impl GroupedQueryAttentionConfig {
    /// Initialises the layer.
    pub fn init(&self, device: &Device) -> GroupedQueryAttention {
        let width = self.hidden_size;
        let narrow = self.num_key_value_heads * (width / self.num_attention_heads);
        GroupedQueryAttention {
            q_proj: LinearConfig::new(width, width).init(device),
            k_proj: LinearConfig::new(width, narrow).init(device),
            v_proj: LinearConfig::new(width, narrow).init(device),
            o_proj: LinearConfig::new(width, width).with_bias(false).init(device),
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
        }
    }
}

impl GroupedQueryAttention {
    /// Attends from every token to itself and those before it.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens, hidden_size]`
    /// - rope: `tokens` tokens
    /// - output: `[batch, tokens, hidden_size]`
    ///
    /// # Panics
    /// If the width is not `hidden_size`, or the table is of another number of tokens.
    pub fn forward(&self, hidden: Tensor<3>, rope: &RotaryTable) -> Tensor<3> {
        let [hidden_size, _] = self.q_proj.weight.dims();
        assert_shape!(hidden, [_, _, hidden_size]);
        let [batch, tokens, _] = hidden.dims();
        let head_dim = hidden_size / self.num_attention_heads;
        let heads = |layer: &Linear, hidden: Tensor<3>, heads: usize| {
            linear_rows(layer, hidden).reshape([batch, tokens, heads, head_dim])
        };
        let query = rope.apply(heads(&self.q_proj, hidden.clone(), self.num_attention_heads));
        let key = rope.apply(heads(&self.k_proj, hidden.clone(), self.num_key_value_heads));
        let value = heads(&self.v_proj, hidden, self.num_key_value_heads);
        let attended = attend_causally(query, key, value);
        linear_rows(&self.o_proj, attended)
    }
}

/// Attends in float32; consecutive query heads share one key and value head.
///
/// # Shapes
/// - query: `[batch, tokens, heads, head_dim]`
/// - key, value: `[batch, tokens, shared_heads, head_dim]`
/// - output: `[batch, tokens, heads * head_dim]`, the queries' dtype
fn attend_causally(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<3> {
    let [batch, tokens, heads, head_dim] = query.dims();
    let [_, _, shared_heads, _] = key.dims();
    let dtype = query.dtype();
    let heads_first = |tensor: Tensor<4>| untracked_cast(tensor, DType::F32).swap_dims(1, 2);
    let for_each_query = |tensor: Tensor<4>| {
        heads_first(tensor)
            .unsqueeze_dim::<5>(2)
            .expand([batch, shared_heads, heads / shared_heads, tokens, head_dim])
            .reshape([batch, heads, tokens, head_dim])
    };
    let options = AttentionModuleOptions {
        is_causal: true,
        ..AttentionModuleOptions::default()
    };
    let attended = attention(
        heads_first(query),
        for_each_query(key),
        for_each_query(value),
        None,
        None,
        options,
    );
    untracked_cast(attended.swap_dims(1, 2), dtype).reshape([batch, tokens, heads * head_dim])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    #[should_panic(expected = "assert_shape!(hidden, [_, _, hidden_size])")]
    fn hidden_states_must_be_of_the_layers_width() {
        let device = Device::flex();
        let rope = RotaryTable::from_phases(&[0.0; 6], 2, &device);
        let layer = GroupedQueryAttentionConfig::new(8, 2, 1).init(&device);
        let _ = layer.forward(Tensor::zeros([1, 3, 6], &device), &rope);
    }

    #[test]
    fn consecutive_query_heads_share_a_key_and_value_head() {
        let device = Device::flex();
        let random = |heads| Tensor::<4>::random([2, 5, heads, 6], Distribution::Default, &device);
        let (query, key, value) = (random(4), random(2), random(2));
        let all = attend_causally(query.clone(), key.clone(), value.clone());
        for head in 0..4 {
            let shared = |tensor: &Tensor<4>| tensor.clone().narrow(2, head / 2, 1);
            let alone = attend_causally(query.clone().narrow(2, head, 1), shared(&key), shared(&value));
            let distance: f32 = (all.clone().narrow(2, 6 * head, 6) - alone).abs().max().into_scalar();
            assert!(distance < 1e-6, "head {head}: {distance}");
        }
    }
}
