//! How much memory a released model takes, stage by stage, computed from shapes before anything is loaded.
//!
//! A stage costs the weights that are there and the largest set of activations that lives at once in this implementation; each
//! file says which set that is. The figures are of the CPU backend, where they were compared with measured peaks (`bench`,
//! `rollout`); on a GPU, attention without a matrix of scores is assumed. What the backend itself, the program and its libraries
//! take comes on top: [`OVERHEAD_BYTES`].

mod dit;
mod plan;
mod refusal;
mod run;
mod stage;
mod text_encoder;
mod text_projection;
mod vae;

pub use dit::DenoiseShape;
pub use plan::{MemoryPlan, MemoryRequest, Residency};
pub use refusal::MemoryRefusal;
pub use stage::{OVERHEAD_BYTES, Precision, Stage, StageMemory, network_bytes};
pub use text_encoder::text_encoder_memory;
pub use text_projection::TextShape;
pub use vae::{VaeShape, vae_decode_activations, vae_decode_memory, vae_encode_activations, vae_encode_memory};
