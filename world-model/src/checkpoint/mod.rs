//! Weights in and out: safetensors, diffusers folders and PyTorch files into Burn modules.
//!
//! [`CheckpointSource`] opens a checkpoint, a [`KeyMap`] translates its key names into module paths, and [`load_into`]
//! fills a module or says what does not fit. [`CheckpointWriter`] writes safetensors and PyTorch files.
//!
//! # Files that nobody checked
//! Nothing in a file is executed: a pickle that so much as names a class that weights do not need is refused, wherever in
//! it the name stands. A tensor is read only after its shape was found to be the one that the module needs, one after the
//! other, and none may claim more bytes than its file has. The list of tensors, which is parsed when a file is opened,
//! costs more than its text: a few hundred bytes at most for each byte of the header or pickle, and two megabytes for the
//! smallest, which the tests hold it to. What a file lies about is an error that names the file, never a panic.

mod adapter;
mod blob;
mod container;
mod distinct;
mod dtype;
mod error;
mod folder;
mod key_map;
mod load;
mod pickle_classes;
mod pickle_input;
mod pickle_value;
mod pickle_walk;
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

pub use adapter::{AdapterError, adapter_scale, merge_adapter};
pub use dtype::{SaveDtype, StoredDtype};
pub use error::CheckpointError;
pub(crate) use folder::is_distributed_part;
pub use key_map::KeyMap;
pub use load::{compare, load_as, load_into, load_matching};
pub use report::{LoadReport, ShapeMismatch};
pub use save::CheckpointWriter;
pub use source::{CheckpointFormat, CheckpointSource};
pub use statistics::TensorStatistics;
