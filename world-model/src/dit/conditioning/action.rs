//! Actions of the robot, embedded and added to the time; [`ActionInjection`] names the other ways in.
//!
//! Source: `cosmos_transfer2/_src/predict2/action/networks/action_conditioned_minimal_v1_lvg_dit.py` of
//! cosmos-transfer2.5@2ff49d0.
//! Differs: the two upstream classes are two values of [`ActionGrouping`]; the dropout, zero in every release, is left
//! out; fresh weights follow PyTorch's `Linear` where upstream leaves them uninitialised.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::gelu_approximate;
use burn::tensor::{DType, Device, Tensor, assert_shape};

use super::super::config::{DitConfigError, check_sizes};
use super::super::timestep::TimeEmbedding;
use super::frames::FrameCondition;
use crate::layers::{linear_f32, linear_rows, untracked_cast};

/// Which actions an embedding sees.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum ActionGrouping {
    /// The actions of one latent frame; frame 0 has none, given frames are masked (the released class).
    PerLatentFrame {
        /// Actions of one latent frame.
        temporal_compression_ratio: usize,
    },
    /// All actions of the chunk, for every frame alike (the older class).
    WholeChunk {
        /// Actions of a chunk.
        num_action_per_chunk: usize,
    },
}

/// Where actions enter the network other than by the embedding of the time.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub enum ActionInjection {
    /// Tokens beside the text, which cross-attention reads ([`ActionTokens`](super::ActionTokens)).
    CrossAttention,
    /// Channels beside the latents, the same for every pixel of a frame ([`ActionChannels`](super::ActionChannels)).
    ChannelConcat {
        /// Channels of a frame's actions.
        channels: usize,
    },
}

/// Configuration of what actions add to the network.
#[derive(Config, Debug)]
pub struct ActionConfig {
    /// Numbers of one action.
    pub action_dim: usize,
    /// Which actions an embedding sees.
    pub grouping: ActionGrouping,
    /// Width between the two layers; four times the network's when absent.
    pub hidden_dim_in_action_embedder: Option<usize>,
    /// Where actions enter the network; none adds them to the embedding of the time, as every release does.
    pub injection: Option<ActionInjection>,
    /// What actions add to each token besides, by its place in the frame; no release has it.
    pub map: Option<ActionMapConfig>,
}

/// Configuration of an [`ActionMap`](super::ActionMap).
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub struct ActionMapConfig {
    /// Tokens of a frame.
    pub tokens: usize,
    /// Width between the two layers.
    pub hidden: usize,
    /// Numbers that stand for what is added to a token, before they are projected to its width.
    pub rank: usize,
}

/// Two layers around a GELU in its tanh form.
#[derive(Module, Debug)]
pub struct ActionMlp {
    /// First layer.
    pub fc1: Linear,
    /// Second layer.
    pub fc2: Linear,
}

/// Embeds actions twice: for the time embedding, and for the vector that all modulations share.
#[derive(Module, Debug)]
pub struct ActionEmbedder {
    /// Embedding added to the time embedding; `action_embedder_B_D` upstream.
    pub embedding: ActionMlp,
    /// Embedding added to the shared vector; `action_embedder_B_3D` upstream.
    pub shared: ActionMlp,
    #[module(skip)]
    pub(super) groups: ActionGroups,
}

/// How the actions of a chunk fall into groups, each of which is embedded.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActionGroups {
    /// Numbers of one action.
    action_dim: usize,
    /// Actions that one embedding sees.
    actions_per_group: usize,
    /// Whether there is one embedding per latent frame, or one for the chunk.
    pub(super) per_frame: bool,
}

/// What a condition adds to the time, float32.
#[derive(Debug, Clone)]
pub struct TimeAddition {
    /// Added to the embedding before its norm, `[batch, frames, model_channels]`; frames may be 1.
    pub embedding: Tensor<3>,
    /// Added to the shared vector, `[batch, frames, 3 * model_channels]`; frames may be 1.
    pub shared: Tensor<3>,
}

impl ActionConfig {
    /// Returns the channels that actions add to the latents, if they do.
    pub fn channels(&self) -> Option<usize> {
        match self.injection {
            Some(ActionInjection::ChannelConcat { channels }) => Some(channels),
            Some(ActionInjection::CrossAttention) | None => None,
        }
    }

    /// Returns how many actions one embedding sees.
    pub fn actions_per_group(&self) -> usize {
        match self.grouping {
            ActionGrouping::PerLatentFrame {
                temporal_compression_ratio,
            } => temporal_compression_ratio,
            ActionGrouping::WholeChunk { num_action_per_chunk } => num_action_per_chunk,
        }
    }

    /// Returns the same columns understood as all actions of a chunk of `actions`: shapes do not tell the two classes apart. None
    /// where they are no whole number of numbers for each action.
    pub fn of_whole_chunk(self, actions: usize) -> Option<Self> {
        let columns = self.action_dim * self.actions_per_group();
        let fits = actions > 0 && columns.is_multiple_of(actions);
        fits.then(|| Self {
            action_dim: columns / actions,
            grouping: ActionGrouping::WholeChunk {
                num_action_per_chunk: actions,
            },
            ..self
        })
    }

    /// Returns how many actions a clip of so many latent frames takes.
    pub fn actions_per_clip(&self, frames: usize) -> usize {
        match self.grouping {
            ActionGrouping::PerLatentFrame {
                temporal_compression_ratio,
            } => temporal_compression_ratio * frames.saturating_sub(1),
            ActionGrouping::WholeChunk { num_action_per_chunk } => num_action_per_chunk,
        }
    }

    /// Initialises the embedder for a network of the given width.
    pub fn init(&self, model_channels: usize, device: &Device) -> ActionEmbedder {
        ActionEmbedder {
            embedding: self.mlp(model_channels, model_channels, device),
            shared: self.mlp(model_channels, 3 * model_channels, device),
            groups: self.groups(),
        }
    }

    /// Initialises the layers that embed a group of actions, in a network of the given width.
    pub(super) fn mlp(&self, model_channels: usize, d_output: usize, device: &Device) -> ActionMlp {
        let hidden = self.hidden_dim_in_action_embedder.unwrap_or(4 * model_channels);
        ActionMlp {
            fc1: LinearConfig::new(self.action_dim * self.actions_per_group(), hidden).init(device),
            fc2: LinearConfig::new(hidden, d_output).init(device),
        }
    }

    pub(super) fn groups(&self) -> ActionGroups {
        ActionGroups {
            action_dim: self.action_dim,
            actions_per_group: self.actions_per_group(),
            per_frame: matches!(self.grouping, ActionGrouping::PerLatentFrame { .. }),
        }
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// [`DitConfigError::Zero`] and [`DitConfigError::TooLarge`].
    pub fn validate(&self) -> Result<(), DitConfigError> {
        let sizes = [
            ("action_dim", self.action_dim),
            ("actions per group", self.actions_per_group()),
            (
                "action_dim * actions per group",
                self.action_dim.saturating_mul(self.actions_per_group()),
            ),
            (
                "hidden_dim_in_action_embedder",
                self.hidden_dim_in_action_embedder.unwrap_or(1),
            ),
            ("channels of the actions", self.channels().unwrap_or(1)),
            ("tokens of the map of actions", self.map.map_or(1, |map| map.tokens)),
            ("width of the map of actions", self.map.map_or(1, |map| map.hidden)),
            ("rank of the map of actions", self.map.map_or(1, |map| map.rank)),
        ];
        check_sizes(&sizes)
    }
}

impl ActionGroups {
    /// Joins the actions of each group.
    ///
    /// # Shapes
    /// - actions: `[batch, actions, action_dim]`, as many as `frames` latent frames take
    /// - output: `[batch, groups, actions_per_group * action_dim]`
    ///
    /// # Panics
    /// If the number of actions or their dimension does not fit.
    pub(super) fn join(&self, actions: Tensor<3>, frames: usize) -> Tensor<3> {
        let (action_dim, group) = (self.action_dim, self.actions_per_group);
        let groups = if self.per_frame { frames - 1 } else { 1 };
        let expected = groups * group;
        assert_shape!(actions, [_, expected, action_dim]);
        let [batch, _, _] = actions.dims();
        actions.reshape([batch, groups, group * action_dim])
    }
}

impl ActionMlp {
    /// Embeds groups of actions in the dtype of the weights.
    pub(super) fn forward(&self, actions: Tensor<3>) -> Tensor<3> {
        let actions = untracked_cast(actions, self.fc1.weight.dtype());
        linear_rows(&self.fc2, gelu_approximate(linear_rows(&self.fc1, actions)))
    }

    /// Runs in float32, whatever the dtype of the weights.
    fn forward_f32(&self, actions: Tensor<3>) -> Tensor<3> {
        linear_f32(&self.fc2, gelu_approximate(linear_f32(&self.fc1, actions)))
    }
}

impl ActionEmbedder {
    /// Embeds the actions of a chunk.
    ///
    /// # Shapes
    /// - actions: `[batch, actions, action_dim]`, as many as the frames of `condition` take
    /// - output: `[batch, frames, ..]`, or `[batch, 1, ..]` for one embedding per chunk
    ///
    /// # Panics
    /// If the number of actions or their dimension does not fit.
    pub fn forward(&self, actions: Tensor<3>, condition: &FrameCondition) -> TimeAddition {
        let grouped = self.groups.join(actions, condition.frames());
        let embed = |mlp: &ActionMlp| {
            let embedded = untracked_cast(mlp.forward(grouped.clone()), DType::F32);
            if self.groups.per_frame {
                on_generated_frames(embedded, condition)
            } else {
                embedded
            }
        };
        TimeAddition {
            embedding: embed(&self.embedding),
            shared: embed(&self.shared),
        }
    }

    /// Embeds the actions of one latent frame as the streaming network does: in float32, whether the frame is given or
    /// not.
    ///
    /// # Shapes
    /// - actions: `[batch, actions, action_dim]`, as many as one embedding sees
    /// - output: `[batch, 1, ..]`
    ///
    /// # Panics
    /// If the number of actions or their dimension does not fit.
    pub fn forward_frame(&self, actions: Tensor<3>) -> TimeAddition {
        let ActionGroups {
            action_dim,
            actions_per_group: group,
            ..
        } = self.groups;
        assert_shape!(actions, [_, group, action_dim]);
        let [batch, _, _] = actions.dims();
        let grouped = actions.reshape([batch, 1, group * action_dim]);
        TimeAddition {
            embedding: self.embedding.forward_f32(grouped.clone()),
            shared: self.shared.forward_f32(grouped),
        }
    }
}

impl TimeAddition {
    /// Adds to the embedding and the shared vector of the time.
    pub fn add_to(self, time: TimeEmbedding) -> TimeEmbedding {
        TimeEmbedding {
            embedding: time.embedding + self.embedding,
            shared: time.shared + self.shared,
        }
    }
}

/// Gives frame 0 a row of zeros, and silences the frames that are given.
pub(super) fn on_generated_frames(embedded: Tensor<3>, condition: &FrameCondition) -> Tensor<3> {
    let [batch, _, width] = embedded.dims();
    let none = Tensor::zeros([batch, 1, width], &embedded.device());
    let generated = untracked_cast(condition.generated_frames(), DType::F32);
    Tensor::cat(vec![none, embedded], 1) * generated.unsqueeze_dim::<3>(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedder(grouping: ActionGrouping) -> ActionEmbedder {
        ActionConfig::new(2, grouping).init(8, &Device::flex())
    }

    #[test]
    fn the_first_frame_and_given_frames_get_nothing() {
        let device = Device::flex();
        let embedder = embedder(ActionGrouping::PerLatentFrame {
            temporal_compression_ratio: 3,
        });
        let condition = FrameCondition::first_frames(2, [1, 4, 2, 2], &device);
        let addition = embedder.forward(Tensor::ones([1, 9, 2], &device), &condition);
        assert_eq!(addition.shared.dims(), [1, 4, 24]);
        let size: Vec<f32> = addition
            .embedding
            .abs()
            .sum_dim(2)
            .into_data()
            .try_to_vec()
            .expect("float32 data");
        assert!(
            size[0] == 0.0 && size[1] == 0.0 && size[2] > 0.0 && size[3] > 0.0,
            "{size:?}"
        );
    }

    #[test]
    #[should_panic(expected = "assert_shape!(actions, [_, expected, action_dim]): axis 1 expected 9, got 8")]
    fn actions_must_fill_the_chunk() {
        let device = Device::flex();
        let embedder = embedder(ActionGrouping::PerLatentFrame {
            temporal_compression_ratio: 3,
        });
        let condition = FrameCondition::first_frames(1, [1, 4, 2, 2], &device);
        let _ = embedder.forward(Tensor::ones([1, 8, 2], &device), &condition);
    }
}
