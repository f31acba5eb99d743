//! How strong an adapter is meant to be, from the `adapter_config.json` that peft writes beside it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::AdapterError;
use crate::checkpoint::CheckpointError;

/// The file.
const FILE: &str = "adapter_config.json";

#[derive(Deserialize)]
struct AdapterConfigFile {
    r: u32,
    lora_alpha: f64,
    /// Divides by the root of the rank.
    #[serde(default)]
    use_rslora: Option<bool>,
    /// Ranks of single layers.
    #[serde(default)]
    rank_pattern: Option<BTreeMap<String, IgnoredAny>>,
    /// Alphas of single layers.
    #[serde(default)]
    alpha_pattern: Option<BTreeMap<String, IgnoredAny>>,
}

/// Returns the scale that an adapter was trained with, alpha over rank, if an `adapter_config.json` lies beside it.
///
/// `path` is the adapter's file or folder. The weights do not say it, and [`merge_adapter`](super::merge_adapter) takes any.
///
/// # Errors
/// [`AdapterError::Checkpoint`] if the config can't be read, [`AdapterError::Config`] if it is none, and
/// [`AdapterError::ConfigScale`] if it gives no one scale.
pub fn adapter_scale(path: impl AsRef<Path>) -> Result<Option<f64>, AdapterError> {
    let path = path.as_ref();
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    let path = folder.unwrap_or(Path::new("")).join(FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let location = path.display().to_string();
            return Err(CheckpointError::Read { location, source }.into());
        }
    };
    let config: AdapterConfigFile = match serde_json::from_slice(&text) {
        Ok(config) => config,
        Err(source) => return Err(AdapterError::Config { path, source }),
    };
    let has_pattern = |pattern: &Option<BTreeMap<_, _>>| pattern.as_ref().is_some_and(|layers| !layers.is_empty());
    if has_pattern(&config.rank_pattern) || has_pattern(&config.alpha_pattern) {
        let problem = "gives single layers a scale of their own";
        return Err(AdapterError::ConfigScale { path, problem });
    }
    let rank = f64::from(config.r);
    let is_stabilized = config.use_rslora.unwrap_or(false);
    let scale = config.lora_alpha / if is_stabilized { rank.sqrt() } else { rank };
    if !scale.is_finite() {
        let problem = "has a rank of 0";
        return Err(AdapterError::ConfigScale { path, problem });
    }
    Ok(Some(scale))
}
