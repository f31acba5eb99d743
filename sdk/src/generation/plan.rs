//! What a model can make of a request, found out before any weight is read.

use worldloop_world_model::catalog::{Given, ReleasedModel, SamplerPreset};
use worldloop_world_model::diffusion::SamplerConfig;
use worldloop_world_model::dit::DitConfig;
use worldloop_world_model::vae::WanVaeConfig;

use super::chunks::{Chunk, Chunking};
use super::error::GenerationError;
use super::multiview::CameraRig;
use super::request::{GenerationRequest, InferenceType};
use super::resolution::{Resolution, check_size};

/// Guidance of the released base models, which a network of unknown origin gets too.
const GUIDANCE: f64 = 7.0;

/// Frames of a clip of the released base models, which a network of unknown origin gets too.
const CLIP_FRAMES: usize = 93;

/// What decides which requests a model can answer.
#[derive(Debug, Clone)]
pub struct ModelLimits {
    /// Name of the released model, or where the checkpoint is.
    pub name: String,
    /// The released model, if it is one.
    pub released: Option<ReleasedModel>,
    /// The cameras that it makes videos of.
    pub rig: CameraRig,
    /// How it is sampled.
    pub sampler: SamplerPreset,
    /// What heights and widths must be multiples of.
    pub size_multiple: usize,
    /// By how much the VAE shrinks the frame rate.
    pub temporal_compression: usize,
    /// By how much the VAE shrinks height and width.
    pub spatial_compression: usize,
    /// Channels of the latents.
    pub z_dim: usize,
    /// Width of the text embeddings.
    pub text_width: usize,
}

/// How one request is answered.
#[derive(Debug, Clone)]
pub struct GenerationPlan {
    /// Height and width of the frames.
    pub size: [usize; 2],
    /// Frames that come out, of every view where there are several.
    pub frames: usize,
    /// Frames that are given at the start, of every view where there are several.
    pub given: usize,
    /// How it is sampled.
    pub sampler: SamplerPreset,
    /// Latent frames that a model call samples, of every view where there are several.
    pub(super) latent_frames: usize,
    /// Height and width of the network's patches in pixels.
    pub(super) patch_px: usize,
    /// Model calls.
    pub(super) chunks: Vec<Chunk>,
}

impl ModelLimits {
    /// Takes what is known of a network and its VAE.
    ///
    /// # Errors
    /// [`GenerationError::Unable`] if it takes actions, or sees cameras that are not known.
    pub fn new(
        name: &str,
        network: &DitConfig,
        vae: &WanVaeConfig,
        released: Option<ReleasedModel>,
    ) -> Result<Self, GenerationError> {
        let unable = |what: &str, advice: &str| GenerationError::Unable {
            model: name.to_owned(),
            what: what.to_owned(),
            advice: advice.to_owned(),
        };
        if network.conditioning.action.is_some() {
            return Err(needs_actions(name));
        }
        let patch_px = vae.spatial_compression() * network.patch_spatial;
        let Some(rig) = CameraRig::of(network, patch_px) else {
            let advice = "it sees other cameras than the released models; choose one of those (`worldloop models`)";
            return Err(unable("a video", advice));
        };
        if network.in_channels != vae.z_dim {
            let advice = format!(
                "it takes {} latent channels and the VAE makes {}; put the VAE beside it that it was trained with",
                network.in_channels, vae.z_dim
            );
            return Err(unable("a video", &advice));
        }
        let flow = SamplerPreset::Flow(SamplerConfig {
            guidance_scale: GUIDANCE,
            ..SamplerConfig::default()
        });
        let like = released.clone().or_else(|| rig.released());
        Ok(Self {
            name: name.to_owned(),
            rig,
            sampler: like.map_or(flow, |model| model.sampler),
            released,
            size_multiple: patch_px,
            temporal_compression: vae.temporal_compression(),
            spatial_compression: vae.spatial_compression(),
            z_dim: vae.z_dim,
            text_width: network.text_channels(),
        })
    }

    /// Says how a request is answered.
    ///
    /// # Errors
    /// [`GenerationError`] that names the sample and what would fit.
    pub fn plan(&self, request: &GenerationRequest) -> Result<GenerationPlan, GenerationError> {
        self.check_cameras(request)?;
        self.check_start(request.inference_type)?;
        let size = match (request.resolution, &self.released) {
            (Resolution::Pixels { height, width }, _) => [height, width],
            (Resolution::Model, Some(model)) => model.size_px,
            (Resolution::Model, None) => return Err(no_size(request)),
        };
        check_size(size, self.size_multiple)?;
        let time = self.temporal_compression;
        let own = self.released.as_ref().map(ReleasedModel::frames);
        let usual = || self.rig.released().map_or(CLIP_FRAMES, |model| model.frames());
        let frames = request.num_output_frames.or(own).unwrap_or_else(usual);
        let given = request.inference_type.given_frames(time);
        if frames <= given {
            let expected = format!("{given} are given, at least {} are needed", given + time);
            return Err(wrong_frames(request, frames, expected));
        }
        let (clip_frames, chunks) = match request.chunking {
            Some(chunking) => (self.chunk_clip(chunking, own)?, chunking.plan(frames, given, time)?),
            None => (frames, vec![self.only_chunk(request, frames, given, own)?]),
        };
        Ok(GenerationPlan {
            size,
            frames,
            given,
            sampler: self.sampler_for(request)?,
            latent_frames: 1 + (clip_frames - 1) / time,
            patch_px: self.size_multiple,
            chunks,
        })
    }

    /// Checks that the request is for the cameras of this model.
    fn check_cameras(&self, request: &GenerationRequest) -> Result<(), GenerationError> {
        let (wanted, rig) = (request.cameras.rig(), self.rig);
        let (what, advice) = if wanted != rig {
            let advice = format!("it makes {}; choose another model (`worldloop models`)", rig.what());
            (wanted.what(), advice)
        } else if rig != CameraRig::Single && request.chunking.is_some() {
            let advice = "its pipeline makes one clip; leave --autoregressive and its settings out";
            ("several views in chunks", advice.to_owned())
        } else {
            return Ok(());
        };
        Err(GenerationError::Unable {
            model: self.name.clone(),
            what: what.to_owned(),
            advice,
        })
    }

    fn check_start(&self, inference_type: InferenceType) -> Result<(), GenerationError> {
        let Some(model) = &self.released else {
            return Ok(());
        };
        let needed = match inference_type {
            InferenceType::Text2World => Given::Text,
            InferenceType::Image2World => Given::Image,
            InferenceType::Video2World => Given::Video,
        };
        if model.given.contains(&needed) {
            return Ok(());
        }
        let given: Vec<&str> = model.given.iter().map(|given| given.name()).collect();
        Err(GenerationError::Unable {
            model: self.name.clone(),
            what: format!("{} videos", inference_type.name()),
            advice: format!(
                "it starts from {}; choose another model (`worldloop models`)",
                given.join(" or ")
            ),
        })
    }

    /// Returns the one model call of a video that is not cut into chunks.
    fn only_chunk(
        &self,
        request: &GenerationRequest,
        frames: usize,
        given: usize,
        own: Option<usize>,
    ) -> Result<Chunk, GenerationError> {
        let time = self.temporal_compression;
        if frames % time != 1 % time {
            let below = (frames - 1) / time * time + 1;
            let above = below + time;
            let expected = format!("expected one more than a multiple of {time}, such as {below} or {above}");
            return Err(wrong_frames(request, frames, expected));
        }
        if let Some(own) = own.filter(|own| frames > *own) {
            let model = &self.name;
            let longer = match self.rig {
                CameraRig::Single => "; make longer videos in chunks (--autoregressive)",
                CameraRig::Driving | CameraRig::Robot => "",
            };
            let expected = format!("{model} makes at most {own} at once{longer}");
            return Err(wrong_frames(request, frames, expected));
        }
        Ok(Chunk {
            index: 0,
            frames,
            overlap: 0,
            given,
        })
    }

    /// Returns the frames that are sampled for each chunk: a released model's own number, of which the chunk is cut.
    fn chunk_clip(&self, chunking: Chunking, own: Option<usize>) -> Result<usize, GenerationError> {
        let time = self.temporal_compression;
        match own {
            Some(own) if chunking.chunk_size > own => Err(GenerationError::Chunks {
                size: chunking.chunk_size,
                overlap: chunking.chunk_overlap,
                advice: format!("{} makes at most {own} frames at once", self.name),
            }),
            Some(own) => Ok(own),
            None => Ok(chunking.chunk_size.saturating_sub(1).div_ceil(time) * time + 1),
        }
    }

    /// Returns the model's sampler with the settings of a request.
    fn sampler_for(&self, request: &GenerationRequest) -> Result<SamplerPreset, GenerationError> {
        match &self.sampler {
            SamplerPreset::Flow(config) => Ok(SamplerPreset::Flow(SamplerConfig {
                num_steps: request.num_steps.unwrap_or(config.num_steps),
                guidance_scale: request.guidance.unwrap_or(config.guidance_scale),
                ..config.clone()
            })),
            SamplerPreset::TrigFlow(flow) | SamplerPreset::Stream(flow) => {
                let own = flow.angles.len();
                match request.num_steps.filter(|steps| *steps != own) {
                    None => Ok(self.sampler.clone()),
                    Some(steps) => Err(GenerationError::Unable {
                        model: self.name.clone(),
                        what: format!("a video in {steps} steps"),
                        advice: format!("it is distilled to {own}; leave --steps and num_steps out"),
                    }),
                }
            }
        }
    }
}

/// Returns the error of a model that makes no video without actions.
pub(super) fn needs_actions(model: &str) -> GenerationError {
    GenerationError::Unable {
        model: model.to_owned(),
        what: "a video without actions".to_owned(),
        advice: "it is conditioned on actions; --action FILE gives it some, and so does `worldloop rollout --annotation FILE`"
            .to_owned(),
    }
}

fn no_size(request: &GenerationRequest) -> GenerationError {
    let name = request.name.clone();
    GenerationError::NoSize { name }
}

fn wrong_frames(request: &GenerationRequest, found: usize, expected: String) -> GenerationError {
    GenerationError::Frames {
        name: request.name.clone(),
        found,
        expected,
    }
}

impl GenerationPlan {
    /// Returns how many model calls there are.
    pub fn num_chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Returns how many denoising steps there are in all.
    pub fn num_steps(&self) -> usize {
        let steps = match &self.sampler {
            SamplerPreset::Flow(config) => config.sigmas.schedule(config.num_steps).num_evaluations(),
            SamplerPreset::TrigFlow(flow) | SamplerPreset::Stream(flow) => flow.angles.len(),
        };
        steps * self.chunks.len()
    }

    /// Returns whether the negative prompt has an effect.
    pub fn is_guided(&self) -> bool {
        self.sampler.is_guided()
    }
}

#[cfg(test)]
mod tests;
