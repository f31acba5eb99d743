//! Convolution of channels-last video on the CPU.
//!
//! Burn's general convolution copies its input to channels-last, writes every patch out, multiplies, and copies back.
//! Here activations are channels-last throughout and a [`plan::Plan`] walks them in place: padding (and the norm,
//! SiLU or pixel doubling in front of the convolution) is applied once per frame, and each output row accumulates
//! its taps in registers. The gradient of the input is the same walk with turned weights.
//!
//! Results do not depend on the number of threads: work is cut into the same pieces whatever runs them.

mod activation;
mod extension;
mod gradient;
mod plan;
mod slab;
mod tile;
mod weight_gradient;

pub(super) use extension::VideoConvolution;
