//! One transformer block: self-attention, cross-attention, feed-forward.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v4_dit.py@50369b8` (`Block`), and the blocks of
//! `dit_multiview_camera.py`, `multiview_dit.py` and `multiview_cross_dit.py` of cosmos-transfer2.5@2ff49d0.
//! Differs: what upstream's other blocks add is an optional part or condition of this one.

use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

use super::conditioning::{CameraConfig, ViewConditions};
use super::context::BlockContext;
use super::cross_attention::{CrossAttention, CrossAttentionConfig};
use super::cross_view::{CrossView, CrossViewConfig};
use super::feed_forward::{FeedForward, FeedForwardConfig};
use super::modulation::{AdaLnModulation, AdaLnModulationConfig, Modulation, gated_residual, modulate};
use super::self_attention::{SelfAttention, SelfAttentionConfig};
use super::timestep::TimeEmbedding;
use crate::layers::{RotaryTable, linear_rows};

/// Configuration of a [`DitBlock`].
#[derive(Config, Debug)]
pub struct DitBlockConfig {
    /// Self-attention sub-layer.
    pub self_attn: SelfAttentionConfig,
    /// Cross-attention sub-layer.
    pub cross_attn: CrossAttentionConfig,
    /// Feed-forward sub-layer.
    pub mlp: FeedForwardConfig,
    /// Modulation of each sub-layer.
    pub modulation: AdaLnModulationConfig,
    /// Projection of the camera's rays.
    pub camera: Option<CameraConfig>,
    /// Attention between views; with it, self-attention is within a view.
    pub cross_view: Option<CrossViewConfig>,
}

/// Three modulated sub-layers on one residual stream.
#[derive(Module, Debug)]
pub struct DitBlock {
    /// Attention of all tokens to each other.
    pub self_attn: SelfAttention,
    /// Attention to the text.
    pub cross_attn: CrossAttention,
    /// Feed-forward layer.
    pub mlp: FeedForward,
    /// Modulation of the self-attention.
    pub adaln_modulation_self_attn: AdaLnModulation,
    /// Modulation of the cross-attention.
    pub adaln_modulation_cross_attn: AdaLnModulation,
    /// Modulation of the feed-forward layer.
    pub adaln_modulation_mlp: AdaLnModulation,
    /// Projection of the camera's rays, added to the input of the self-attention.
    pub cam_encoder: Option<Linear>,
    /// Attention between views, after the self-attention.
    pub cross_view: Option<CrossView>,
}

/// What every block reads of one evaluation, beside its own context.
#[derive(Debug, Clone)]
pub struct BlockConditions {
    /// Activated (SiLU) embedding of the time, and the vector that all modulations share.
    pub time: TimeEmbedding,
    /// Rotary positions of the tokens, or of those of one view where self-attention is within a view.
    pub rope: RotaryTable,
    /// Views of a clip.
    pub views: Option<ViewConditions>,
    /// Rays of the camera, `[batch, frames, tokens, camera_channels]`.
    pub camera: Option<Tensor<4>>,
}

impl DitBlockConfig {
    /// Initialises the block.
    pub fn init(&self, device: &Device) -> DitBlock {
        let width = self.self_attn.model_channels;
        DitBlock {
            self_attn: self.self_attn.init(device),
            cross_attn: self.cross_attn.init(device),
            mlp: self.mlp.init(device),
            adaln_modulation_self_attn: self.modulation.init(device),
            adaln_modulation_cross_attn: self.modulation.init(device),
            adaln_modulation_mlp: self.modulation.init(device),
            cam_encoder: self.camera.as_ref().map(|camera| camera.init(width, device)),
            cross_view: self.cross_view.as_ref().map(|cross_view| cross_view.init(device)),
        }
    }
}

impl DitBlock {
    /// Updates the tokens.
    ///
    /// # Shapes
    /// - tokens: `[batch, frames, tokens, model_channels]`
    /// - output: `[batch, frames, tokens, model_channels]`
    pub fn forward(&self, tokens: Tensor<4>, conditions: &BlockConditions, context: &BlockContext) -> Tensor<4> {
        let attend = |tokens| self.self_attn.forward(tokens, &conditions.rope);
        self.forward_with(tokens, conditions, context, |tokens| {
            match (&self.cross_view, &conditions.views) {
                (Some(_), Some(views)) => views.each(tokens, attend),
                _ => attend(tokens),
            }
        })
    }

    /// Updates the tokens with another way to use the self-attention.
    pub(super) fn forward_with(
        &self,
        tokens: Tensor<4>,
        conditions: &BlockConditions,
        context: &BlockContext,
        self_attention: impl FnOnce(Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let (time, views) = (&conditions.time, conditions.views.as_ref());
        let [of_self, of_cross, of_mlp] = match views.and_then(|views| views.modulations.as_ref()) {
            Some(modulations) => modulations.each_ref().map(Some),
            None => [None; 3],
        };
        let tokens = sub_layer(tokens, &self.adaln_modulation_self_attn, time, of_self, |x| {
            self_attention(match (&self.cam_encoder, &conditions.camera) {
                (Some(encoder), Some(camera)) => x + linear_rows(encoder, camera.clone()),
                _ => x,
            })
        });
        let tokens = match (&self.cross_view, views) {
            (Some(cross_view), Some(views)) => cross_view.forward(tokens, views),
            _ => tokens,
        };
        let [batch, ..] = tokens.dims();
        let tokens = sub_layer(
            tokens,
            &self.adaln_modulation_cross_attn,
            time,
            of_cross,
            |x| match views {
                Some(views) => {
                    let shares = context.per_view(batch, views.count);
                    views.each(x, |x| self.cross_attn.forward(x, &shares))
                }
                None => self.cross_attn.forward(x, context),
            },
        );
        sub_layer(tokens, &self.adaln_modulation_mlp, time, of_mlp, |x| {
            self.mlp.forward(x)
        })
    }
}

fn sub_layer(
    tokens: Tensor<4>,
    modulation: &AdaLnModulation,
    time: &TimeEmbedding,
    added: Option<&Modulation>,
    layer: impl FnOnce(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let modulation = modulation.modulation(time.embedding.clone(), time.shared.clone(), tokens.dtype());
    let modulation = match added {
        Some(added) => modulation.plus(added),
        None => modulation,
    };
    let output = layer(modulate(tokens.clone(), modulation.shift, modulation.scale));
    gated_residual(tokens, modulation.gate, output)
}
