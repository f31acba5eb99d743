//! What the weights of a text encoder do not say, from the `config.json` beside them.
//!
//! Source: transformers 5.23.0, `models/qwen2_5_vl/configuration_qwen2_5_vl.py` (field names; newer files have the text
//! tower's under `text_config`).
//! Differs: only what leaves no trace in the weights is read.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use super::config::{TextEncoderConfig, TextEncoderConfigError};

/// The file.
const FILE: &str = "config.json";

/// Explains why a config file could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TextEncoderConfigFileError {
    /// The file could not be read.
    #[error("cannot read {}: {source}; check that it is a readable file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is no config.
    #[error("{} is no text encoder config: {source}; fetch it again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The numbers do not fit the weights.
    #[error("{} does not fit the weights beside it: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: TextEncoderConfigError,
    },
}

#[derive(Deserialize)]
struct ConfigFile {
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeParameters>,
    text_config: Option<Box<Self>>,
}

/// Where newer versions of transformers write the base of the rotary frequencies.
#[derive(Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
}

/// Corrects what was read off the shapes of the weights by the `config.json` of their folder, if there is one.
///
/// # Errors
/// [`TextEncoderConfigFileError`] that names the file.
pub fn with_config_file(
    config: TextEncoderConfig,
    folder: impl AsRef<Path>,
) -> Result<TextEncoderConfig, TextEncoderConfigFileError> {
    let path = folder.as_ref().join(FILE);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(config),
        Err(source) => return Err(TextEncoderConfigFileError::Read { path, source }),
    };
    let mut file: ConfigFile = match serde_json::from_slice(&text) {
        Ok(file) => file,
        Err(source) => return Err(TextEncoderConfigFileError::Format { path, source }),
    };
    if let Some(inner) = file.text_config.take() {
        file = *inner;
    }
    let newer_theta = file.rope_parameters.and_then(|parameters| parameters.rope_theta);
    let corrected = TextEncoderConfig {
        num_attention_heads: file.num_attention_heads.unwrap_or(config.num_attention_heads),
        num_key_value_heads: file.num_key_value_heads.unwrap_or(config.num_key_value_heads),
        rms_norm_eps: file.rms_norm_eps.unwrap_or(config.rms_norm_eps),
        rope_theta: file.rope_theta.or(newer_theta).unwrap_or(config.rope_theta),
        ..config
    };
    match corrected.validate() {
        Ok(()) => Ok(corrected),
        Err(source) => Err(TextEncoderConfigFileError::Config { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrected(text: &str) -> Result<TextEncoderConfig, TextEncoderConfigFileError> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), text).expect("writable");
        with_config_file(TextEncoderConfig::tiny(), folder.path())
    }

    #[test]
    fn heads_and_constants_come_from_the_file() {
        for text in [
            r#"{"model_type": "qwen2_5_vl", "num_attention_heads": 8, "num_key_value_heads": 4, "rope_theta": 5.0}"#,
            r#"{"text_config": {"num_attention_heads": 8, "num_key_value_heads": 4, "rope_theta": 5}}"#,
            r#"{"num_attention_heads": 8, "num_key_value_heads": 4, "rope_parameters": {"rope_theta": 5}}"#,
        ] {
            let config = corrected(text).expect("it fits");
            assert_eq!((config.num_attention_heads, config.num_key_value_heads), (8, 4));
            assert_eq!((config.rope_theta, config.rms_norm_eps), (5.0, 1e-6));
        }
    }

    #[test]
    fn no_file_corrects_nothing_and_a_wrong_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = with_config_file(TextEncoderConfig::tiny(), folder.path()).expect("nothing to read");
        assert_eq!(
            config.num_attention_heads,
            TextEncoderConfig::tiny().num_attention_heads
        );
        for text in ["{", r#"{"num_attention_heads": 5}"#] {
            let message = corrected(text).expect_err("it does not fit").to_string();
            assert!(message.contains(FILE), "{message}");
        }
    }
}
