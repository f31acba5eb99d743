//! Actions as tokens beside the text, as channels beside the latents, and as a map over the tokens.
//!
//! Source: the two ablations of Tab. 20 in the paper of Cosmos-Predict2.5 (arXiv 2511.00062), which scored below the time
//! embedding. The paper names them and no code is public.
//! Differs: everything that the name leaves open is a choice made here. Groups of actions are embedded as in the released
//! class; tokens carry the time of their frame as a sinusoid, because cross-attention has no positions; channels are the
//! same for every pixel and silent on frame 0 and on given frames. The map is no part of the paper: told where a gripper is in
//! the world, a network with rotary positions alone does not know which of its tokens are there.

use burn::module::{Initializer, Module};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device, Int, Tensor};

use super::action::{ActionConfig, ActionGroups, ActionMapConfig, ActionMlp, on_generated_frames};
use super::frames::FrameCondition;
use crate::layers::{linear_rows, sinusoidal_embedding, untracked_cast};

/// Embeds actions as tokens of the context.
#[derive(Module, Debug)]
pub struct ActionTokens {
    /// Embedding of a group of actions.
    pub embedding: ActionMlp,
    #[module(skip)]
    groups: ActionGroups,
}

/// Embeds actions as channels of the latents.
#[derive(Module, Debug)]
pub struct ActionChannels {
    /// Embedding of a group of actions.
    pub embedding: ActionMlp,
    #[module(skip)]
    groups: ActionGroups,
}

/// Embeds actions as vectors that are added to the tokens, another one at each place of a frame.
///
/// It fits clips of one size.
#[derive(Module, Debug)]
pub struct ActionMap {
    /// Embedding of a group of actions, for all tokens of a frame.
    pub embedding: ActionMlp,
    /// Projection to the width of a token.
    pub projection: Linear,
    tokens: usize,
    #[module(skip)]
    groups: ActionGroups,
}

impl ActionConfig {
    /// Initialises the map for a network of the given width; a fresh one adds nothing.
    pub fn init_map(&self, model_channels: usize, map: ActionMapConfig, device: &Device) -> ActionMap {
        ActionMap {
            embedding: ActionMlp {
                fc1: LinearConfig::new(self.action_dim * self.actions_per_group(), map.hidden).init(device),
                fc2: LinearConfig::new(map.hidden, map.tokens * map.rank).init(device),
            },
            projection: LinearConfig::new(map.rank, model_channels)
                .with_bias(false)
                .with_initializer(Initializer::Zeros)
                .init(device),
            tokens: map.tokens,
            groups: self.groups(),
        }
    }

    /// Initialises the tokens for a network of the given width and context.
    pub fn init_tokens(&self, model_channels: usize, context_channels: usize, device: &Device) -> ActionTokens {
        ActionTokens {
            embedding: self.mlp(model_channels, context_channels, device),
            groups: self.groups(),
        }
    }

    /// Initialises the channels for a network of the given width.
    pub fn init_channels(&self, model_channels: usize, channels: usize, device: &Device) -> ActionChannels {
        ActionChannels {
            embedding: self.mlp(model_channels, channels, device),
            groups: self.groups(),
        }
    }
}

impl ActionTokens {
    /// Embeds the actions of a chunk, one token per group.
    ///
    /// # Shapes
    /// - actions: `[batch, actions, action_dim]`, as many as `frames` latent frames take
    /// - output: `[batch, groups, crossattn_emb_channels]`, the dtype of the weights
    ///
    /// # Panics
    /// If the number of actions or their dimension does not fit.
    pub fn forward(&self, actions: Tensor<3>, frames: usize) -> Tensor<3> {
        let tokens = self.embedding.forward(self.groups.join(actions, frames));
        let [_, groups, channels] = tokens.dims();
        let times = Tensor::<1, Int>::arange(1..groups as i64 + 1, &tokens.device()).float();
        let times = sinusoidal_embedding(untracked_cast(times, DType::F32).unsqueeze(), channels);
        let dtype = tokens.dtype();
        tokens + untracked_cast(times, dtype)
    }
}

impl ActionChannels {
    /// Embeds the actions of a chunk, one vector per latent frame; zero for frame 0 and frames that are given.
    ///
    /// # Shapes
    /// - actions: `[batch, actions, action_dim]`, as many as the frames of `condition` take
    /// - output: `[batch, channels, frames, height, width]`, the size and dtype of the condition's mask and the weights
    ///
    /// # Panics
    /// If the number of actions or their dimension does not fit.
    pub fn forward(&self, actions: Tensor<3>, condition: &FrameCondition) -> Tensor<5> {
        let frames = condition.frames();
        let embedded = self.embedding.forward(self.groups.join(actions, frames));
        let dtype = embedded.dtype();
        let per_frame = if self.groups.per_frame {
            embedded
        } else {
            embedded.repeat_dim(1, frames - 1)
        };
        let vectors = on_generated_frames(untracked_cast(per_frame, DType::F32), condition);
        let [batch, _, channels] = vectors.dims();
        let [_, _, _, height, width] = condition.mask().dims();
        untracked_cast(vectors.swap_dims(1, 2), dtype)
            .reshape([batch, channels, frames, 1, 1])
            .expand([batch, channels, frames, height, width])
    }
}

impl ActionMap {
    /// Embeds the actions of a chunk, one vector per token; zero for frame 0 and frames that are given.
    ///
    /// # Shapes
    /// - actions: `[batch, actions, action_dim]`, as many as the frames of `condition` take
    /// - output: `[batch, frames, tokens, model_channels]`, the dtype of the weights
    ///
    /// # Panics
    /// If the number of actions or their dimension does not fit.
    pub fn forward(&self, actions: Tensor<3>, condition: &FrameCondition) -> Tensor<4> {
        let embedded = self.embedding.forward(self.groups.join(actions, condition.frames()));
        let dtype = embedded.dtype();
        let vectors = on_generated_frames(untracked_cast(embedded, DType::F32), condition);
        let [batch, frames, values] = vectors.dims();
        let places = untracked_cast(vectors, dtype).reshape([batch, frames, self.tokens, values / self.tokens]);
        linear_rows(&self.projection, places)
    }
}

#[cfg(test)]
mod tests {
    use super::super::action::ActionGrouping;
    use super::*;

    fn config() -> ActionConfig {
        ActionConfig::new(
            2,
            ActionGrouping::PerLatentFrame {
                temporal_compression_ratio: 3,
            },
        )
    }

    #[test]
    fn equal_actions_of_different_frames_are_different_tokens() {
        let device = Device::flex();
        let tokens = config()
            .init_tokens(8, 6, &device)
            .forward(Tensor::ones([1, 9, 2], &device), 4);
        assert_eq!(tokens.dims(), [1, 3, 6]);
        let difference: f32 = (tokens.clone().narrow(1, 0, 1) - tokens.narrow(1, 2, 1))
            .abs()
            .max()
            .into_scalar();
        assert!(difference > 0.1, "{difference}");
    }

    #[test]
    fn channels_are_silent_on_given_frames() {
        let device = Device::flex();
        let condition = FrameCondition::first_frames(2, [1, 4, 2, 3], &device);
        let channels = config()
            .init_channels(8, 5, &device)
            .forward(Tensor::ones([1, 9, 2], &device), &condition);
        assert_eq!(channels.dims(), [1, 5, 4, 2, 3]);
        let size: Vec<f32> = channels
            .abs()
            .sum_dim(1)
            .narrow(3, 0, 1)
            .narrow(4, 0, 1)
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        assert!(
            size[1] == 0.0 && size[0] == 0.0 && size[2] > 0.0 && size[3] > 0.0,
            "{size:?}"
        );
    }
}
