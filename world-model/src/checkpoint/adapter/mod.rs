//! Low-rank adapters (LoRA), added to the weights they were trained for.
//!
//! Source: `cosmos_transfer2/_src/predict2/models/text2world_model.py` of cosmos-transfer2.5@2ff49d0 (`add_lora`: rank 32,
//! alpha 32) and the key names of peft and diffusers.
//! Differs: the adapter is merged at once; it can't be switched off or swapped between steps. A tensor that is no part of a
//! pair of factors is an error, as it is with what DoRA and other kinds of adapter keep.

mod config;
mod error;
mod merge;
mod pairs;

pub use config::adapter_scale;
pub use error::AdapterError;
pub use merge::merge_adapter;
