//! Rays of the camera, one vector per token, added in every block.
//!
//! Source: `cosmos_transfer2/_src/predict2/camera/networks/dit_multiview_camera.py`
//! (`CameraMiniTrainDITwithConditionalMask`) of cosmos-transfer2.5@2ff49d0.
//! Differs: nothing. The vectors themselves come from [`plucker_tokens`](crate::camera::plucker_tokens).

use burn::config::Config;
use burn::nn::Linear;
use burn::tensor::Device;

use super::super::config::{DitConfigError, check_sizes};
use crate::layers::trunc_normal;

/// Configuration of the layer that each block has for the camera, `cam_encoder` upstream.
#[derive(Config, Debug)]
pub struct CameraConfig {
    /// Numbers per token: six for each pixel of a patch.
    #[config(default = 1536)]
    pub camera_channels: usize,
}

impl CameraConfig {
    /// Initialises the layer for a network of the given width.
    pub fn init(&self, model_channels: usize, device: &Device) -> Linear {
        let std = 1.0 / (model_channels as f64).sqrt();
        Linear {
            weight: trunc_normal(self.camera_channels, model_channels, std, device),
            bias: None,
        }
    }

    /// Checks a configuration that comes from outside the program.
    ///
    /// # Errors
    /// [`DitConfigError::Zero`] and [`DitConfigError::TooLarge`].
    pub fn validate(&self) -> Result<(), DitConfigError> {
        check_sizes(&[("camera_channels", self.camera_channels)])
    }
}
