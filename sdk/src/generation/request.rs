//! One video to generate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::chunks::Chunking;
use super::multiview::Cameras;
use super::resolution::Resolution;

/// What a video starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InferenceType {
    /// The prompt alone.
    Text2World,
    /// One frame: an image, or the last frame of a video.
    Image2World,
    /// The last five frames of a video.
    Video2World,
}

/// A video to generate, with every default filled in but those of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRequest {
    /// Name of the output files, without an ending.
    pub name: String,
    /// What the video starts from.
    pub inference_type: InferenceType,
    /// What is to be seen; none where an embedding alone says it.
    pub prompt: Option<String>,
    /// What is to be avoided.
    pub negative_prompt: String,
    /// Image, video, or folder of images to start from.
    pub input_path: Option<PathBuf>,
    /// Seed of the noise; later chunks count on from it.
    pub seed: u32,
    /// Strength of the guidance; none is the model's.
    pub guidance: Option<f64>,
    /// Size of the frames.
    pub resolution: Resolution,
    /// Frames of the video; none is one clip of the model.
    pub num_output_frames: Option<usize>,
    /// Denoising steps; none is the model's number.
    pub num_steps: Option<usize>,
    /// How the video is cut into several model calls; none makes it in one.
    pub chunking: Option<Chunking>,
    /// The cameras of the video, with what is given of each where there are several.
    pub cameras: Cameras,
}

impl GenerationRequest {
    /// Returns the names of the outputs, without an ending: one per view and one of all, or one alone.
    pub fn output_names(&self) -> Vec<String> {
        let views = self.cameras.view_names();
        if views.is_empty() {
            return vec![self.name.clone()];
        }
        let parts = views.into_iter().chain([self.cameras.sheet_name()]);
        parts.map(|part| format!("{}_{part}", self.name)).collect()
    }
}

impl InferenceType {
    /// Returns the name in request files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text2World => "text2world",
            Self::Image2World => "image2world",
            Self::Video2World => "video2world",
        }
    }

    /// Returns how many latent frames are given.
    pub fn given_latents(self) -> usize {
        match self {
            Self::Text2World => 0,
            Self::Image2World => 1,
            Self::Video2World => 2,
        }
    }

    /// Returns how many frames are given, for a VAE that shrinks the frame rate by `time`.
    pub fn given_frames(self, time: usize) -> usize {
        match self.given_latents() {
            0 => 0,
            latents => time * (latents - 1) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_five_frames_are_given() {
        let given = |kind: InferenceType| kind.given_frames(4);
        assert_eq!(
            [
                InferenceType::Text2World,
                InferenceType::Image2World,
                InferenceType::Video2World
            ]
            .map(given),
            [0, 1, 5]
        );
    }
}
