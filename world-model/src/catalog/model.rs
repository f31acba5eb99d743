//! One released model as a value.

use std::fmt;

use burn::module::Module;
use burn::tensor::Device;

use super::error::{NoPublicWeights, UnknownModel};
use super::released::released_models;
use crate::diffusion::{GuidanceFormula, NetworkTime, SamplerConfig, SigmaTable, TrigFlow};
use crate::dit::DitConfig;

/// Bytes of one weight as released.
const BF16_BYTES: u64 = 2;

/// Evaluations of diffusers' pipeline where none are asked for.
const DIFFUSERS_STEPS: usize = 36;

/// Time of given frames in diffusers' pipeline, in thousandths.
const DIFFUSERS_GIVEN_TIME: f64 = 0.1;

/// A released model: its weights, its network, how it is sampled, and what was checked here.
#[derive(Debug, Clone)]
pub struct ReleasedModel {
    /// Name as a user types it: the size, then the folder in the Hub repository without `base/`.
    pub name: &'static str,
    /// Where the weights are; none where their publisher names no file that is open to the public.
    pub weights: Option<HubFile>,
    /// The network that the weights belong to.
    pub network: DitConfig,
    /// How the released pipeline samples.
    pub sampler: SamplerPreset,
    /// What a clip can be made from.
    pub given: &'static [Given],
    /// Latent frames of one view.
    pub latent_frames: usize,
    /// Views of a clip, one after the other on the time axis.
    pub views: usize,
    /// Height and width of the released pipeline's frames, in pixels.
    pub size_px: [usize; 2],
    /// Frames per second of the released pipeline's files.
    pub frame_rate_hz: f64,
    /// Licence of the weights, by its publisher's word, or that there are no public ones.
    pub licence: &'static str,
    /// What was checked here, and how.
    pub verification: Verification,
}

/// A file in a repository on the Hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubFile {
    /// Owner and name of the repository.
    pub repository: &'static str,
    /// Path inside the repository.
    pub file: &'static str,
    /// Start of the commit that holds the file, or a branch.
    pub revision: &'static str,
}

/// How the released pipeline of a model samples.
#[derive(Debug, Clone, PartialEq)]
pub enum SamplerPreset {
    /// Many steps along the rectified flow.
    Flow(SamplerConfig),
    /// A few steps of a distilled model, without guidance.
    TrigFlow(TrigFlow),
    /// A few steps for each latent frame, one frame after the other.
    Stream(TrigFlow),
}

/// What a clip can be made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Given {
    /// A prompt alone.
    Text,
    /// The first frame, of every view where there are several.
    Image,
    /// The first frames.
    Video,
    /// Actions of a robot.
    Actions,
    /// Poses of the cameras.
    CameraPoses,
}

/// What was checked here of a model. Its released weights were not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verification {
    /// Families of vectors that the network reproduces: the reference code on small networks with random weights.
    pub network: &'static [&'static str],
    /// Families of vectors that the sampler reproduces.
    pub sampler: &'static [&'static str],
    /// What is known to differ, or was not checked, beside the released weights.
    pub open: &'static str,
}

impl ReleasedModel {
    /// Returns the model of a name.
    ///
    /// # Errors
    /// [`UnknownModel`] with the names that there are.
    ///
    /// # Example
    /// ```
    /// use worldloop_world_model::catalog::ReleasedModel;
    ///
    /// let model = ReleasedModel::find("predict2.5-2b/robot/action-cond")?;
    /// assert_eq!(model.frames(), 13);
    /// # Ok::<(), worldloop_world_model::catalog::UnknownModel>(())
    /// ```
    pub fn find(name: &str) -> Result<Self, UnknownModel> {
        let models = released_models();
        let known = models.iter().map(|model| model.name).collect();
        let found = models.into_iter().find(|model| model.name == name);
        found.ok_or_else(|| UnknownModel {
            name: name.to_string(),
            known,
        })
    }

    /// Returns the model with the numerics of diffusers' pipeline instead of those of NVIDIA's code: exact rotary exponents,
    /// another epsilon in the norms of queries and keys, the Karras table for 36 evaluations, times that are not truncated,
    /// a time of their own for given frames, and guidance only where its scale is above 1. A distilled model keeps its sampler,
    /// for which diffusers has none. With bfloat16 weights, time, modulations and last layer are rounded too, and norms twice
    /// ([`DitRounding::TimeAndNorms`](crate::dit::DitRounding::TimeAndNorms)). The constants of the VAE, which diffusers does
    /// not round, are beside the model.
    ///
    /// Source: `pipelines/cosmos/pipeline_cosmos2_5_predict.py` and `models/transformers/transformer_cosmos.py` of
    /// diffusers@58eb52c.
    #[must_use]
    pub fn with_diffusers_numerics(mut self) -> Self {
        self.network = self.network.with_diffusers_numerics();
        self.sampler = self.sampler.with_diffusers_numerics();
        self
    }

    /// Returns where the weights are.
    ///
    /// # Errors
    /// [`NoPublicWeights`] where there is no file that everybody may fetch.
    pub fn public_weights(&self) -> Result<HubFile, NoPublicWeights> {
        self.weights.ok_or(NoPublicWeights { model: self.name })
    }

    /// Counts the weights of the network; none is drawn for it.
    pub fn num_parameters(&self, device: &Device) -> usize {
        self.network.init(device).num_params()
    }

    /// Returns the bytes of the weights in bfloat16, as they are released.
    pub fn bf16_bytes(&self, device: &Device) -> u64 {
        self.num_parameters(device) as u64 * BF16_BYTES
    }

    /// Returns the frames of one view, of which the VAE makes one latent frame for the first and for every four after it.
    pub fn frames(&self) -> usize {
        4 * self.latent_frames.saturating_sub(1) + 1
    }
}

impl SamplerPreset {
    /// Returns the sampler of diffusers' pipeline; that of a distilled model stays as it is.
    #[must_use]
    pub fn with_diffusers_numerics(self) -> Self {
        match self {
            Self::Flow(sampler) => Self::Flow(SamplerConfig {
                num_steps: DIFFUSERS_STEPS,
                sigmas: SigmaTable::KarrasDiffusers,
                network_time: NetworkTime::Exact,
                conditional_frame_timestep: Some(DIFFUSERS_GIVEN_TIME),
                guidance_formula: GuidanceFormula::FromConditionalAboveOne,
                ..sampler
            }),
            Self::TrigFlow(_) | Self::Stream(_) => self,
        }
    }

    /// Returns whether each step takes a second evaluation, without the prompt or with a negative one.
    pub fn is_guided(&self) -> bool {
        match self {
            Self::Flow(config) => !config.guidance_formula.is_neutral(config.guidance_scale),
            Self::TrigFlow(_) | Self::Stream(_) => false,
        }
    }
}

impl Given {
    /// Returns the name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Actions => "actions",
            Self::CameraPoses => "camera poses",
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
