//! Public key names ↔ module field names, one file per model.

mod dit;
mod path;
mod rule;
mod text_encoder;
mod vae;

pub use rule::KeyMap;

pub(super) use path::ModulePath;
