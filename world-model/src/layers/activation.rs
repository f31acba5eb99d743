//! Activations.

use burn::tensor::{Tensor, activation};

/// Applies the exact GELU, `x Φ(x)`.
pub fn gelu<const D: usize>(input: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if super::fused::runs_on(&input) {
        return super::fused::gelu(input);
    }
    activation::gelu(input)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_burn() {
        let device = Device::flex().autodiff();
        for len in [7, 70_001] {
            let input = Tensor::<1>::random([len], Distribution::Normal(0.0, 3.0), &device).require_grad();
            let (ours, burns) = (gelu(input.clone()), activation::gelu(input.clone()));
            let distance: f32 = (ours.clone() - burns.clone()).abs().max().into_scalar();
            assert!(distance < 2e-6, "{distance}");
            let gradient = |output: Tensor<1>| {
                let gradients = output.square().sum().backward();
                input.grad(&gradients).expect("the input asks for a gradient")
            };
            let distance: f32 = (gradient(ours) - gradient(burns)).abs().max().into_scalar();
            assert!(distance < 1e-5, "{distance}");
        }
    }
}
