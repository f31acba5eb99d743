//! What is added to the same network: one part per kind of condition.
//!
//! Each part is an `Option` and meets the network at named points: actions add to the time embedding
//! ([`TimeAddition`]), or are tokens or channels ([`ActionInjection`]), and may be a map over the tokens
//! ([`ActionMap`]); views add channels to the latents, vectors to the modulations and attention between views
//! ([`ViewConditions`]); cameras add a projection of their rays to the input of self-attention ([`CameraConfig`]); a
//! reference image is a second context of the cross-attention. A further kind is a file here, a field in
//! [`ConditioningConfig`], and a call at its point in [`Dit::forward`](super::Dit::forward) or
//! [`DitBlock::forward`](super::DitBlock::forward).

mod action;
mod action_variants;
mod camera;
mod frames;
mod image;
mod views;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::Device;

pub use action::{ActionConfig, ActionEmbedder, ActionGrouping, ActionInjection, ActionMapConfig, TimeAddition};
pub use action_variants::{ActionChannels, ActionMap, ActionTokens};
pub use camera::CameraConfig;
pub use frames::FrameCondition;
pub use image::{ImageContextConfig, ImageProjection};
pub use views::{ViewConditions, ViewModulation, Views, ViewsConfig};

use super::config::DitConfigError;

/// Configuration of the [`Conditioning`], and of what conditions add to each block.
#[derive(Config, Debug)]
pub struct ConditioningConfig {
    /// Actions of the robot.
    pub action: Option<ActionConfig>,
    /// A reference image.
    pub image: Option<ImageContextConfig>,
    /// Several cameras in one clip.
    pub views: Option<ViewsConfig>,
    /// Rays of the camera; its weights are in the blocks.
    pub camera: Option<CameraConfig>,
}

/// Parts outside of the blocks that a variant of the network has beside text and given frames.
#[derive(Module, Debug)]
pub struct Conditioning {
    /// Embedding of actions that is added to the time.
    pub action: Option<ActionEmbedder>,
    /// Actions as tokens of the context.
    pub action_tokens: Option<ActionTokens>,
    /// Actions as channels of the latents.
    pub action_channels: Option<ActionChannels>,
    /// Actions as vectors that are added to the tokens.
    pub action_map: Option<ActionMap>,
    /// Projection of a reference image's features.
    pub image: Option<ImageProjection>,
    /// What tells views from each other.
    pub views: Option<Views>,
}

impl ConditioningConfig {
    /// Initialises the parts for a network of the given width and context.
    pub fn init(&self, model_channels: usize, context_channels: usize, device: &Device) -> Conditioning {
        let action_as = |injection| self.action.as_ref().filter(move |action| action.injection == injection);
        let as_channels = self
            .action
            .as_ref()
            .and_then(|action| Some((action, action.channels()?)));
        Conditioning {
            action: action_as(None).map(|action| action.init(model_channels, device)),
            action_tokens: action_as(Some(ActionInjection::CrossAttention))
                .map(|action| action.init_tokens(model_channels, context_channels, device)),
            action_channels: as_channels
                .map(|(action, channels)| action.init_channels(model_channels, channels, device)),
            action_map: self
                .action
                .as_ref()
                .and_then(|action| Some(action.init_map(model_channels, action.map?, device))),
            image: self.image.as_ref().map(|image| image.init(model_channels, device)),
            views: self.views.as_ref().map(|views| views.init(model_channels, device)),
        }
    }

    /// Returns the channels that the parts add to the latents.
    pub fn channels(&self) -> usize {
        let views = self.views.as_ref().and_then(|views| views.view_condition_dim);
        let actions = self.action.as_ref().and_then(ActionConfig::channels);
        views.unwrap_or(0) + actions.unwrap_or(0)
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// The first field that no part can be built from.
    pub fn validate(&self) -> Result<(), DitConfigError> {
        self.action.as_ref().map_or(Ok(()), ActionConfig::validate)?;
        let has_tokens = |action: &ActionConfig| action.injection == Some(ActionInjection::CrossAttention);
        if self.views.is_some() && self.action.as_ref().is_some_and(has_tokens) {
            return Err(DitConfigError::ActionTokensWithViews);
        }
        self.image.as_ref().map_or(Ok(()), ImageContextConfig::validate)?;
        self.views.as_ref().map_or(Ok(()), ViewsConfig::validate)?;
        self.camera.as_ref().map_or(Ok(()), CameraConfig::validate)
    }
}
