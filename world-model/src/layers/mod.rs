//! Layers that more than one network family uses.
//!
//! Each does one thing that Burn's own layers do not do in the form that the released checkpoints need: norms with
//! one rounding at the end, rotary tables computed once per grid, linear layers that can run in float32 whatever the
//! precision of their weights.

mod activation;
mod attention;
#[cfg(feature = "flex")]
pub(crate) mod fused;
mod init;
mod linear;
mod precision;
mod rms_norm;
mod rotary;
mod sinusoidal;

pub use activation::gelu;
pub use attention::scaled_dot_product;
#[cfg(feature = "flex")]
pub use fused::reuse_freed_memory;
pub use init::trunc_normal;
pub use linear::{linear_f32, linear_rows, matrix_product, round_to, untracked_cast};
pub use precision::{cast_module, with_bfloat16_products};
pub use rms_norm::{RmsNorm, RmsNormConfig};
pub use rotary::RotaryTable;
pub use sinusoidal::sinusoidal_embedding;
