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
    product(input, layer.weight.val(), layer.bias.as_ref().map(Param::val))
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
}
