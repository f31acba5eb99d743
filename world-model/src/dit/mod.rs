//! The diffusion transformer of Cosmos-Predict2.5.
//!
//! A [`Dit`] takes noisy latents, a time, a text context and the frames that are given, and answers with the velocity
//! of the rectified flow. What a released variant adds (actions, views, cameras) is a part in [`ConditioningConfig`], and
//! streaming frame by frame is a way to call it ([`Dit::forward_frame`]); neither is another network.
//!
//! Key facts: adaLN modulation through a low-rank path whose output shares one additive vector over all blocks and
//! sub-layers; rotary positions over time, height and width; attention with normed queries and keys; exact GELU. Time
//! path, modulation and final layer run in float32, everything else in the dtype of the weights.
//!
//! Paper: World Simulation with Video Foundation Models for Physical AI, arXiv 2511.00062.
//! Upstream: <https://github.com/nvidia-cosmos/cosmos-predict2.5>, class `MinimalV1LVGDiT`.

mod block;
mod causal;
mod conditioning;
mod config;
mod context;
mod cross_attention;
mod cross_view;
mod feed_forward;
mod final_layer;
mod image_attention;
mod model;
mod modulation;
mod patch_embed;
mod rope3d;
mod self_attention;
#[cfg(test)]
mod tests;
mod timestep;

pub use block::{BlockConditions, DitBlock, DitBlockConfig};
pub use causal::{CausalFrame, CausalState};
pub use conditioning::{
    ActionChannels, ActionConfig, ActionEmbedder, ActionGrouping, ActionInjection, ActionMap, ActionMapConfig,
    ActionTokens, CameraConfig, Conditioning, ConditioningConfig, FrameCondition, ImageContextConfig, ImageProjection,
    TimeAddition, ViewConditions, ViewModulation, Views, ViewsConfig,
};
pub use config::{DitConfig, DitConfigError, DitRounding};
pub use context::{BlockContext, Context, KeyValue};
pub use cross_attention::{CrossAttention, CrossAttentionConfig};
pub use cross_view::{CrossView, CrossViewConfig};
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use final_layer::{FinalLayer, FinalLayerConfig};
pub use image_attention::{ImageAttention, ImageAttentionConfig};
pub use model::{BlockResiduals, Dit, DitInput};
pub use modulation::{AdaLnModulation, AdaLnModulationConfig, Modulation, gated_residual, modulate};
pub use patch_embed::{PatchEmbed, PatchEmbedConfig, unpatchify};
pub use rope3d::{AxisRope, Rope3d, RopeExponents};
pub use self_attention::{SelfAttention, SelfAttentionConfig};
pub use timestep::{TimeEmbedding, TimestepEmbedder, TimestepEmbedderConfig};
