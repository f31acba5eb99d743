//! Scaled dot-product attention over heads that lie next to each other in memory.

use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, assert_shape};

/// Attends from every query to every key, without a mask.
///
/// # Shapes
/// - query: `[batch, tokens, heads, head_dim]`
/// - key, value: `[batch, context_tokens, heads, head_dim]`; a batch of one serves any batch of queries
/// - output: `[batch, tokens, heads * head_dim]`
///
/// # Panics
/// If heads or head dim differ, or the contexts are neither one nor as many as the batch.
pub fn scaled_dot_product(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<3> {
    let [batch, tokens, heads, head_dim] = query.dims();
    let [contexts, context_tokens, _, _] = key.dims();
    assert_shape!(key, [_, _, heads, head_dim]);
    assert_shape!(value, [contexts, context_tokens, heads, head_dim]);
    assert!(
        contexts == 1 || contexts == batch,
        "{contexts} contexts cannot serve a batch of {batch}"
    );
    #[cfg(feature = "flex")]
    if super::fused::runs_on(&query) {
        return super::fused::attention(query, key, value).reshape([batch, tokens, heads * head_dim]);
    }
    let heads_first = |tensor: Tensor<4>| tensor.swap_dims(1, 2);
    let for_all = |tensor: Tensor<4>| tensor.expand([batch, context_tokens, heads, head_dim]);
    let attended = attention(
        heads_first(query),
        heads_first(for_all(key)),
        heads_first(for_all(value)),
        None,
        None,
        AttentionModuleOptions::default(),
    );
    attended.swap_dims(1, 2).reshape([batch, tokens, heads * head_dim])
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::attention_fallback;
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_burn() {
        let device = Device::flex().autodiff();
        let random =
            |tokens: usize| Tensor::<4>::random([2, tokens, 3, 6], Distribution::Default, &device).require_grad();
        let (query, key, value) = (random(5), random(17), random(17));
        let heads_first = |tensor: &Tensor<4>| tensor.clone().swap_dims(1, 2);
        let ours = scaled_dot_product(query.clone(), key.clone(), value.clone());
        let options = AttentionModuleOptions::default();
        let burns = attention_fallback(
            heads_first(&query),
            heads_first(&key),
            heads_first(&value),
            None,
            None,
            options,
        )
        .swap_dims(1, 2)
        .reshape([2, 5, 18]);
        let distance: f32 = (ours.clone() - burns.clone()).abs().max().into_scalar();
        assert!(distance < 1e-6, "{distance}");
        let (ours, burns) = (ours.square().sum().backward(), burns.square().sum().backward());
        for input in [query, key, value] {
            let gradient = |gradients| input.grad(gradients).expect("every input asks for a gradient");
            let distance: f32 = (gradient(&ours) - gradient(&burns)).abs().max().into_scalar();
            assert!(distance < 1e-5, "{distance}");
        }
    }

    #[test]
    fn one_context_gets_the_gradients_of_the_batch() {
        let device = Device::flex().autodiff();
        let random = |batch: usize, tokens: usize| {
            Tensor::<4>::random([batch, tokens, 2, 6], Distribution::Default, &device).require_grad()
        };
        let (query, key, value) = (random(3, 5), random(1, 4), random(1, 4));
        let each = |tensor: &Tensor<4>| tensor.clone().repeat_dim(0, 3);
        let shared = scaled_dot_product(query.clone(), key.clone(), value.clone());
        let repeated = scaled_dot_product(query.clone(), each(&key), each(&value));
        assert_eq!(shared.to_data(), repeated.to_data());
        let (shared, repeated) = (shared.square().sum().backward(), repeated.square().sum().backward());
        for input in [query, key, value] {
            let gradient = |gradients| input.grad(gradients).expect("every input asks for a gradient");
            let distance: f32 = (gradient(&shared) - gradient(&repeated)).abs().max().into_scalar();
            assert!(distance < 1e-5, "{distance}");
        }
    }

    #[test]
    fn many_tokens_attend_as_few_do() {
        let device = Device::flex();
        let random = |tokens: usize| Tensor::<4>::random([1, tokens, 2, 8], Distribution::Default, &device);
        let (query, key, value) = (random(1100), random(600), random(600));
        let all = scaled_dot_product(query.clone(), key.clone(), value.clone());
        let last = scaled_dot_product(query.narrow(1, 1090, 10), key, value);
        let distance: f32 = (all.narrow(1, 1090, 10) - last).abs().max().into_scalar();
        assert!(distance < 1e-6, "{distance}");
    }
}
