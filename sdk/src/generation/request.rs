//! One video to generate.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::chunks::Chunking;
use super::resolution::Resolution;

/// What the released base models are told to avoid.
///
/// Source: `cosmos_predict2/config.py@2ac6ee5` (`DEFAULT_NEGATIVE_PROMPT`): published data, which the weights are used with.
pub const DEFAULT_NEGATIVE_PROMPT: &str = "The video captures a series of frames showing ugly scenes, static with no \
    motion, motion blur, over-saturation, shaky footage, low resolution, grainy texture, pixelated images, poorly lit \
    areas, underexposed and overexposed scenes, poor color balance, washed out colors, choppy sequences, jerky \
    movements, low frame rate, artifacting, color banding, unnatural transitions, outdated special effects, fake \
    elements, unconvincing visuals, poorly edited content, jump cuts, visual noise, and flickering. Overall, the video \
    is of poor quality.";

/// Frames per second that videos are saved with.
pub const FRAME_RATE_HZ: f64 = 16.0;

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

    #[test]
    fn the_negative_prompt_is_one_paragraph_of_single_spaces() {
        assert!(DEFAULT_NEGATIVE_PROMPT.starts_with("The video captures a series of frames showing ugly scenes, static"));
        assert!(DEFAULT_NEGATIVE_PROMPT.ends_with("Overall, the video is of poor quality."));
        assert!(!DEFAULT_NEGATIVE_PROMPT.contains("  ") && !DEFAULT_NEGATIVE_PROMPT.contains('\n'));
        assert_eq!(DEFAULT_NEGATIVE_PROMPT.len(), 538);
    }
}
