//! A reference image as features of a vision tower.
//!
//! Source: `cosmos_transfer2/_src/transfer2/networks/minimal_v4_lvg_dit_control_vace.py@2ff49d0` (`img_context_proj`).
//! Differs: nothing.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::super::config::{DitConfigError, check_sizes};
use crate::layers::{gelu, linear_rows};

/// Configuration of an [`ImageProjection`].
#[derive(Config, Debug)]
pub struct ImageContextConfig {
    /// Width of the image features; SigLIP2 so400m has 1152.
    #[config(default = 1152)]
    pub image_channels: usize,
}

/// Projection of image features to the width of the network.
#[derive(Module, Debug)]
pub struct ImageProjection {
    /// The projection.
    pub proj: Linear,
}

impl ImageContextConfig {
    /// Initialises the projection for a network of the given width.
    pub fn init(&self, model_channels: usize, device: &Device) -> ImageProjection {
        ImageProjection {
            proj: LinearConfig::new(self.image_channels, model_channels).init(device),
        }
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// [`DitConfigError::Zero`] and [`DitConfigError::TooLarge`].
    pub fn validate(&self) -> Result<(), DitConfigError> {
        check_sizes(&[("image_channels", self.image_channels)])
    }
}

impl ImageProjection {
    /// Projects image features.
    ///
    /// # Shapes
    /// - features: `[batch, image_tokens, image_channels]`
    /// - output: `[batch, image_tokens, model_channels]`
    pub fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        gelu(linear_rows(&self.proj, features))
    }

    /// Returns the features of no image: zeros, which the projection's bias turns into something.
    ///
    /// Upstream has 256 equal tokens; attention to equal tokens is attention to one of them.
    ///
    /// # Shapes
    /// - output: `[1, 1, image_channels]`
    pub fn no_image(&self) -> Tensor<3> {
        let [image_channels, _] = self.proj.weight.dims();
        let weight = self.proj.weight.val();
        Tensor::zeros([1, 1, image_channels], (&weight.device(), weight.dtype()))
    }
}
