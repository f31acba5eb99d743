//! Initial weights drawn from a truncated normal distribution.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Distribution, Tensor};

/// Standard deviations at which the distribution is cut.
const CUT: f64 = 3.0;

/// Creates a lazily drawn weight from a normal distribution cut at three standard deviations.
///
/// Values beyond the cut (0.27 %) are drawn once more; what is beyond it again (7 in a million) is clamped.
///
/// # Shapes
/// - output: `[d_input, d_output]`
pub fn trunc_normal(d_input: usize, d_output: usize, std: f64, device: &Device) -> Param<Tensor<2>> {
    let shape = [d_input, d_output];
    let draw = move |device: &Device| Tensor::<2>::random(shape, Distribution::Normal(0.0, std), device);
    Param::uninitialized(
        ParamId::new(),
        move |device, require_grad| {
            let (first, second) = (draw(device), draw(device));
            let beyond = first.clone().abs().greater_elem(CUT * std);
            let weight = first.mask_where(beyond, second).clamp(-CUT * std, CUT * std);
            if require_grad { weight.require_grad() } else { weight }
        },
        device.clone(),
        true,
        shape.into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_three_standard_deviations() {
        let device = Device::flex();
        device.seed(3);
        let weight = trunc_normal(64, 512, 0.5, &device).val();
        let spread: f32 = weight.clone().abs().max().into_scalar();
        assert!(spread <= 1.5, "{spread}");
        let std: f32 = weight.square().mean().sqrt().into_scalar();
        assert!((std - 0.493).abs() < 0.01, "{std}");
    }
}
