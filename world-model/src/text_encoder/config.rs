//! What a [`TextEncoder`](super::TextEncoder) looks like, under the upstream field names.

use burn::config::Config;
use thiserror::Error;

/// Configuration of a [`TextEncoder`](super::TextEncoder).
#[derive(Config, Debug)]
pub struct TextEncoderConfig {
    /// Number of token ids.
    pub vocab_size: usize,
    /// Width of the residual stream; a multiple of `num_attention_heads`.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Number of query heads; a multiple of `num_key_value_heads`.
    pub num_attention_heads: usize,
    /// Number of key and value heads.
    pub num_key_value_heads: usize,
    /// Added to the mean square in the norms.
    #[config(default = 1e-6)]
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    #[config(default = 1e6)]
    pub rope_theta: f64,
}

/// A configuration that no text encoder can be built from.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum TextEncoderConfigError {
    /// A field that must be positive is zero.
    #[error("text encoder config: `{field}` is 0; set it to at least 1")]
    Zero {
        /// Name of the field.
        field: &'static str,
    },
    /// The width cannot be split over the heads, or a head not into halves.
    #[error(
        "text encoder config: hidden_size {hidden_size} over num_attention_heads {num_attention_heads} must give \
         whole, even heads; change either"
    )]
    HeadDim {
        /// Width of the residual stream.
        hidden_size: usize,
        /// Number of query heads.
        num_attention_heads: usize,
    },
    /// The query heads cannot be split into groups of one size.
    #[error(
        "text encoder config: num_attention_heads {num_attention_heads} is no multiple of num_key_value_heads \
         {num_key_value_heads}; change either"
    )]
    Groups {
        /// Number of query heads.
        num_attention_heads: usize,
        /// Number of key and value heads.
        num_key_value_heads: usize,
    },
    /// A field that must be a positive, finite number is not.
    #[error("text encoder config: `{field}` is {found}; it must be a positive, finite number")]
    NotPositive {
        /// Name of the field.
        field: &'static str,
        /// Value found.
        found: f64,
    },
}

impl TextEncoderConfig {
    /// Returns the text tower of Cosmos-Reason1-7B, which all released transformers of Predict2.5 were trained with.
    pub fn cosmos_reason1_7b() -> Self {
        Self::new(152_064, 3584, 18_944, 28, 28, 4)
    }

    /// Returns a network that runs in milliseconds on a CPU, for tests and examples.
    pub fn tiny() -> Self {
        Self::new(320, 32, 48, 2, 4, 2)
    }

    /// Returns the width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Returns the width of the embedding: that of all layers together.
    pub fn embedding_channels(&self) -> usize {
        self.num_hidden_layers * self.hidden_size
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// The first field that no text encoder can be built from.
    pub fn validate(&self) -> Result<(), TextEncoderConfigError> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(TextEncoderConfigError::Zero { field });
        }
        let numbers = [("rms_norm_eps", self.rms_norm_eps), ("rope_theta", self.rope_theta)];
        if let Some((field, found)) = numbers
            .into_iter()
            .find(|(_, number)| !(number.is_finite() && *number > 0.0))
        {
            return Err(TextEncoderConfigError::NotPositive { field, found });
        }
        let (hidden_size, num_attention_heads) = (self.hidden_size, self.num_attention_heads);
        if !hidden_size.is_multiple_of(num_attention_heads) || !self.head_dim().is_multiple_of(2) {
            return Err(TextEncoderConfigError::HeadDim {
                hidden_size,
                num_attention_heads,
            });
        }
        let num_key_value_heads = self.num_key_value_heads;
        if !num_attention_heads.is_multiple_of(num_key_value_heads) {
            return Err(TextEncoderConfigError::Groups {
                num_attention_heads,
                num_key_value_heads,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dit::DitConfig;

    #[test]
    fn presets_are_valid() {
        for config in [TextEncoderConfig::cosmos_reason1_7b(), TextEncoderConfig::tiny()] {
            assert_eq!(config.validate(), Ok(()));
        }
    }

    #[test]
    fn the_released_encoder_fits_the_released_transformers() {
        let config = TextEncoderConfig::cosmos_reason1_7b();
        assert_eq!(config.embedding_channels(), DitConfig::predict2_5_2b().text_channels());
        assert_eq!(config.head_dim(), 128);
    }

    #[test]
    fn heads_that_cannot_be_grouped_are_refused() {
        let error = TextEncoderConfig::new(8, 24, 8, 1, 4, 3)
            .validate()
            .expect_err("4 over 3");
        let groups = TextEncoderConfigError::Groups {
            num_attention_heads: 4,
            num_key_value_heads: 3,
        };
        assert_eq!(error, groups);
        let odd_heads = TextEncoderConfig::new(8, 12, 8, 1, 4, 2).validate();
        assert!(matches!(odd_heads, Err(TextEncoderConfigError::HeadDim { .. })));
    }
}
