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

use super::block::{BlockConditions, DitBlock, DitBlockConfig};
use super::conditioning::{Conditioning, FrameCondition, TimeAddition};
use super::config::{DitConfig, DitRounding};
use super::context::{BlockContext, Context};
use super::cross_attention::CrossAttentionConfig;
use super::cross_view::CrossViewConfig;
use super::feed_forward::FeedForwardConfig;
use super::final_layer::{FinalLayer, FinalLayerConfig};
use super::modulation::AdaLnModulationConfig;
use super::patch_embed::{PatchEmbed, PatchEmbedConfig, unpatchify};
use super::rope3d::Rope3d;
use super::self_attention::SelfAttentionConfig;
use super::timestep::{TimeEmbedding, TimestepEmbedder, TimestepEmbedderConfig};
use crate::layers::{RmsNorm, RmsNormConfig, RotaryTable, gelu, linear_rows, round_to, untracked_cast};

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
    /// What conditions the network beside text and given frames, outside of the blocks.
    pub conditioning: Conditioning,
    #[module(skip)]
    pub(super) rope: Rope3d,
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
    /// Camera of each view, one list for each clip or one for all; none is the cameras in their order.
    ///
    /// Read by networks with views, whose frames hold one view after the other.
    pub view_ids: Option<&'a [Vec<usize>]>,
    /// Rays of the camera, one vector per token, `[batch, frames, rows, columns, camera_channels]`, see
    /// [`plucker_tokens`](crate::camera::plucker_tokens); needed if and only if the network is conditioned on cameras.
    pub camera: Option<Tensor<5>>,
    /// What a control network adds to the tokens between blocks.
    pub residuals: Option<&'a BlockResiduals>,
    /// Rotary table of this shape from [`Dit::rotary_table`]; none builds it anew.
    pub rope: Option<&'a RotaryTable>,
}

impl<'a> DitInput<'a> {
    /// Creates an input without padding, actions, views, cameras and residuals.
    pub fn new(latents: Tensor<5>, timesteps: Tensor<2>, context: &'a Context, condition: &'a FrameCondition) -> Self {
        Self {
            latents,
            timesteps,
            context,
            condition,
            padding_mask: None,
            action: None,
            view_ids: None,
            camera: None,
            residuals: None,
            rope: None,
        }
    }
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
        let rounds = self.rounding.is_some();
        let norms_round_first = self.rounding == Some(DitRounding::TimeAndNorms);
        let block = DitBlockConfig::new(
            SelfAttentionConfig::new(width, heads)
                .with_qk_norm_eps(self.qk_norm_eps)
                .with_norms_round_first(norms_round_first),
            CrossAttentionConfig::new(width, self.crossattn_emb_channels, heads)
                .with_qk_norm_eps(self.qk_norm_eps)
                .with_norms_round_first(norms_round_first)
                .with_attends_to_image(self.conditioning.image.is_some()),
            FeedForwardConfig::new(width, self.mlp_channels()),
            AdaLnModulationConfig::new(width, self.adaln_lora_dim).with_rounds(rounds),
        )
        .with_camera(self.conditioning.camera.clone())
        .with_cross_view(
            self.conditioning
                .views
                .as_ref()
                .filter(|views| views.cross_view_attn_map.is_some())
                .map(|_| CrossViewConfig::new(width, heads).with_qk_norm_eps(self.qk_norm_eps)),
        );
        let d_patch = self.out_channels * self.patch_temporal * self.patch_spatial * self.patch_spatial;
        let crossattn_proj = self
            .use_crossattn_projection
            .then(|| LinearConfig::new(self.crossattn_proj_in_channels, self.crossattn_emb_channels).init(device));
        Dit {
            x_embedder: PatchEmbedConfig::new(self.patch_channels(), self.patch_spatial, self.patch_temporal, width)
                .init(device),
            t_embedder: TimestepEmbedderConfig::new(width).with_rounds(rounds).init(device),
            t_embedding_norm: RmsNormConfig::new(width)
                .with_rounds_first(norms_round_first)
                .init(device),
            crossattn_proj,
            blocks: (0..self.num_blocks).map(|_| block.init(device)).collect(),
            final_layer: FinalLayerConfig::new(width, self.adaln_lora_dim, d_patch)
                .with_rounds(rounds)
                .init(device),
            conditioning: self.conditioning.init(width, self.crossattn_emb_channels, device),
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
        let conditions = self.block_conditions(input);
        let mut tokens = self.embed(input);
        let action_tokens = self.action_tokens(input);
        for (index, (block, context)) in self.blocks.iter().zip(&input.context.blocks).enumerate() {
            tokens = match &action_tokens {
                Some(actions) => {
                    let joined = context.with_tokens(block.cross_attn.key_value(actions.clone()));
                    block.forward(tokens, &conditions, &joined)
                }
                None => block.forward(tokens, &conditions, context),
            };
            if let Some(residual) = input.residuals.and_then(|residuals| residuals.after(index)) {
                tokens = tokens + residual.clone();
            }
        }
        self.velocity(tokens, &conditions.time, input)
    }

    /// Cuts latents, masks and the channels of conditions into tokens.
    ///
    /// # Shapes
    /// - output: `[batch, frames, rows * columns, model_channels]`
    ///
    /// # Panics
    /// If the parts of the input do not fit each other or the network.
    pub fn embed(&self, input: &DitInput<'_>) -> Tensor<4> {
        assert_eq!(
            input.context.blocks.len(),
            self.blocks.len(),
            "the context was projected by another network"
        );
        let tokens = self.x_embedder.forward(self.input_channels(input));
        match (&self.conditioning.action_map, &input.action) {
            (Some(map), Some(action)) => tokens + map.forward(action.clone(), input.condition),
            _ => tokens,
        }
    }

    /// Computes what every block reads of an input.
    ///
    /// # Panics
    /// If the parts of the input do not fit each other or the network.
    pub fn block_conditions(&self, input: &DitInput<'_>) -> BlockConditions {
        let [batch, _, frames, height, width] = input.latents.dims();
        let views = self.conditioning.views.as_ref().map(|views| {
            let [frames_of_tokens, _, _] = self.x_embedder.grid([frames, height, width]);
            let ids = views.ids(input.view_ids, batch, frames);
            views.conditions(&ids, batch, frames_of_tokens, self.dtype())
        });
        assert!(
            views.is_some() || input.view_ids.is_none(),
            "this network does not know views, but there are cameras of views in the input"
        );
        let built = || self.rotary_table([frames, height, width], &input.latents.device());
        let rope = input.rope.cloned().unwrap_or_else(built);
        let expected = self.rotary_positions([frames, height, width]).iter().product::<usize>();
        assert_eq!(rope.tokens(), expected, "tokens of the rotary table");
        BlockConditions {
            time: self.time_embedding(input, self.action_addition(input)),
            rope,
            views,
            camera: self.camera_tokens(input),
        }
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
    ///
    /// With several views, each starts at time zero; where they attend by themselves, the table is of one view.
    pub fn rotary_table(&self, latents: [usize; 3], device: &Device) -> RotaryTable {
        let [views, frames, rows, columns] = self.rotary_positions(latents);
        self.rope.table_of_views(views, [frames, rows, columns], device)
    }

    /// Returns views, frames per view, rows and columns of the tokens that attend to each other.
    fn rotary_positions(&self, latents: [usize; 3]) -> [usize; 4] {
        let [frames, rows, columns] = self.x_embedder.grid(latents);
        let views = self
            .conditioning
            .views
            .as_ref()
            .map_or(1, |views| views.count(latents[0]));
        let within_a_view = self.blocks.iter().any(|block| block.cross_view.is_some());
        [if within_a_view { 1 } else { views }, frames / views, rows, columns]
    }

    /// Returns the network for clips whose views have so many latent frames; the weights are the same.
    ///
    /// A network without views does not care.
    #[must_use]
    pub fn with_frames_per_view(mut self, latent_frames: usize) -> Self {
        if let Some(views) = &mut self.conditioning.views {
            views.state_t = latent_frames;
        }
        self
    }

    /// Returns the dtype of the weights, in which the residual stream runs.
    pub fn dtype(&self) -> DType {
        self.x_embedder.proj.weight.dtype()
    }

    /// Embeds the actions of the input, where they are added to the time.
    fn action_addition(&self, input: &DitInput<'_>) -> Option<TimeAddition> {
        let Conditioning {
            action,
            action_tokens,
            action_channels,
            ..
        } = &self.conditioning;
        let takes_actions = action.is_some() || action_tokens.is_some() || action_channels.is_some();
        match &input.action {
            None if takes_actions => panic!("this network is conditioned on actions, but there are none in the input"),
            Some(_) if !takes_actions => {
                panic!("this network is not conditioned on actions, but there are some in the input")
            }
            actions => Some(action.as_ref()?.forward(actions.clone()?, input.condition)),
        }
    }

    /// Embeds the actions of the input, where they are tokens of the context.
    fn action_tokens(&self, input: &DitInput<'_>) -> Option<Tensor<3>> {
        let embedder = self.conditioning.action_tokens.as_ref()?;
        Some(embedder.forward(input.action.clone()?, input.condition.frames()))
    }

    /// Embeds the time with what the conditions add to it: activated embedding and shared vector, float32.
    pub(super) fn time_embedding(&self, input: &DitInput<'_>, addition: Option<TimeAddition>) -> TimeEmbedding {
        let [batch, _, frames, _, _] = input.latents.dims();
        let [times_batch, times_frames] = input.timesteps.dims();
        assert!(
            times_batch == batch && (times_frames == 1 || times_frames == frames),
            "timesteps of [{times_batch}, {times_frames}] do not fit {batch} clips of {frames} frames",
        );
        let times = untracked_cast(input.timesteps.clone(), DType::F32).mul_scalar(self.timestep_scale);
        let time = self.t_embedder.forward(times);
        let time = match addition {
            Some(addition) => addition.add_to(time),
            None => time,
        };
        let dtype = self.t_embedder.rounding();
        let normed = if self.t_embedding_norm.rounds_first {
            let rounded = untracked_cast(time.embedding, dtype);
            untracked_cast(self.t_embedding_norm.forward_rounding_first(rounded), DType::F32)
        } else {
            round_to(self.t_embedding_norm.forward_f32(time.embedding), dtype)
        };
        let embedding = round_to(silu(normed), dtype);
        TimeEmbedding {
            embedding,
            shared: time.shared,
        }
    }

    /// Brings the rays of the camera to the order and dtype of the tokens.
    fn camera_tokens(&self, input: &DitInput<'_>) -> Option<Tensor<4>> {
        let encoder = self.blocks.first().and_then(|block| block.cam_encoder.as_ref());
        match (encoder, &input.camera) {
            (Some(encoder), Some(camera)) => {
                let [batch, _, frames, height, width] = input.latents.dims();
                let [frames, rows, columns] = self.x_embedder.grid([frames, height, width]);
                let [camera_channels, _] = encoder.weight.dims();
                assert_shape!(camera, [batch, frames, rows, columns, camera_channels]);
                let camera = untracked_cast(camera.clone(), self.dtype());
                Some(camera.reshape([batch, frames, rows * columns, camera_channels]))
            }
            (None, None) => None,
            (Some(_), None) => panic!("this network is conditioned on cameras, but there are none in the input"),
            (None, Some(_)) => panic!("this network is not conditioned on cameras, but there are some in the input"),
        }
    }

    /// Projects the last block's tokens to the velocity, float32.
    pub(super) fn velocity(&self, tokens: Tensor<4>, time: &TimeEmbedding, input: &DitInput<'_>) -> Tensor<5> {
        let [_, _, frames, height, width] = input.latents.dims();
        unpatchify(
            self.final_layer.forward(tokens, time),
            self.x_embedder.grid([frames, height, width]),
            self.x_embedder.patch_spatial,
            self.x_embedder.patch_temporal,
        )
    }

    /// Joins latents, condition mask, padding mask and the channels of views and actions, in this order.
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
        if let Some(views) = &self.conditioning.views {
            let ids = views.ids(input.view_ids, batch, frames);
            channels.extend(views.channels(&ids, [batch, frames, height, width]));
        }
        if let (Some(embedder), Some(action)) = (&self.conditioning.action_channels, &input.action) {
            channels.push(embedder.forward(action.clone(), input.condition));
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
