//! The whole network.
//!
//! Source: `cosmos_predict2/_src/predict2/networks/minimal_v1_lvg_dit.py@50369b8` (`MinimalV1LVGDiT`) and
//! `minimal_v4_dit.py@50369b8` (`MiniTrainDIT`).
//! Differs:
//! - the text is projected once per episode, with the keys and values of every block
//! - the rotary table may be passed in, so that it is built once per shape

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::silu;
use burn::tensor::{DType, Device, Int, Tensor, TensorData, assert_shape};

use super::block::{DitBlock, DitBlockConfig};
use super::conditioning::{Conditioning, FrameCondition};
use super::config::DitConfig;
use super::context::{BlockContext, Context};
use super::cross_attention::CrossAttentionConfig;
use super::feed_forward::FeedForwardConfig;
use super::final_layer::{FinalLayer, FinalLayerConfig};
use super::modulation::AdaLnModulationConfig;
use super::patch_embed::{PatchEmbed, PatchEmbedConfig, unpatchify};
use super::rope3d::Rope3d;
use super::self_attention::SelfAttentionConfig;
use super::timestep::{TimeEmbedding, TimestepEmbedder, TimestepEmbedderConfig};
use crate::layers::{RmsNorm, RmsNormConfig, RotaryTable, gelu, linear_rows, untracked_cast};

/// Diffusion transformer of Cosmos-Predict2.5; `MinimalV1LVGDiT` upstream.
#[derive(Module, Debug)]
pub struct Dit {
    /// Latents to tokens.
    pub x_embedder: PatchEmbed,
    /// Time to the vectors that modulate the blocks.
    pub t_embedder: TimestepEmbedder,
    /// Norm of the time embedding.
    pub t_embedding_norm: RmsNorm,
    /// Projection of the text, where the network has one.
    pub crossattn_proj: Option<Linear>,
    /// Transformer blocks.
    pub blocks: Vec<DitBlock>,
    /// Tokens to velocity patches.
    pub final_layer: FinalLayer,
    /// What conditions the network beside text and given frames.
    pub conditioning: Conditioning,
    #[module(skip)]
    rope: Rope3d,
    timestep_scale: f64,
    concat_padding_mask: bool,
}

/// Input of one evaluation of a [`Dit`].
#[derive(Debug, Clone)]
pub struct DitInput<'a> {
    /// Noisy latents with the given frames in place, `[batch, in_channels, frames, height, width]`.
    pub latents: Tensor<5>,
    /// Times before `timestep_scale`, `[batch, 1]` or `[batch, frames]`, float32.
    pub timesteps: Tensor<2>,
    /// Projected text.
    pub context: &'a Context,
    /// Which frames are given.
    pub condition: &'a FrameCondition,
    /// 1 where a pixel is padding, `[batch or 1, 1, height_px, width_px]`; none is all zeros.
    pub padding_mask: Option<Tensor<4>>,
    /// Actions, `[batch, actions, action_dim]`; needed if and only if the network is conditioned on actions.
    pub action: Option<Tensor<3>>,
    /// What a control network adds to the tokens between blocks.
    pub residuals: Option<&'a BlockResiduals>,
    /// Rotary table of this shape from [`Dit::rotary_table`]; none builds it anew.
    pub rope: Option<&'a RotaryTable>,
}

/// Tokens that are added after every n-th block, from the first on.
#[derive(Debug, Clone)]
pub struct BlockResiduals {
    /// Blocks from one addition to the next.
    pub every: usize,
    /// What is added, `[batch, frames, tokens, model_channels]` each.
    pub tokens: Vec<Tensor<4>>,
}

impl BlockResiduals {
    fn after(&self, block: usize) -> Option<&Tensor<4>> {
        let is_due = block.is_multiple_of(self.every.max(1));
        is_due.then(|| self.tokens.get(block / self.every.max(1))).flatten()
    }
}

impl DitConfig {
    /// Initialises the network as upstream does for training from scratch.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) refuses the configuration.
    pub fn init(&self, device: &Device) -> Dit {
        let (width, heads) = (self.model_channels, self.num_heads);
        let block = DitBlockConfig::new(
            SelfAttentionConfig::new(width, heads).with_qk_norm_eps(self.qk_norm_eps),
            CrossAttentionConfig::new(width, self.crossattn_emb_channels, heads)
                .with_qk_norm_eps(self.qk_norm_eps)
                .with_attends_to_image(self.conditioning.image.is_some()),
            FeedForwardConfig::new(width, self.mlp_channels()),
            AdaLnModulationConfig::new(width, self.adaln_lora_dim),
        );
        let d_patch = self.out_channels * self.patch_temporal * self.patch_spatial * self.patch_spatial;
        let crossattn_proj = self
            .use_crossattn_projection
            .then(|| LinearConfig::new(self.crossattn_proj_in_channels, self.crossattn_emb_channels).init(device));
        Dit {
            x_embedder: PatchEmbedConfig::new(self.patch_channels(), self.patch_spatial, self.patch_temporal, width)
                .init(device),
            t_embedder: TimestepEmbedderConfig::new(width).init(device),
            t_embedding_norm: RmsNormConfig::new(width).init(device),
            crossattn_proj,
            blocks: (0..self.num_blocks).map(|_| block.init(device)).collect(),
            final_layer: FinalLayerConfig::new(width, self.adaln_lora_dim, d_patch).init(device),
            conditioning: self.conditioning.init(width, device),
            rope: self.rope(),
            timestep_scale: self.timestep_scale,
            concat_padding_mask: self.concat_padding_mask,
        }
    }
}

impl Dit {
    /// Predicts the velocity of the flow.
    ///
    /// # Shapes
    /// - output: `[batch, out_channels, frames, height, width]`, float32
    ///
    /// # Panics
    /// If the parts of the input do not fit each other or the network.
    pub fn forward(&self, input: &DitInput<'_>) -> Tensor<5> {
        let [_, _, frames, height, width] = input.latents.dims();
        let grid = self.x_embedder.grid([frames, height, width]);
        let time = self.time_embedding(input);
        let built = input
            .rope
            .is_none()
            .then(|| self.rotary_table([frames, height, width], &input.latents.device()));
        let rope = input.rope.or(built.as_ref()).expect("a table was passed or just built");
        assert_eq!(
            rope.tokens(),
            grid.iter().product::<usize>(),
            "the rotary table is of another grid than {grid:?}"
        );
        assert_eq!(
            input.context.blocks.len(),
            self.blocks.len(),
            "the context was projected by another network"
        );

        let mut tokens = self.x_embedder.forward(self.input_channels(input));
        for (index, (block, context)) in self.blocks.iter().zip(&input.context.blocks).enumerate() {
            tokens = block.forward(tokens, &time, context, rope);
            if let Some(residual) = input.residuals.and_then(|residuals| residuals.after(index)) {
                tokens = tokens + residual.clone();
            }
        }
        let patches = self.final_layer.forward(tokens, &time);
        unpatchify(
            patches,
            grid,
            self.x_embedder.patch_spatial,
            self.x_embedder.patch_temporal,
        )
    }

    /// Projects a text embedding, with the keys and values of every block.
    ///
    /// # Shapes
    /// - text: `[batch, context_tokens, text_channels]`; a batch of one serves any batch of clips
    ///
    /// A network that attends to a reference image gets the context of no image.
    pub fn project_context(&self, text: Tensor<3>) -> Context {
        self.project_context_with_image(text, None)
    }

    /// Projects a text embedding and the features of a reference image.
    ///
    /// # Shapes
    /// - text: `[batch, context_tokens, text_channels]`
    /// - image: `[batch, image_tokens, image_channels]`
    ///
    /// # Panics
    /// If there is an image and the network does not attend to one.
    pub fn project_context_with_image(&self, text: Tensor<3>, image: Option<Tensor<3>>) -> Context {
        let text = untracked_cast(text, self.dtype());
        let tokens = match &self.crossattn_proj {
            Some(projection) => gelu(linear_rows(projection, text)),
            None => text,
        };
        let image = match (&self.conditioning.image, image) {
            (Some(projection), image) => {
                let features = image.unwrap_or_else(|| projection.no_image());
                Some(projection.forward(untracked_cast(features, self.dtype())))
            }
            (None, None) => None,
            (None, Some(_)) => panic!("this network does not attend to an image, but there is one"),
        };
        let block_context = |block: &DitBlock| BlockContext {
            text: block.cross_attn.key_value(tokens.clone()),
            image: block
                .cross_attn
                .image
                .as_ref()
                .zip(image.clone())
                .map(|(attention, image)| attention.key_value(image)),
        };
        let blocks = self.blocks.iter().map(block_context).collect();
        Context { tokens, image, blocks }
    }

    /// Builds the rotary table for latents of `[frames, height, width]`.
    pub fn rotary_table(&self, latents: [usize; 3], device: &Device) -> RotaryTable {
        self.rope.table(self.x_embedder.grid(latents), device)
    }

    /// Returns the dtype of the weights, in which the residual stream runs.
    pub fn dtype(&self) -> DType {
        self.x_embedder.proj.weight.dtype()
    }

    /// Embeds the time and what the conditions add to it: activated embedding and shared vector, float32.
    fn time_embedding(&self, input: &DitInput<'_>) -> TimeEmbedding {
        let [batch, _, frames, _, _] = input.latents.dims();
        let [times_batch, times_frames] = input.timesteps.dims();
        assert!(
            times_batch == batch && (times_frames == 1 || times_frames == frames),
            "timesteps of [{times_batch}, {times_frames}] do not fit {batch} clips of {frames} frames",
        );
        let times = untracked_cast(input.timesteps.clone(), DType::F32).mul_scalar(self.timestep_scale);
        let time = self.t_embedder.forward(times);
        let time = match (&self.conditioning.action, &input.action) {
            (Some(embedder), Some(action)) => embedder.forward(action.clone(), input.condition).add_to(time),
            (None, None) => time,
            (Some(_), None) => panic!("this network is conditioned on actions, but there are none in the input"),
            (None, Some(_)) => panic!("this network is not conditioned on actions, but there are some in the input"),
        };
        let embedding = silu(self.t_embedding_norm.forward_f32(time.embedding));
        TimeEmbedding {
            embedding,
            shared: time.shared,
        }
    }

    /// Joins latents, condition mask and padding mask, in this order.
    fn input_channels(&self, input: &DitInput<'_>) -> Tensor<5> {
        let [batch, _, frames, height, width] = input.latents.dims();
        let mask = input.condition.mask();
        assert_shape!(mask, [batch, 1, frames, height, width]);
        let dtype = self.dtype();
        let latents = untracked_cast(input.latents.clone(), dtype);
        let mut channels = vec![latents, untracked_cast(mask, dtype)];
        if self.concat_padding_mask {
            let shape = [batch, 1, frames, height, width];
            channels.push(match &input.padding_mask {
                None => Tensor::zeros(shape, (&input.latents.device(), dtype)),
                Some(mask) => {
                    let resized = resize_nearest(mask.clone(), [height, width]);
                    untracked_cast(resized, dtype).unsqueeze_dim::<5>(2).expand(shape)
                }
            });
        }
        Tensor::cat(channels, 1)
    }
}

/// Picks for each pixel the nearest one to its upper left.
fn resize_nearest(mask: Tensor<4>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [_, _, from_height, from_width] = mask.dims();
    let indices = |from: usize, to: usize| {
        let indices: Vec<i64> = (0..to).map(|index| (index * from / to) as i64).collect();
        Tensor::<1, Int>::from_data(TensorData::new(indices, [to]), &mask.device())
    };
    let (rows, columns) = (indices(from_height, height), indices(from_width, width));
    mask.select(2, rows).select(3, columns)
}
