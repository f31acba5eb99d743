//! Attention of each view to its neighbours at the same time.
//!
//! Source: `cosmos_transfer2/_src/predict2_multiview/networks/multiview_cross_dit.py` of cosmos-transfer2.5@2ff49d0.
//! Differs: neighbours that a clip does not have are left out instead of masked; a view without any neighbour gets
//! nothing.

use burn::config::Config;
use burn::module::{Initializer, Module};
use burn::nn::{LayerNorm, LayerNormConfig, LinearConfig};
use burn::tensor::module::layer_norm;
use burn::tensor::{DType, Device, Tensor};

use super::conditioning::ViewConditions;
use super::context::KeyValue;
use super::cross_attention::{CrossAttention, CrossAttentionConfig};
use crate::layers::untracked_cast;

/// Added to the variance in the norm.
const LAYER_NORM_EPS: f64 = 1e-6;

/// Configuration of a [`CrossView`].
#[derive(Config, Debug)]
pub struct CrossViewConfig {
    /// Width of the residual stream.
    pub model_channels: usize,
    /// Number of heads.
    pub num_heads: usize,
    /// Added to the mean square in the norms of queries and keys.
    #[config(default = 1e-6)]
    pub qk_norm_eps: f64,
}

/// Norm and attention, added to the residual stream without gate or modulation.
#[derive(Module, Debug)]
pub struct CrossView {
    /// Norm of the tokens; `layer_norm_cross_view_attn` upstream.
    pub norm: LayerNorm,
    /// Attention to the neighbours' tokens; `cross_view_attn` upstream.
    pub attention: CrossAttention,
}

impl CrossViewConfig {
    /// Initialises the sub-layer so that it adds nothing.
    pub fn init(&self, device: &Device) -> CrossView {
        let width = self.model_channels;
        let attention = CrossAttentionConfig::new(width, width, self.num_heads).with_qk_norm_eps(self.qk_norm_eps);
        let mut attention = attention.init(device);
        attention.output_proj = LinearConfig::new(width, width)
            .with_bias(false)
            .with_initializer(Initializer::Zeros)
            .init(device);
        CrossView {
            norm: LayerNormConfig::new(width).with_epsilon(LAYER_NORM_EPS).init(device),
            attention,
        }
    }
}

impl CrossView {
    /// Adds to every view what it reads in its neighbours.
    ///
    /// # Shapes
    /// - tokens: `[batch, views * frames, tokens, model_channels]`
    /// - output: `[batch, views * frames, tokens, model_channels]`
    pub fn forward(&self, tokens: Tensor<4>, views: &ViewConditions) -> Tensor<4> {
        let groups = views.neighbours.len();
        let clips = self.normed(tokens.clone()).chunk(groups, 0).into_iter();
        let attended = clips
            .zip(&views.neighbours)
            .map(|(clips, neighbours)| self.attend(&clips, neighbours))
            .collect();
        tokens + Tensor::cat(attended, 0)
    }

    /// Normalises in float32 and rounds once.
    fn normed(&self, tokens: Tensor<4>) -> Tensor<4> {
        let dtype = tokens.dtype();
        let wide = |parameter: Tensor<1>| untracked_cast(parameter, DType::F32);
        let (gamma, beta) = (wide(self.norm.gamma.val()), self.norm.beta.as_ref());
        let normed = layer_norm(
            untracked_cast(tokens, DType::F32),
            gamma,
            beta.map(|beta| wide(beta.val())),
            LAYER_NORM_EPS,
        );
        untracked_cast(normed, dtype)
    }

    /// Attends in clips whose views have the same neighbours.
    fn attend(&self, clips: &Tensor<4>, neighbours: &[Vec<usize>]) -> Tensor<4> {
        let [batch, frames, per_frame, width] = clips.dims();
        let views = neighbours.len();
        let steps = frames / views;
        let all = self
            .attention
            .key_value(clips.clone().reshape([batch, frames * per_frame, width]));
        let [_, _, heads, head_dim] = all.key.dims();
        let by_view = |tensor: Tensor<4>| tensor.reshape([batch, views, steps, per_frame * width]);
        let (key, value) = (by_view(all.key), by_view(all.value));
        let gather = |tensor: &Tensor<4>, of: &[usize]| {
            let of = of.iter().map(|view| {
                let view = tensor.clone().narrow(1, *view, 1);
                view.reshape([batch * steps, per_frame, heads, head_dim])
            });
            Tensor::cat(of.collect(), 1)
        };
        let views = neighbours.iter().enumerate().map(|(view, of)| {
            let queries = clips.clone().narrow(1, view * steps, steps);
            if of.is_empty() {
                return queries.zeros_like();
            }
            let context = KeyValue {
                key: gather(&key, of),
                value: gather(&value, of),
            };
            self.attention
                .attend_to(queries.reshape([batch * steps, 1, per_frame, width]), &context)
                .reshape([batch, steps, per_frame, width])
        });
        Tensor::cat(views.collect(), 1)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::dit::modulation::linear_without_bias;

    #[test]
    fn a_view_reads_its_neighbours_at_the_same_time_and_nothing_else() {
        let device = Device::flex();
        let mut layer = CrossViewConfig::new(24, 2).init(&device);
        layer.attention.output_proj = linear_without_bias(24, 24, &device);
        let views = ViewConditions {
            count: 3,
            neighbours: vec![vec![vec![1], vec![0, 2], vec![]]],
            modulations: None,
        };
        let random = |shape| Tensor::<4>::random(shape, Distribution::Default, &device);
        let tokens = random([2, 6, 5, 24]);
        let output = layer.forward(tokens.clone(), &views);
        // View 1 changes in its second frame.
        let changed = Tensor::cat(
            vec![
                tokens.clone().narrow(1, 0, 3),
                random([2, 1, 5, 24]),
                tokens.clone().narrow(1, 4, 2),
            ],
            1,
        );
        let again = layer.forward(changed, &views);
        let moved: Vec<bool> = (0..6)
            .map(|frame| {
                let of = |output: &Tensor<4>| output.clone().narrow(1, frame, 1);
                (of(&output) - of(&again)).abs().max().into_scalar::<f32>() > 1e-6
            })
            .collect();
        assert_eq!(moved, [false, true, false, true, false, false]);
        let alone: f32 = (output - tokens).narrow(1, 4, 2).abs().max().into_scalar();
        assert_eq!(alone, 0.0, "a view without neighbours");
    }
}
