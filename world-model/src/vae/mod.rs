//! The causal video VAE of Wan2.1: RGB video to latents and back.
//!
//! A clip of `1 + 4k` frames becomes `1 + k` latent frames (with two levels of temporal downsampling) and every
//! spatial level halves height and width. All convolutions look only into the past, so a clip can be encoded and
//! decoded piece by piece: an [`EncoderState`] or [`DecoderState`] carries what later pieces need, and the pieces
//! joined equal the whole.
//!
//! Inside, activations are channels-last, `[batch, frames, height, width, channels]`: convolutions become matrix
//! products over contiguous rows, and 1x1 convolutions and attention need no layout change at all.

mod attention;
mod causal_conv3d;
mod config;
mod convolution;
mod decoder;
mod encoder;
mod feature_cache;
#[cfg(feature = "flex")]
mod kernel;
mod latent_stats;
mod model;
mod norm;
mod resample;
mod residual;

pub use attention::{SpatialAttention, SpatialAttentionConfig};
pub use causal_conv3d::{CausalConv3d, CausalConv3dConfig};
pub use config::{VaeConfigError, WanVaeConfig};
pub use decoder::{DecoderLayer, VaeDecoder};
pub use encoder::{EncoderLayer, Head, Middle, VaeEncoder};
pub use feature_cache::FeatureCache;
pub use latent_stats::LatentStats;
pub use model::{DecoderState, EncoderState, Posterior, WanVae};
pub use norm::RmsNorm;
pub use resample::{Downsample, FrameConv, Upsample};
pub use residual::{ResidualBlock, ResidualBlockConfig};
