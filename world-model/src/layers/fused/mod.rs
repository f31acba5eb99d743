//! Kernels for Burn's CPU backend where its general operations leave speed on the table.
//!
//! Each of them runs in one pass what Burn would run as several, each over memory that no longer fits the cache:
//! modulation and norm, norm and rotation, gated addition, attention without a copy of its heads; and the elementary
//! functions are vectorised. Gradients are written by hand. On other devices and in other dtypes the callers fall
//! back to Burn's operations.

mod blocks;
mod flex;
mod kernels;
mod math;
mod memory;
mod operations;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod stacks;
mod tensors;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiled;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles;

pub use memory::reuse_freed_memory;
pub(crate) use tensors::{attention, gated_add, gelu, modulate, norm, norm_rotate, product, runs_on};
