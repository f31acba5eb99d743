//! The operations on Burn's tensors.

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor};

use super::operations::FusedOps;

/// Tells whether the kernels can take a tensor: float32 on the CPU.
pub(crate) fn runs_on<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && tensor.device() == Device::flex()
}

/// `x Φ(x)`.
pub(crate) fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(input.into_dispatch()))
}

/// Layer norm, scale and shift; see [`dit::modulate`](crate::dit::modulate) for the shapes.
pub(crate) fn modulate(tokens: Tensor<4>, shift: Tensor<4>, scale: Tensor<4>, epsilon: f32) -> Tensor<4> {
    let output = Dispatch::fused_modulate(
        tokens.into_dispatch(),
        shift.into_dispatch(),
        scale.into_dispatch(),
        epsilon,
    );
    Tensor::from_dispatch(output)
}

/// Gated addition; see [`dit::gated_residual`](crate::dit::gated_residual) for the shapes.
pub(crate) fn gated_add(tokens: Tensor<4>, gate: Tensor<4>, added: Tensor<4>) -> Tensor<4> {
    let output = Dispatch::fused_gated_add(tokens.into_dispatch(), gate.into_dispatch(), added.into_dispatch());
    Tensor::from_dispatch(output)
}

/// Root-mean-square norm of heads, `[batch, tokens, heads, head_dim]`.
pub(crate) fn norm(heads: Tensor<4>, weight: Tensor<1>, epsilon: f32) -> Tensor<4> {
    Tensor::from_dispatch(Dispatch::fused_norm(
        heads.into_dispatch(),
        weight.into_dispatch(),
        epsilon,
    ))
}

/// Root-mean-square norm of heads, then rotation; cosines and sines are `[tokens, head_dim / 2]`.
pub(crate) fn norm_rotate(heads: Tensor<4>, weight: Tensor<1>, [cos, sin]: [Tensor<2>; 2], epsilon: f32) -> Tensor<4> {
    let output = Dispatch::fused_norm_rotate(
        heads.into_dispatch(),
        weight.into_dispatch(),
        cos.into_dispatch(),
        sin.into_dispatch(),
        epsilon,
    );
    Tensor::from_dispatch(output)
}

/// Product of `[rows, inputs]` and `[inputs, outputs]`, factors rounded to bfloat16.
pub(crate) fn product(rows: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_product(rows.into_dispatch(), weight.into_dispatch()))
}

/// Attention without a mask, `[batch, tokens, heads, head_dim]` each.
pub(crate) fn attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>) -> Tensor<4> {
    let output = Dispatch::fused_attention(query.into_dispatch(), key.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(output)
}
