//! The published settings of an action-conditioned run, `inference_params.json`.
//!
//! Source: `cosmos_predict2/action_conditioned_config.py@687da63`.
//! Differs:
//! - keys that are missing have the values of the published example, not those of the script (guidance 0, not 7)
//! - without `save_fps`, videos are saved at the rate of the recording, not at 20 frames per second
//! - without `end`, all annotations are taken, not the first 100
//! - unknown keys are refused

use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::annotation::{FrameSelection, json_error, read_text};
use super::error::BridgeError;

/// The only function that turns annotations into actions here.
const ACTION_LOADER: &str = "cosmos_predict2.action_conditioned.load_default_action_fn";

/// Largest side of a picture in pixels.
const MAX_SIDE: usize = 4096;

/// Height and width of the frames that the model sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageSize {
    /// As recorded.
    Recorded,
    /// Resized to these pixels.
    Pixels {
        /// Height.
        height: usize,
        /// Width.
        width: usize,
    },
}

/// The settings of a run on a folder of annotations. [`InferenceParams::open`] refuses what can't be done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InferenceParams {
    /// Name of the run; not used.
    pub name: Option<String>,
    /// Root of the dataset: where the paths of videos count from.
    pub input_root: Option<PathBuf>,
    /// Folder of the annotations inside the root.
    pub input_json_sub_folder: Option<PathBuf>,
    /// Folder of the results upstream; not used.
    pub save_root: Option<PathBuf>,
    /// Strength of the guidance; without a negative prompt it has no effect.
    pub guidance: f64,
    /// `"height,width"`, or `"none"` for frames as they were recorded.
    pub resolution: String,
    /// Index of the camera, as a number or as digits.
    #[serde(deserialize_with = "number_or_digits")]
    pub camera_id: usize,
    /// First annotation of a folder.
    pub start: usize,
    /// Annotation after the last one.
    pub end: Option<usize>,
    /// Recorded frames per used frame.
    pub fps_downsample_ratio: usize,
    /// Factor of the gripper values.
    pub gripper_scale: f64,
    /// Key of the gripper values in an annotation.
    pub gripper_key: String,
    /// Key of the states in an annotation.
    pub state_key: String,
    /// Actions per chunk.
    pub chunk_size: Option<usize>,
    /// Upstream never looks at it; refused if set.
    pub reverse: bool,
    /// Stops after the first chunk.
    pub single_chunk: bool,
    /// Recorded frame to start from.
    pub start_frame_idx: usize,
    /// Frames per second of the videos that are written.
    pub save_fps: Option<f64>,
    /// Latent frames that are given; one.
    pub num_latent_conditional_frames: usize,
    /// Denoising steps.
    pub num_steps: Option<usize>,
    /// Factor of translations and rotations.
    pub action_scaler: f64,
    /// Rotations by quaternions; refused.
    pub use_quat: bool,
    /// Python function that makes the actions; only the default one is known.
    pub action_load_fn: String,
    /// What guidance leads away from.
    pub negative_prompt: Option<String>,
    /// Upstream seeds by the index of the first action instead, and so does this.
    pub seed: u64,
    /// Prompt; the model was trained with the empty one.
    pub prompt: Option<String>,
    /// Writes results anew that are there already.
    pub overwrite: bool,
}

impl Default for InferenceParams {
    fn default() -> Self {
        Self {
            name: None,
            input_root: None,
            input_json_sub_folder: None,
            save_root: None,
            guidance: 0.0,
            resolution: "256,320".to_owned(),
            camera_id: 0,
            start: 0,
            end: None,
            fps_downsample_ratio: 1,
            gripper_scale: 1.0,
            gripper_key: "continuous_gripper_state".to_owned(),
            state_key: "state".to_owned(),
            chunk_size: None,
            reverse: false,
            single_chunk: false,
            start_frame_idx: 0,
            save_fps: None,
            num_latent_conditional_frames: 1,
            num_steps: None,
            action_scaler: 20.0,
            use_quat: false,
            action_load_fn: ACTION_LOADER.to_owned(),
            negative_prompt: None,
            seed: 0,
            prompt: None,
            overwrite: false,
        }
    }
}

impl InferenceParams {
    /// Reads a file of settings and checks them.
    ///
    /// # Errors
    /// [`BridgeError::Read`], [`BridgeError::Json`], which names an unknown key, and [`BridgeError::Parameter`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BridgeError> {
        let path = path.as_ref();
        let text = read_text(path)?;
        // Through a map first, because a list would pass for a struct without keys.
        let params: Self = serde_json::from_str::<Map<String, Value>>(&text)
            .and_then(|map| serde_json::from_value(Value::Object(map)))
            .map_err(|source| json_error(path, "inference parameters", &text, source))?;
        params.check(path)?;
        Ok(params)
    }

    /// Returns which frames of a recording are used.
    pub fn selection(&self) -> FrameSelection {
        FrameSelection {
            start: self.start_frame_idx,
            step: self.fps_downsample_ratio,
        }
    }

    /// Returns the size of the frames, and nothing if it is not one.
    pub fn image_size(&self) -> Option<ImageSize> {
        if self.resolution == "none" {
            return Some(ImageSize::Recorded);
        }
        let (height, width) = self.resolution.split_once(',')?;
        let side = |text: &str| text.trim().parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
        Some(ImageSize::Pixels {
            height: side(height)?,
            width: side(width)?,
        })
    }

    /// Scales an action as the network was trained: motions by `action_scaler`, the gripper by `gripper_scale`.
    pub fn scaled(&self, action: [f64; 7]) -> Vec<f32> {
        let motion = |index: usize| index + 1 < action.len();
        let scale = |index| {
            if motion(index) {
                self.action_scaler
            } else {
                self.gripper_scale
            }
        };
        let scaled = action
            .iter()
            .enumerate()
            .map(|(index, value)| (value * scale(index)) as f32);
        scaled.collect()
    }

    /// Returns the part of a sorted list of annotations that is asked for.
    pub fn part<'a, T>(&self, annotations: &'a [T]) -> &'a [T] {
        let end = self.end.unwrap_or(annotations.len()).min(annotations.len());
        &annotations[self.start.min(end)..end]
    }

    /// Refuses what this program does not do.
    fn check(&self, path: &Path) -> Result<(), BridgeError> {
        let text = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        let finite = |number: f64| number.is_finite() && number.abs() <= 1e6;
        let prompt = "only the empty prompt is possible, the one that the model was trained with; give null";
        let guided = "guidance away from a negative prompt needs that prompt's embedding; give 0, as published";
        let checks: [(&'static str, String, bool, &'static str); 12] = [
            (
                "use_quat",
                self.use_quat.to_string(),
                !self.use_quat,
                "rotations by quaternions are not possible, give false",
            ),
            (
                "reverse",
                self.reverse.to_string(),
                !self.reverse,
                "the published script ignores it; give false",
            ),
            (
                "num_latent_conditional_frames",
                self.num_latent_conditional_frames.to_string(),
                self.num_latent_conditional_frames == 1,
                "a rollout starts from one frame; give 1",
            ),
            (
                "action_load_fn",
                self.action_load_fn.clone(),
                self.action_load_fn == ACTION_LOADER,
                "no Python is run here; leave the key out",
            ),
            (
                "resolution",
                format!("{:?}", self.resolution),
                self.image_size().is_some(),
                "give \"height,width\" in pixels, at most 4096, or \"none\"",
            ),
            (
                "fps_downsample_ratio",
                self.fps_downsample_ratio.to_string(),
                self.fps_downsample_ratio > 0,
                "give at least 1",
            ),
            (
                "action_scaler",
                self.action_scaler.to_string(),
                finite(self.action_scaler),
                "give a finite factor",
            ),
            (
                "gripper_scale",
                self.gripper_scale.to_string(),
                finite(self.gripper_scale),
                "give a finite factor",
            ),
            (
                "guidance",
                self.guidance.to_string(),
                self.guidance == 0.0 || !text(&self.negative_prompt),
                guided,
            ),
            (
                "prompt",
                format!("{:?}", self.prompt.as_deref().unwrap_or_default()),
                !text(&self.prompt),
                prompt,
            ),
            (
                "save_fps",
                self.save_fps.unwrap_or(1.0).to_string(),
                self.save_fps.is_none_or(|rate| rate > 0.0 && rate <= 1000.0),
                "give a number above 0 and at most 1000",
            ),
            (
                "num_steps",
                self.num_steps.unwrap_or(1).to_string(),
                self.num_steps != Some(0),
                "give at least 1",
            ),
        ];
        match checks.into_iter().find(|(_, _, fits, _)| !fits) {
            None => Ok(()),
            Some((key, found, _, expected)) => Err(BridgeError::Parameter {
                path: path.to_path_buf(),
                key,
                found,
                expected,
            }),
        }
    }
}

/// Reads an index that may be written as a string.
fn number_or_digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a camera's index, as a number or as digits")]
    enum Index {
        Number(usize),
        Digits(String),
    }
    match Index::deserialize(deserializer)? {
        Index::Number(number) => Ok(number),
        Index::Digits(text) => text.parse().map_err(|error| {
            let expected = "expected a number counted from 0";
            serde::de::Error::custom(format!("camera {text:?} is no index, {expected}: {error}"))
        }),
    }
}
