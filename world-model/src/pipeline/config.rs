//! Everything about an action-conditioned world model but its weights.

use burn::module::Module;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::action_reference::ActionReference;
use super::error::PipelineError;
use crate::checkpoint::CheckpointSource;
use crate::diffusion::{SamplerConfig, SchedulerKind};
use crate::dit::{ActionGrouping, Dit, DitConfig};
use crate::gripper_pose::{GripperPose, PoseLimits};
use crate::vae::{WanVae, WanVaeConfig};
use crate::world_model::{ActionDimension, WorldModelError, WorldModelSpec};

/// Most denoising steps; released models use 35.
const MAX_STEPS: usize = 1000;

/// Largest side of a frame in pixels, and most frames of a chunk; released models stay at 1280 and 93.
const MAX_SIDE: usize = 1 << 13;

/// Most tokens of a chunk in the transformer; released models stay at two hundred thousand.
const MAX_TOKENS: usize = 1 << 20;

/// Most tokens of a text; released models take 512.
const MAX_TEXT_TOKENS: usize = 1 << 12;

/// How the last frames of a chunk become the first of the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// As floats, clamped to `[-1, 1]`.
    #[default]
    Float,
    /// Through bytes, as the released script does.
    Rgb8,
}

/// What the noise of a chunk is seeded with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseSeed {
    /// The seed of the episode and the index of the chunk.
    #[default]
    EpisodeAndChunk,
    /// The index of the chunk's first action, as the released script does; the episode's seed is ignored.
    FirstAction,
}

/// Everything about an action-conditioned world model but its weights.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictConfig {
    /// What the model expects and returns.
    pub spec: WorldModelSpec,
    /// Sizes of the VAE.
    pub vae: WanVaeConfig,
    /// Sizes of the diffusion transformer.
    pub dit: DitConfig,
    /// How latents are sampled.
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// How the last frames of a chunk become the first of the next.
    #[serde(default)]
    pub feedback: Feedback,
    /// What the noise of a chunk is seeded with.
    #[serde(default)]
    pub noise_seed: NoiseSeed,
    /// What the network is told of a motion.
    #[serde(default)]
    pub action_reference: ActionReference,
    /// Tokens of the all-zero text embedding that stands in where no text is given.
    pub text_tokens: usize,
}

/// The weights of an action-conditioned world model.
#[derive(Module, Debug)]
pub struct PredictNetworks {
    /// Frames to latents and back.
    pub vae: WanVae,
    /// Latents and actions to velocities.
    pub dit: Dit,
}

impl PredictConfig {
    /// Returns a model that runs in milliseconds on a CPU, for tests and examples: chunks of 8 actions, one sampling step.
    ///
    /// Height and width are multiples of 8 pixels.
    pub fn tiny(action: Vec<ActionDimension>, [height, width]: [usize; 2]) -> Self {
        Self {
            spec: WorldModelSpec {
                name: "tiny".into(),
                cameras: vec!["third_person".into()],
                height,
                width,
                action,
                action_frame: "gripper".into(),
                chunk_length: 8,
                context_frames: 1,
                frame_rate_hz: 5.0,
            },
            vae: WanVaeConfig::tiny(),
            dit: DitConfig {
                in_channels: 8,
                out_channels: 8,
                ..DitConfig::tiny()
            },
            sampler: SamplerConfig {
                num_steps: 1,
                ..SamplerConfig::default()
            },
            feedback: Feedback::default(),
            noise_seed: NoiseSeed::default(),
            action_reference: ActionReference::default(),
            text_tokens: 1,
        }
    }

    /// Returns the latent frames that are given.
    pub fn given_latents(&self) -> usize {
        self.vae.latent_frames(self.spec.context_frames)
    }

    /// Returns the latent frames of a chunk, given and sampled.
    pub fn chunk_latents(&self) -> usize {
        self.given_latents() + self.spec.chunk_length / self.vae.temporal_compression()
    }

    /// Returns the shape of one chunk's latents: channels, frames, height, width.
    pub fn latent_shape(&self) -> [usize; 4] {
        let space = self.vae.spatial_compression();
        [
            self.vae.z_dim,
            self.chunk_latents(),
            self.spec.height / space,
            self.spec.width / space,
        ]
    }

    /// Initializes networks with random weights; a config from outside goes through
    /// [`PredictConfig::validate`] first.
    ///
    /// # Panics
    /// If the config is not valid.
    pub fn init(&self, device: &Device) -> PredictNetworks {
        PredictNetworks {
            vae: self.vae.init(device),
            dit: self.dit.init(device),
        }
    }

    /// Returns the values that the network sees of one action.
    pub fn network_action_dim(&self) -> usize {
        self.action_reference.network_dimensions(self.spec.action_dim())
    }

    /// Multiplies the actions since the given frame by the factors of the spec and adds what [`ActionReference`] says:
    /// what the network sees. The pose is that of the gripper in the given frame.
    ///
    /// # Panics
    /// If an action has another number of values than the spec.
    pub fn network_actions(&self, actions: &[Vec<f32>], pose: Option<GripperPose>) -> Vec<f32> {
        let poses = self.action_reference.poses_after(pose, actions);
        let mut scaled = self.scaled_actions(actions);
        self.action_reference.extend(&mut scaled, &poses);
        scaled.concat()
    }

    /// Returns where a gripper is after each of the actions; nowhere known for a network that does not ask.
    pub fn poses_after(&self, pose: Option<GripperPose>, actions: &[Vec<f32>]) -> Vec<Option<GripperPose>> {
        self.action_reference.poses_after(pose, actions)
    }

    /// Returns where actions bring a gripper; nothing for a network that does not ask.
    pub fn pose_after(&self, pose: Option<GripperPose>, actions: &[Vec<f32>]) -> Option<GripperPose> {
        self.poses_after(pose, actions).last().copied().unwrap_or(pose)
    }

    /// Reads the pose at an episode's start from the robot's state; nothing if that is empty, or if the network does not
    /// ask.
    ///
    /// # Errors
    /// [`WorldModelError::Proprioception`] if it has too few values, or one that is not finite or beyond the robot's limits:
    /// the state of another robot, or in other units.
    pub fn starting_pose(&self, proprioception: &[f32]) -> Result<Option<GripperPose>, WorldModelError> {
        let Some(limits) = self
            .action_reference
            .pose_limits()
            .filter(|_| !proprioception.is_empty())
        else {
            return Ok(None);
        };
        let wrong = |found: String| WorldModelError::Proprioception {
            model: self.spec.name.clone(),
            found,
        };
        let pose = proprioception
            .first_chunk::<7>()
            .ok_or_else(|| wrong(format!("{} values", proprioception.len())))?;
        let pose = GripperPose(pose.map(f64::from));
        match limits.first_beyond(pose) {
            Some((name, value, [low, high])) => Err(wrong(format!("{name} = {value}, not in {low} to {high}"))),
            None => Ok(Some(pose)),
        }
    }

    fn scaled_actions(&self, actions: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let scaled = |action: &Vec<f32>| -> Vec<f32> {
            assert_eq!(
                action.len(),
                self.spec.action.len(),
                "an action has the dimensions of the spec"
            );
            action
                .iter()
                .zip(&self.spec.action)
                .map(|(value, dimension)| value * dimension.scale)
                .collect()
        };
        actions.iter().map(scaled).collect()
    }

    /// Checks a config from a checkpoint against the number of tensors in it, before networks of that size are built.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and if there are more blocks than tensors.
    pub fn validate_for(&self, source: &CheckpointSource) -> Result<(), PipelineError> {
        self.validate()?;
        let tensors = source.keys().count();
        let blocks = self.dit.num_blocks + self.vae.num_res_blocks * self.vae.dim_mult.len();
        self.require(
            "the number of blocks of both networks",
            &blocks,
            blocks <= tensors,
            || format!("at most {tensors} (tensors in {})", source.location()),
        )
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// A [`PipelineError`] that names what does not fit.
    pub fn validate(&self) -> Result<(), PipelineError> {
        self.vae.validate()?;
        self.dit.validate()?;
        let time = self.vae.temporal_compression();
        let patch = self.vae.spatial_compression() * self.dit.patch_spatial;
        let spec = &self.spec;
        self.require(
            "the number of cameras",
            &spec.cameras.len(),
            spec.cameras.len() == 1,
            || "1".into(),
        )?;
        for (what, size) in [("the height", spec.height), ("the width", spec.width)] {
            let fits = size > 0 && size.is_multiple_of(patch);
            self.require(what, &size, fits, || {
                format!("a multiple of {patch} (VAE compression times patch)")
            })?;
        }
        let context = spec.context_frames;
        let fits = context > 0 && (context - 1).is_multiple_of(time);
        self.require("context_frames", &context, fits, || {
            format!("1 more than a multiple of {time}")
        })?;
        let chunk = spec.chunk_length;
        let fits = chunk > 0 && chunk.is_multiple_of(time);
        self.require("chunk_length", &chunk, fits, || {
            format!("a multiple of {time} (frames per latent frame)")
        })?;
        for (what, size) in [
            ("the height", spec.height),
            ("the width", spec.width),
            ("context_frames", context),
            ("chunk_length", chunk),
        ] {
            self.require(what, &size, size <= MAX_SIDE, || format!("at most {MAX_SIDE}"))?;
        }
        let [_, latent_frames, rows, columns] = self.latent_shape();
        // Each factor is at most `MAX_SIDE`.
        let tokens = latent_frames * (rows / self.dit.patch_spatial) * (columns / self.dit.patch_spatial);
        self.require("the number of tokens of a chunk", &tokens, tokens <= MAX_TOKENS, || {
            format!("at most {MAX_TOKENS}: smaller frames or a shorter chunk")
        })?;
        let latents = self.chunk_latents();
        let fits = latents.is_multiple_of(self.dit.patch_temporal);
        let expected = || format!("a multiple of {} (temporal patch)", self.dit.patch_temporal);
        self.require("the number of latent frames of a chunk", &latents, fits, expected)?;
        let z_dim = self.vae.z_dim;
        for (what, channels) in [
            ("dit.in_channels", self.dit.in_channels),
            ("dit.out_channels", self.dit.out_channels),
        ] {
            self.require(what, &channels, channels == z_dim, || {
                format!("{z_dim} (z_dim of the VAE)")
            })?;
        }
        let fits = (1..=MAX_TEXT_TOKENS).contains(&self.text_tokens);
        self.require("text_tokens", &self.text_tokens, fits, || {
            format!("1 to {MAX_TEXT_TOKENS}")
        })?;
        self.validate_sampler()?;
        self.validate_actions(time)
    }

    fn validate_sampler(&self) -> Result<(), PipelineError> {
        let steps = self.sampler.num_steps;
        let fits = (1..=MAX_STEPS).contains(&steps);
        self.require("sampler.num_steps", &steps, fits, || format!("1 to {MAX_STEPS}"))?;
        let sigmas = self.sampler.sigmas.schedule(steps).sigmas;
        let falls =
            sigmas.iter().all(|sigma| (0.0..=1.0).contains(sigma)) && sigmas.windows(2).all(|pair| pair[1] < pair[0]);
        let found = format!("{:?}", self.sampler.sigmas);
        self.require("sampler.sigmas", &found, falls, || {
            "a table that falls from at most 1 to 0 (a positive shift)".into()
        })?;
        // UniPC takes the logarithm of `1 - sigma`.
        let fits = self.sampler.scheduler == SchedulerKind::Euler || sigmas[0] < 1.0;
        self.require("sampler.sigmas", &found, fits, || {
            "a table that starts below 1, or the scheduler euler".into()
        })?;
        let guidance = self.sampler.guidance_scale;
        self.require("sampler.guidance_scale", &guidance, guidance.is_finite(), || {
            "a finite number".into()
        })
    }

    fn validate_actions(&self, time: usize) -> Result<(), PipelineError> {
        let none = || "an action embedder of the spec's dimensions".to_owned();
        let conditioning = &self.dit.conditioning;
        let Some(action) = &conditioning.action else {
            return self.require("dit.conditioning.action", &"absent", false, none);
        };
        let alone = conditioning.views.is_none() && conditioning.camera.is_none();
        self.require("dit.conditioning.views and .camera", &"present", alone, || {
            "absent (this pipeline gives the network neither)".to_owned()
        })?;
        for dimension in &self.spec.action {
            let fits = dimension.scale.is_finite();
            self.require("the scale of an action dimension", &dimension.scale, fits, || {
                "a finite number".into()
            })?;
        }
        if let Some((what, found, expected)) = self.action_reference.pose_limits().and_then(PoseLimits::wrong) {
            let found = format!("{found} for {what}");
            let expected = || format!("{expected} for {what}");
            self.require("action_reference.world", &found, false, expected)?;
        }
        let dimensions = self.network_action_dim();
        let expected =
            || format!("{dimensions} (dimensions of the spec's action, and those that action_reference adds)");
        self.require(
            "the action embedder's action_dim",
            &action.action_dim,
            action.action_dim == dimensions,
            expected,
        )?;
        if let Some(map) = &action.map {
            let [_, _, rows, columns] = self.latent_shape();
            let tokens = (rows / self.dit.patch_spatial) * (columns / self.dit.patch_spatial);
            let fits = map.tokens == tokens && matches!(action.grouping, ActionGrouping::PerLatentFrame { .. });
            let expected = || format!("{tokens} (tokens of a frame), with actions grouped per latent frame");
            self.require("the tokens of the map of actions", &map.tokens, fits, expected)?;
        }
        match action.grouping {
            ActionGrouping::PerLatentFrame {
                temporal_compression_ratio: ratio,
            } => {
                let expected = || format!("{time} (frames per latent frame)");
                self.require(
                    "the action embedder's temporal_compression_ratio",
                    &ratio,
                    ratio == time,
                    expected,
                )
            }
            ActionGrouping::WholeChunk {
                num_action_per_chunk: count,
            } => {
                let expected = || format!("{} (chunk_length)", self.spec.chunk_length);
                let fits = count == self.spec.chunk_length;
                self.require("the action embedder's num_action_per_chunk", &count, fits, expected)
            }
        }
    }

    fn require(
        &self,
        what: &'static str,
        found: &impl ToString,
        fits: bool,
        expected: impl FnOnce() -> String,
    ) -> Result<(), PipelineError> {
        if fits {
            return Ok(());
        }
        Err(PipelineError::Mismatch {
            model: self.spec.name.clone(),
            what,
            expected: expected(),
            found: found.to_string(),
        })
    }
}
