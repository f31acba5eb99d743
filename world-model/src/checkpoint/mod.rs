//! Weights in and out: safetensors, diffusers folders and PyTorch files into Burn modules.
//!
//! [`CheckpointSource`] opens a checkpoint, a [`KeyMap`] translates its key names into module paths, and [`load_into`]
//! fills a module or says what does not fit. [`CheckpointWriter`] writes safetensors and PyTorch files. Nothing in a file is executed,
//! and a tensor is read only after its shape was found to be the one that the module needs.

mod adapter;
mod blob;
mod distinct;
mod dtype;
mod error;
mod folder;
mod key_map;
mod load;
mod pickle_cost;
mod pytorch;
mod pytorch_claims;
mod report;
mod safetensors;
mod save;
mod save_pytorch;
mod source;
mod statistics;
#[cfg(test)]
mod tests;

pub use adapter::{AdapterError, merge_adapter};
pub use dtype::{SaveDtype, StoredDtype};
pub use error::CheckpointError;
pub(crate) use folder::is_distributed_part;
pub use key_map::KeyMap;
pub use load::{compare, load_as, load_into, load_matching};
pub use report::{LoadReport, ShapeMismatch};
pub use save::CheckpointWriter;
pub use source::{CheckpointFormat, CheckpointSource};
pub use statistics::TensorStatistics;
