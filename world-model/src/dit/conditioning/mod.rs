//! What is added to the same network: one part per kind of condition.
//!
//! Each part is an `Option` in [`Conditioning`] and meets the network at one named point: actions add to the time
//! embedding ([`TimeAddition`]), a reference image is a second context of the cross-attention. A further kind is a file here, a field in both structs, and a call at its point in
//! [`Dit::forward`](super::Dit::forward).

mod action;
mod frames;
mod image;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Device;

pub use action::{ActionConfig, ActionEmbedder, ActionGrouping, TimeAddition};
pub use frames::FrameCondition;
pub use image::{ImageContextConfig, ImageProjection};

use super::config::DitConfigError;

/// Configuration of the [`Conditioning`].
#[derive(Config, Debug)]
pub struct ConditioningConfig {
    /// Actions of the robot.
    pub action: Option<ActionConfig>,
    /// A reference image.
    pub image: Option<ImageContextConfig>,
}

/// Parts that a variant of the network has beside text and given frames.
#[derive(Module, Debug)]
pub struct Conditioning {
    /// Embedding of actions.
    pub action: Option<ActionEmbedder>,
    /// Projection of a reference image's features.
    pub image: Option<ImageProjection>,
}

impl ConditioningConfig {
    /// Initialises the parts for a network of the given width.
    pub fn init(&self, model_channels: usize, device: &Device) -> Conditioning {
        Conditioning {
            action: self.action.as_ref().map(|action| action.init(model_channels, device)),
            image: self.image.as_ref().map(|image| image.init(model_channels, device)),
        }
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// The first field that no part can be built from.
    pub fn validate(&self) -> Result<(), DitConfigError> {
        self.action.as_ref().map_or(Ok(()), ActionConfig::validate)?;
        self.image.as_ref().map_or(Ok(()), ImageContextConfig::validate)
    }
}
