//! Linear layers as one matrix product, and in wider arithmetic than that of their weights.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::module::linear;
use burn::tensor::{DType, Tensor, assert_shape};

/// Casts only when the dtype differs, so that float32 models record no extra step for gradients.
pub fn untracked_cast<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if tensor.dtype() == dtype {
        tensor
    } else {
        tensor.cast(dtype)
    }
}

/// Rounds float32 values to what `dtype` can hold, and keeps them in float32.
///
/// # Shapes
/// - tensor, output: the same
pub fn round_to<const D: usize>(tensor: Tensor<D>, dtype: DType) -> Tensor<D> {
    if dtype == DType::F32 {
        tensor
    } else {
        tensor.cast(dtype).cast(DType::F32)
    }
}

/// Applies a linear layer as one product of all rows.
///
/// Burn keeps the leading axes as batches where they tile well, and then packs the weight anew for each on the CPU.
///
/// # Shapes
/// - input: `[..., d_input]`
/// - output: `[..., d_output]`
///
/// # Panics
/// If the last axis of `input` is not `d_input`.
pub fn linear_rows<const D: usize>(layer: &Linear, input: Tensor<D>) -> Tensor<D> {
    let (weight, bias) = (layer.weight.val(), layer.bias.as_ref().map(Param::val));
    #[cfg(feature = "flex")]
    if super::precision::products_are_rounded() && super::fused::runs_on(&input) {
        return rounded_product(input, weight, bias);
    }
    product(input, weight, bias)
}

/// Applies a linear layer in float32, whatever the dtype of its weights.
///
/// # Shapes
/// - input: `[..., d_input]`
/// - output: `[..., d_output]`, float32
///
/// # Panics
/// If the last axis of `input` is not `d_input`.
pub fn linear_f32<const D: usize>(layer: &Linear, input: Tensor<D>) -> Tensor<D> {
    let weight = untracked_cast(layer.weight.val(), DType::F32);
    let bias = layer.bias.as_ref().map(|bias| untracked_cast(bias.val(), DType::F32));
    product(untracked_cast(input, DType::F32), weight, bias)
}

/// Multiplies two matrices as [`with_bfloat16_products`](super::with_bfloat16_products) asks.
///
/// # Shapes
/// - left: `[rows, depth]`
/// - right: `[depth, columns]`
/// - output: `[rows, columns]`
///
/// # Panics
/// If the depths differ.
pub fn matrix_product(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if super::precision::products_are_rounded() && super::fused::runs_on(&left) {
        let [_, depth] = left.dims();
        assert_shape!(right, [depth, _]);
        return super::fused::product(left, right);
    }
    left.matmul(right)
}

fn product<const D: usize>(input: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let [d_input, d_output] = weight.dims();
    assert_shape!(input, [.., d_input]);
    let mut shape = input.dims();
    let rows: usize = shape[..D - 1].iter().product();
    shape[D - 1] = d_output;
    let input = input.reshape([rows, d_input]);
    if rows == 1 {
        // A single row would run as a product with a vector, which adds up in another order: the same clip would come
        // out differently alone and in a batch.
        return linear(input.repeat_dim(0, 2), weight, bias)
            .narrow(0, 0, 1)
            .reshape(shape);
    }
    linear(input, weight, bias).reshape(shape)
}

/// The product with factors rounded to bfloat16.
#[cfg(feature = "flex")]
fn rounded_product<const D: usize>(input: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let [d_input, d_output] = weight.dims();
    assert_shape!(input, [.., d_input]);
    let mut shape = input.dims();
    let rows: usize = shape[..D - 1].iter().product();
    shape[D - 1] = d_output;
    let output = matrix_product(input.reshape([rows, d_input]), weight);
    match bias {
        Some(bias) => output + bias.unsqueeze(),
        None => output,
    }
    .reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn half_precision_weights_give_a_float32_output() {
        let device = Device::flex();
        let mut layer = LinearConfig::new(3, 2).init(&device);
        layer.weight = layer.weight.map(|weight| weight.cast(DType::BF16));
        let output = linear_f32(&layer, Tensor::<2>::ones([1, 3], &device));
        assert_eq!(output.dtype(), DType::F32);
    }

    #[test]
    fn a_row_alone_is_the_row_among_others() {
        let device = Device::flex();
        let layer = LinearConfig::new(200, 30).init(&device);
        let rows = Tensor::<2>::random([5, 200], Distribution::Default, &device);
        let among = linear_rows(&layer, rows.clone()).narrow(0, 3, 1);
        let alone = linear_rows(&layer, rows.narrow(0, 3, 1));
        assert_eq!(among.into_data(), alone.into_data());
    }

    #[cfg(feature = "flex")]
    #[test]
    fn rounded_products_and_gradients_are_near_those_in_float32() {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(70, 40).init(&device);
        let rows = Tensor::<3>::random([2, 33, 70], Distribution::Default, &device).require_grad();
        let run = || {
            let output = linear_rows(&layer, rows.clone());
            let gradients = (output.clone() * output.clone()).sum().backward();
            let weight = layer.weight.val().grad(&gradients).expect("a gradient");
            [
                output.inner().flatten::<1>(0, 2),
                rows.grad(&gradients).expect("a gradient").flatten(0, 2),
                weight.flatten(0, 1),
            ]
        };
        let exact = run();
        let rounded = crate::layers::with_bfloat16_products(run);
        for (exact, rounded) in exact.into_iter().zip(rounded) {
            let scale = exact.clone().abs().max().into_scalar::<f32>();
            let difference = (exact - rounded).abs().max().into_scalar::<f32>();
            assert!(difference > 0.0, "nothing was rounded");
            assert!(difference < 0.02 * scale, "{difference} of {scale}");
        }
    }
}
