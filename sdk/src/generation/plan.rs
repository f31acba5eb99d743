//! What a model can make of a request, found out before any weight is read.

use worldloop_world_model::catalog::{Given, ReleasedModel, SamplerPreset};
use worldloop_world_model::diffusion::SamplerConfig;
use worldloop_world_model::dit::DitConfig;
use worldloop_world_model::vae::WanVaeConfig;

use super::chunks::{Chunk, Chunking};
use super::error::GenerationError;
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
    /// Frames that come out.
    pub frames: usize,
    /// Frames that are given at the start.
    pub given: usize,
    /// How it is sampled.
    pub sampler: SamplerPreset,
    /// Frames that a model call samples.
    pub(super) clip_frames: usize,
    /// Model calls.
    pub(super) chunks: Vec<Chunk>,
}

impl ModelLimits {
    /// Takes what is known of a network and its VAE.
    ///
    /// # Errors
    /// [`GenerationError::Unable`] if it takes more than text and frames.
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
        let without_actions = "a video without actions";
        if network.conditioning.action.is_some() {
            let advice = "it is conditioned on actions; `worldloop rollout --annotation FILE` gives it some";
            return Err(unable(without_actions, advice));
        }
        if network.conditioning.views.is_some() || network.conditioning.camera.is_some() {
            let advice =
                "it makes several views, or needs camera poses; choose a model for one camera (`worldloop models`)";
            return Err(unable("a video of one camera", advice));
        }
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
        Ok(Self {
            name: name.to_owned(),
            sampler: released.as_ref().map_or(flow, |model| model.sampler.clone()),
            released,
            size_multiple: vae.spatial_compression() * network.patch_spatial,
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
        self.check_start(request.inference_type)?;
        let name = || request.name.clone();
        let size = match (request.resolution, &self.released) {
            (Resolution::Pixels { height, width }, _) => [height, width],
            (Resolution::Model, Some(model)) => model.size_px,
            (Resolution::Model, None) => return Err(GenerationError::NoSize { name: name() }),
        };
        check_size(size, self.size_multiple)?;
        let time = self.temporal_compression;
        let own = self.released.as_ref().map(ReleasedModel::frames);
        let frames = request.num_output_frames.or(own).unwrap_or(CLIP_FRAMES);
        let given = request.inference_type.given_frames(time);
        let refused = |expected| GenerationError::Frames {
            name: name(),
            found: frames,
            expected,
        };
        if frames <= given {
            return Err(refused(format!(
                "{given} are given, at least {} are needed",
                given + time
            )));
        }
        let (clip_frames, chunks) = match request.chunking {
            Some(chunking) => {
                let clip = self.chunk_clip(chunking, own)?;
                (clip, chunking.plan(frames, given, time)?)
            }
            None => {
                let whole = frames % time == 1 % time;
                let below = frames.saturating_sub(1) / time * time + 1;
                if !whole {
                    let above = below + time;
                    return Err(refused(format!(
                        "expected one more than a multiple of {time}, such as {below} or {above}"
                    )));
                }
                if let Some(own) = own.filter(|own| frames > *own) {
                    return Err(refused(format!(
                        "{} makes at most {own} at once; make longer videos in chunks (--autoregressive)",
                        self.name
                    )));
                }
                let only = Chunk {
                    index: 0,
                    frames,
                    overlap: 0,
                    given,
                };
                (frames, vec![only])
            }
        };
        Ok(GenerationPlan {
            size,
            frames,
            given,
            sampler: self.sampler_for(request)?,
            clip_frames,
            chunks,
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
            None => Ok((chunking.chunk_size - 1).div_ceil(time) * time + 1),
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
            SamplerPreset::TrigFlow(flow) => {
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

impl GenerationPlan {
    /// Returns how many model calls there are.
    pub fn num_chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Returns how many denoising steps there are in all.
    pub fn num_steps(&self) -> usize {
        let steps = match &self.sampler {
            SamplerPreset::Flow(config) => config.sigmas.schedule(config.num_steps).num_evaluations(),
            SamplerPreset::TrigFlow(flow) => flow.angles.len(),
        };
        steps * self.chunks.len()
    }

    /// Returns whether the negative prompt has an effect.
    pub fn is_guided(&self) -> bool {
        match &self.sampler {
            SamplerPreset::Flow(config) => !config.guidance_formula.is_neutral(config.guidance_scale),
            SamplerPreset::TrigFlow(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request_file::RequestFields;
    use super::*;

    fn released(name: &str) -> ModelLimits {
        let model = ReleasedModel::find(name).expect("a released model");
        ModelLimits::new(name, &model.network.clone(), &WanVaeConfig::wan2_1(), Some(model)).expect("for one camera")
    }

    fn request(fields: RequestFields) -> GenerationRequest {
        let prompt = RequestFields {
            prompt: Some("p".into()),
            ..RequestFields::default()
        };
        fields.or(&prompt).resolve(false).expect("a valid request")
    }

    fn flow(plan: &GenerationPlan) -> SamplerConfig {
        match &plan.sampler {
            SamplerPreset::Flow(config) => config.clone(),
            SamplerPreset::TrigFlow(flow) => panic!("{flow:?}"),
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_reference() {
        let plan = released("predict2.5-2b/post-trained")
            .plan(&request(RequestFields::default()))
            .unwrap();
        assert_eq!((plan.size, plan.frames, plan.num_chunks()), ([704, 1280], 93, 1));
        assert_eq!((flow(&plan).guidance_scale, flow(&plan).num_steps), (7.0, 35));
        // The Karras table has one evaluation more than steps.
        assert_eq!((plan.num_steps(), plan.is_guided()), (36, true));
        let plan = released("predict2.5-2b/pre-trained")
            .plan(&request(RequestFields::default()))
            .unwrap();
        assert_eq!(plan.num_steps(), 35);
    }

    #[test]
    fn chunks_sample_whole_clips_of_the_model() {
        let fields = RequestFields {
            enable_autoregressive: Some(true),
            num_output_frames: Some(153),
            num_steps: Some(10),
            ..RequestFields::default()
        };
        let plan = released("predict2.5-2b/pre-trained").plan(&request(fields)).unwrap();
        assert_eq!((plan.clip_frames, plan.num_chunks(), plan.num_steps()), (93, 2, 20));
    }

    #[test]
    fn a_distilled_model_starts_from_text_and_makes_four_steps_without_guidance() {
        let distilled = released("predict2.5-2b/distilled");
        let plan = distilled.plan(&request(RequestFields::default())).unwrap();
        assert_eq!((plan.num_steps(), plan.is_guided()), (4, false));
        let fields = RequestFields {
            input_path: Some("a.png".into()),
            ..RequestFields::default()
        };
        let message = distilled.plan(&request(fields)).unwrap_err().to_string();
        assert!(
            message.contains("image2world") && message.contains("starts from text"),
            "{message}"
        );
        let fields = RequestFields {
            num_steps: Some(35),
            ..RequestFields::default()
        };
        let message = distilled.plan(&request(fields)).unwrap_err().to_string();
        assert!(
            message.contains("35 steps") && message.contains("distilled to 4"),
            "{message}"
        );
    }

    #[test]
    fn frames_that_do_not_fit_are_told_with_those_that_do() {
        let limits = released("predict2.5-2b/pre-trained");
        let message = |frames, input: Option<&str>| {
            let fields = RequestFields {
                num_output_frames: Some(frames),
                input_path: input.map(Into::into),
                ..RequestFields::default()
            };
            limits.plan(&request(fields)).expect_err("it does not fit").to_string()
        };
        assert!(message(12, None).contains("9 or 13"), "{}", message(12, None));
        assert!(message(97, None).contains("at most 93"), "{}", message(97, None));
        assert!(
            message(5, Some("a.mp4")).contains("at least 9"),
            "{}",
            message(5, Some("a.mp4"))
        );
    }

    #[test]
    fn a_network_of_unknown_origin_needs_a_size() {
        let vae = WanVaeConfig::wan2_1();
        let network = DitConfig::predict2_5_2b();
        let limits = ModelLimits::new("mine", &network, &vae, None).unwrap();
        let message = limits.plan(&request(RequestFields::default())).unwrap_err().to_string();
        assert!(message.contains("--resolution"), "{message}");
        let fields = RequestFields {
            resolution: Some("64,96".into()),
            num_output_frames: Some(9),
            enable_autoregressive: Some(true),
            chunk_size: Some(7),
            ..RequestFields::default()
        };
        let plan = limits.plan(&request(fields)).unwrap();
        assert_eq!((plan.clip_frames, plan.num_chunks()), (9, 2));
    }

    #[test]
    fn networks_with_actions_and_views_are_sent_elsewhere() {
        let vae = WanVaeConfig::wan2_1();
        let message = ModelLimits::new("m", &DitConfig::action_cond_2b(), &vae, None)
            .unwrap_err()
            .to_string();
        assert!(message.contains("worldloop rollout"), "{message}");
        let message = ModelLimits::new("m", &DitConfig::auto_multiview_2b(), &vae, None)
            .unwrap_err()
            .to_string();
        assert!(message.contains("several views"), "{message}");
    }
}
