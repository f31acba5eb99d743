//! Why nothing could be timed.

use std::path::PathBuf;

use worldloop_envs::EnvError;
use worldloop_world_model::dit::DitConfigError;
use worldloop_world_model::vae::VaeConfigError;

/// Why nothing could be timed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchmarkError {
    /// The config file could not be read.
    #[error("cannot read the benchmark config `{}`: {source}. Check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The config file is not a benchmark config.
    #[error(
        "`{}` is not a benchmark config: {source}. Expected JSON with `kind` (\"dit\" or \"vae\") and that network's sizes",
        path.display()
    )]
    Config {
        /// The file.
        path: PathBuf,
        /// Where and why parsing stopped; names unknown and missing keys.
        source: serde_json::Error,
    },
    /// A value of the config cannot be used.
    #[error("`{field}` of the benchmark config is {found}, expected {expected}: correct the file")]
    Value {
        /// Name of the field.
        field: &'static str,
        /// What is allowed.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The DiT config describes no network.
    #[error(transparent)]
    Dit(#[from] DitConfigError),
    /// The VAE config describes no network.
    #[error(transparent)]
    Vae(#[from] VaeConfigError),
    /// The learned world failed.
    #[error(transparent)]
    Env(#[from] EnvError),
}
