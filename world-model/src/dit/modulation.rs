//! Shift, scale and gate of a sub-layer, from the time.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`adaln_modulation_*` of `Block`).
//! Differs: the SiLU of the time embedding, the same for all, is computed once by the caller.

use burn::config::Config;
use burn::module::{Initializer, Module};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Tensor, assert_shape};

#[cfg(feature = "flex")]
use crate::layers::fused;
use crate::layers::{linear_f32, round_to, trunc_normal, untracked_cast};

/// Added to the variance in every layer norm of the network.
const LAYER_NORM_EPS: f64 = 1e-6;

/// Configuration of an [`AdaLnModulation`].
#[derive(Config, Debug)]
pub struct AdaLnModulationConfig {
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Width between the two layers.
    pub adaln_lora_dim: usize,
    /// Vectors of the output: 3 in a block (shift, scale, gate), 2 in the final layer (shift, scale).
    #[config(default = 3)]
    pub parts: usize,
    /// Whether every step is rounded to the dtype of the weights.
    #[config(default = false)]
    pub rounds: bool,
}

/// Low-rank projection of the time embedding to the modulation of one sub-layer.
#[derive(Module, Debug)]
pub struct AdaLnModulation {
    /// Projection down to the rank; index 1 upstream.
    pub linear_1: Linear,
    /// Projection up to the modulation, zero at the start of training; index 2 upstream.
    pub linear_2: Linear,
    /// Whether every step is rounded to the dtype of the weights.
    pub rounds: bool,
}

/// Modulation of one sub-layer, each part `[batch, frames, 1, model_channels]`; frames may be 1.
#[derive(Debug, Clone)]
pub struct Modulation {
    /// Added after the scale.
    pub shift: Tensor<4>,
    /// Factor less one.
    pub scale: Tensor<4>,
    /// Factor on the sub-layer's output.
    pub gate: Tensor<4>,
}

impl Modulation {
    /// Adds another modulation, part by part.
    pub fn plus(self, other: &Self) -> Self {
        Self {
            shift: self.shift + other.shift.clone(),
            scale: self.scale + other.scale.clone(),
            gate: self.gate + other.gate.clone(),
        }
    }
}

/// Returns the dtype of a layer's weight where steps are rounded to it, and float32 where they are not.
pub(super) fn rounding(rounds: bool, layer: &Linear) -> DType {
    if rounds { layer.weight.dtype() } else { DType::F32 }
}

/// Initialises a linear layer without bias as upstream does.
pub(super) fn linear_without_bias(d_input: usize, d_output: usize, device: &Device) -> Linear {
    Linear {
        weight: trunc_normal(d_input, d_output, 1.0 / (d_input as f64).sqrt(), device),
        bias: None,
    }
}

impl AdaLnModulationConfig {
    /// Initialises the projection so that it starts at zero.
    pub fn init(&self, device: &Device) -> AdaLnModulation {
        let zeros = LinearConfig::new(self.adaln_lora_dim, self.parts * self.model_channels)
            .with_bias(false)
            .with_initializer(Initializer::Zeros);
        AdaLnModulation {
            linear_1: linear_without_bias(self.model_channels, self.adaln_lora_dim, device),
            linear_2: zeros.init(device),
            rounds: self.rounds,
        }
    }
}

impl AdaLnModulation {
    /// Projects the activated time embedding and adds the shared vector, in float32.
    ///
    /// # Shapes
    /// - activated: `[batch, frames, model_channels]`
    /// - shared: `[batch, frames, 3 * model_channels]`, of which the first `parts` vectors are used
    /// - output: `[batch, frames, parts * model_channels]`, float32
    pub fn forward(&self, activated: Tensor<3>, shared: Tensor<3>) -> Tensor<3> {
        let dtype = rounding(self.rounds, &self.linear_1);
        let low_rank = round_to(linear_f32(&self.linear_1, activated), dtype);
        let projected = round_to(linear_f32(&self.linear_2, low_rank), dtype);
        let [_, _, width] = projected.dims();
        round_to(projected + shared.narrow(2, 0, width), dtype)
    }

    /// Projects to shift, scale and gate in the dtype of the residual stream.
    ///
    /// # Shapes
    /// - activated: `[batch, frames, model_channels]`
    /// - shared: `[batch, frames, 3 * model_channels]`
    pub fn modulation(&self, activated: Tensor<3>, shared: Tensor<3>, dtype: DType) -> Modulation {
        let [model_channels, _] = self.linear_1.weight.dims();
        let vectors = untracked_cast(self.forward(activated, shared), dtype).unsqueeze_dim::<4>(2);
        let part = |index: usize| vectors.clone().narrow(3, index * model_channels, model_channels);
        Modulation {
            shift: part(0),
            scale: part(1),
            gate: part(2),
        }
    }
}

/// Normalises each token, then scales and shifts it by its frame's modulation.
///
/// # Shapes
/// - tokens: `[batch, frames, tokens, model_channels]`
/// - shift, scale: `[batch, frames, 1, model_channels]`; frames may be 1
/// - output: `[batch, frames, tokens, model_channels]`, the tokens' dtype
///
/// # Panics
/// If shift or scale is neither one vector per clip nor one per frame.
pub fn modulate(tokens: Tensor<4>, shift: Tensor<4>, scale: Tensor<4>) -> Tensor<4> {
    assert_fits(&tokens, &shift);
    assert_fits(&tokens, &scale);
    #[cfg(feature = "flex")]
    if fused::runs_on(&tokens) {
        return fused::modulate(tokens, shift, scale, LAYER_NORM_EPS as f32);
    }
    modulate_in_steps(tokens, shift, scale)
}

/// Modulates with Burn's operations, on any device and in any precision.
fn modulate_in_steps(tokens: Tensor<4>, shift: Tensor<4>, scale: Tensor<4>) -> Tensor<4> {
    let dtype = tokens.dtype();
    let tokens = untracked_cast(tokens, DType::F32);
    let centred = tokens.clone() - tokens.mean_dim(3);
    let variance = centred.clone().square().mean_dim(3);
    let normed = untracked_cast(centred * variance.add_scalar(LAYER_NORM_EPS).sqrt().recip(), dtype);
    normed * scale.add_scalar(1.0) + shift
}

/// Adds a sub-layer's output to the residual stream, weighted by its frame's gate.
///
/// # Shapes
/// - tokens, output: `[batch, frames, tokens, model_channels]`
/// - gate: `[batch, frames, 1, model_channels]`; frames may be 1
///
/// # Panics
/// If the gate is neither one vector per clip nor one per frame.
pub fn gated_residual(tokens: Tensor<4>, gate: Tensor<4>, output: Tensor<4>) -> Tensor<4> {
    assert_fits(&tokens, &gate);
    #[cfg(feature = "flex")]
    if fused::runs_on(&tokens) {
        return fused::gated_add(tokens, gate, output);
    }
    tokens + output * gate
}

/// Requires one vector per clip, or one per frame.
fn assert_fits(tokens: &Tensor<4>, vectors: &Tensor<4>) {
    let [batch, frames, _, model_channels] = tokens.dims();
    assert_shape!(vectors, [batch, _, 1, model_channels]);
    let [_, per_clip, _, _] = vectors.dims();
    assert!(
        per_clip == 1 || per_clip == frames,
        "{per_clip} vectors do not fit {frames} frames"
    );
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn a_new_modulation_is_the_shared_vector() {
        let device = Device::flex();
        let modulation = AdaLnModulationConfig::new(4, 2).init(&device);
        let shared = Tensor::arange(0..12, &device).float().reshape([1, 1, 12]);
        let parts = modulation.modulation(Tensor::ones([1, 1, 4], &device), shared, DType::F32);
        let gate: Vec<f32> = parts.gate.into_data().try_to_vec().expect("float32 data");
        assert_eq!(gate, [8.0, 9.0, 10.0, 11.0]);
    }

    #[test]
    fn modulated_tokens_have_the_mean_and_spread_asked_for() {
        let device = Device::flex();
        let tokens = Tensor::<4>::from_data([[[[1.0, 3.0]]]], &device);
        let full = |value: f32| Tensor::<4>::full([1, 1, 1, 2], value, &device);
        let output: Vec<f32> = modulate(tokens, full(10.0), full(1.0))
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        assert!(
            (output[0] - 8.0).abs() < 1e-4 && (output[1] - 12.0).abs() < 1e-4,
            "{output:?}"
        );
    }

    #[test]
    fn values_and_gradients_are_those_of_the_steps() {
        let device = Device::flex().autodiff();
        let random =
            |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad();
        for (frames, tokens, vectors) in [(3, 5, 3), (3, 5, 1), (2, 700, 2)] {
            let (x, added) = (random([2, frames, tokens, 20]), random([2, frames, tokens, 20]));
            let [shift, scale, gate] = std::array::from_fn(|_| random([2, vectors, 1, 20]));
            let steps = modulate_in_steps(x.clone(), shift.clone(), scale.clone()) + added.clone() * gate.clone();
            let at_once = gated_residual(
                modulate(x.clone(), shift.clone(), scale.clone()),
                gate.clone(),
                added.clone(),
            );
            let distance: f32 = (steps.clone() - at_once.clone()).abs().max().into_scalar();
            assert!(distance < 1e-5, "{distance}");
            let weight = x.clone().inner();
            let backward = |output: Tensor<4>| (output * Tensor::from_inner(weight.clone())).mean().backward();
            let (steps, at_once) = (backward(steps), backward(at_once));
            for input in [x, shift, scale, gate, added] {
                let (steps, at_once) = (
                    input.grad(&steps).expect("asked for"),
                    input.grad(&at_once).expect("asked for"),
                );
                let distance: f32 = (steps - at_once).abs().max().into_scalar();
                assert!(distance < 1e-6, "{distance}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "2 vectors do not fit 3 frames")]
    fn vectors_must_be_one_or_as_many_as_frames() {
        let device = Device::flex();
        let vectors = Tensor::<4>::zeros([1, 2, 1, 4], &device);
        let _ = modulate(Tensor::zeros([1, 3, 5, 4], &device), vectors.clone(), vectors);
    }
}
