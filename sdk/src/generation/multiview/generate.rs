//! Several views at once.
//!
//! Source: `cosmos_predict2/_src/predict2_multiview/models/multiview_vid2vid_model_rectified_flow.py@2ac6ee5` (views of a
//! car), and `_src/predict2/camera/models` of cosmos-transfer2.5@2ff49d0 (cameras of a robot).
//! Differs: upstream puts the clean first frame of a robot's view into the start noise, one view beside its place; what that
//! leaves in the given frames, a fraction of a per mille, is noise here.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor};
use worldloop_world_model::Frame;
use worldloop_world_model::diffusion::NumpyRandom;
use worldloop_world_model::dit::Context;
use worldloop_world_model::pipeline::ClipInput;
use worldloop_world_model::video::clips_to_tensor;

use super::cameras::Cameras;
use super::error::MultiviewError;
use crate::generation::error::GenerationError;
use crate::generation::generator::{Generator, Videos, to_frame};
use crate::generation::plan::GenerationPlan;
use crate::generation::request::InferenceType;

/// What views start from, and what tells them apart.
#[derive(Debug, Clone)]
pub struct ViewsClip {
    /// Given frames of every view, in the order of the time axis.
    pub given: Videos,
    /// What tells the views apart.
    pub cameras: ViewCameras,
}

/// What tells views apart.
#[derive(Debug, Clone)]
pub enum ViewCameras {
    /// Numbers of the cameras, for a network that knows them.
    Ids(Vec<usize>),
    /// Rays of the cameras, `[1, views * latent_frames, rows, columns, numbers]`, for a network that reads them.
    Rays(Box<Tensor<5>>),
}

/// What several views are generated from, beside their plan.
#[derive(Debug, Clone, Copy)]
pub struct ViewsInput<'a> {
    /// What the views start from.
    pub clip: &'a ViewsClip,
    /// Seed of the noise.
    pub seed: u32,
    /// Projected prompt; where every view has its own, from [`join_view_texts`].
    pub context: &'a Context,
    /// Projected negative prompt; none turns the guidance off.
    pub negative: Option<&'a Context>,
}

impl Cameras {
    /// Checks what can be checked of the inputs before any weight is read.
    ///
    /// # Errors
    /// [`GenerationError`] that names the file.
    pub fn check(&self, plan: &GenerationPlan) -> Result<(), GenerationError> {
        match self {
            Self::Single => Ok(()),
            Self::Driving(views) => views.check(plan),
            Self::Robot(inputs) => inputs.check(plan),
        }
    }

    /// Reads what several views start from; none for one camera.
    ///
    /// # Errors
    /// [`GenerationError`] that names the file.
    pub fn read(
        &self,
        inference_type: InferenceType,
        plan: &GenerationPlan,
        device: &Device,
    ) -> Result<Option<ViewsClip>, GenerationError> {
        let (given, cameras) = match self {
            Self::Single => return Ok(None),
            Self::Driving(views) => (views.read(inference_type, plan)?, ViewCameras::Ids(views.ids())),
            Self::Robot(inputs) => (
                inputs.read(plan)?,
                ViewCameras::Rays(Box::new(inputs.rays(plan, device)?)),
            ),
        };
        Ok(Some(ViewsClip { given, cameras }))
    }
}

impl Generator {
    /// Generates the frames of several views in one clip.
    ///
    /// `progress` is told after every denoising step, and may stop the work before the last one; then there are no videos.
    ///
    /// # Panics
    /// If the given frames do not fit the plan, or the plan is for another model.
    pub fn generate_views(
        &self,
        plan: &GenerationPlan,
        input: ViewsInput<'_>,
        progress: impl FnMut() -> ControlFlow<()>,
    ) -> Option<Videos> {
        let ViewsClip { given, cameras } = input.clip;
        let views = given.len();
        let all_given = given.iter().all(|frames| frames.len() == plan.given);
        assert!(all_given, "the plan has another number of given frames");
        let frames: Vec<Vec<Frame>> = given.iter().map(|view| view.iter().map(to_frame).collect()).collect();
        let frames: Vec<&[Frame]> = frames.iter().map(Vec::as_slice).collect();
        let mut random = NumpyRandom::new(input.seed);
        let mut noise = |views: usize| {
            let [height, width] = plan.size.map(|side| side / self.vae.spatial_compression);
            let shape = [1, self.vae.z_dim, views * plan.latent_frames, height, width];
            random.standard_normal_tensor(shape, &self.device)
        };
        let (noise, view_ids, camera) = match cameras {
            ViewCameras::Ids(ids) => (noise(views), Some([ids.clone()]), None),
            // Views that are told apart by their rays start from the same noise.
            ViewCameras::Rays(rays) => (noise(1).repeat_dim(2, views), None, Some(rays.as_ref().clone())),
        };
        let clip = ClipInput {
            given: (plan.given > 0).then(|| clips_to_tensor(&frames, &self.device)),
            negative: input.negative,
            views,
            view_ids: view_ids.as_ref().map(<[_; 1]>::as_slice),
            camera,
            ..ClipInput::new(noise, input.context)
        };
        let dit = self.dit.clone().with_frames_per_view(plan.latent_frames);
        self.sample_clip(&dit, plan, clip, progress)
    }
}

/// Joins the projected texts of all views to the context of their clip; a single text is taken as it is.
///
/// # Errors
/// [`MultiviewError::TextTokens`].
///
/// # Panics
/// If there is no text.
pub fn join_view_texts(mut texts: Vec<Context>) -> Result<Context, MultiviewError> {
    let found: Vec<usize> = texts.iter().map(Context::num_tokens).collect();
    if found.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(MultiviewError::TextTokens { found });
    }
    Ok(match texts.len() {
        1 => texts.remove(0),
        _ => Context::of_views(&texts),
    })
}
