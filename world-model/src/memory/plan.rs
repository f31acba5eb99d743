//! Which precision and order of the stages fit a device, or why none do.

use burn::tensor::Device;

use super::dit::DenoiseShape;
use super::stage::{OVERHEAD_BYTES, Precision, Stage, StageMemory};
use super::text_encoder::text_encoder_memory;
use super::vae::{VaeShape, vae_decode_memory, vae_encode_memory};
use crate::catalog::{Given, ReleasedModel, released_models};
use crate::text_encoder::TextEncoderConfig;
use crate::vae::WanVaeConfig;

/// Tokens of a prompt in every release.
const TEXT_TOKENS: usize = 512;

/// Sides of a frame are multiples of this: VAE compression times patch.
const SIDE_STEP: usize = 16;

/// What has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRequest {
    /// Bytes of the device.
    pub device_bytes: u64,
    /// Frames of one view, one more than a multiple of four.
    pub frames: usize,
    /// Height and width in pixels, multiples of 16.
    pub size_px: [usize; 2],
    /// Precision of transformer and text encoder; none takes bfloat16, as released.
    pub precision: Option<Precision>,
}

/// Which weights are on the device together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residency {
    /// All, for the whole run.
    AllTogether,
    /// Those of one stage: text encoder, dropped; VAE, dropped; transformer, dropped; VAE.
    OneStageAtATime,
    /// Those of one stage, and the text embedding comes from a file that another machine wrote.
    WithoutTextEncoder,
}

/// A way to run a model on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Precision of transformer and text encoder; the VAE is always in float32.
    pub precision: Precision,
    /// Which weights are on the device together.
    pub residency: Residency,
    /// Latent frames that the VAE decodes at once; none is the whole clip.
    pub vae_piece: Option<usize>,
    /// Memory of each stage, in their order.
    pub stages: Vec<StageMemory>,
    /// Bytes at the peak, with [`OVERHEAD_BYTES`].
    pub peak: u64,
}

/// Why a model does not fit a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{model} does not fit: {stage} needs {} in {precision} however the stages are ordered, there are {}, {} are missing; \
     {advice}",
    gigabytes(*needed),
    gigabytes(*available),
    gigabytes(needed.saturating_sub(*available))
)]
pub struct MemoryRefusal {
    /// The model.
    pub model: &'static str,
    /// The stage that needs most.
    pub stage: Stage,
    /// Precision of the smallest way there is.
    pub precision: Precision,
    /// Bytes at its peak.
    pub needed: u64,
    /// Bytes of the device.
    pub available: u64,
    /// The next smaller choice.
    pub advice: String,
}

impl MemoryRequest {
    /// Asks for what the released pipeline of a model makes.
    pub fn released(model: &ReleasedModel, device_bytes: u64) -> Self {
        Self {
            device_bytes,
            frames: model.frames(),
            size_px: model.size_px,
            precision: None,
        }
    }

    /// Returns what is wrong with the sizes, if anything: they have to fit VAE and patches.
    pub fn problem(&self) -> Option<String> {
        let [height, width] = self.size_px;
        let fits = |side: usize| side > 0 && side.is_multiple_of(SIDE_STEP) && side <= 1 << 13;
        if !fits(height) || !fits(width) {
            return Some(format!(
                "the size is {height},{width}, expected multiples of {SIDE_STEP} up to 8192"
            ));
        }
        let frames = self.frames;
        if frames % 4 != 1 || frames > 1 << 13 {
            return Some(format!(
                "there are {frames} frames, expected one more than a multiple of 4, up to 8192"
            ));
        }
        None
    }
}

impl MemoryPlan {
    /// Finds the way that fits and reloads least, or the smallest one if there is none.
    ///
    /// # Errors
    /// [`MemoryRefusal`] with what is missing and the next smaller choice.
    ///
    /// # Panics
    /// If the request has a [`problem`](MemoryRequest::problem).
    pub fn find(model: &ReleasedModel, request: &MemoryRequest, device: &Device) -> Result<Self, MemoryRefusal> {
        assert_eq!(request.problem(), None, "the sizes fit VAE and patches");
        let mut ways = Self::ways(model, request, device);
        if let Some(fitting) = ways.iter().position(|way| way.peak <= request.device_bytes) {
            return Ok(ways.swap_remove(fitting));
        }
        let smallest = Self::smallest(ways);
        let widest = smallest.stages.iter().max_by_key(|stage| stage.total());
        Err(MemoryRefusal {
            model: model.name,
            stage: widest.map_or(Stage::Denoise, |stage| stage.stage),
            precision: smallest.precision,
            needed: smallest.peak,
            available: request.device_bytes,
            advice: advice(model, request, device),
        })
    }

    fn smallest(ways: Vec<Self>) -> Self {
        let smallest = ways.into_iter().min_by_key(|way| way.peak);
        smallest.expect("there is a way for every order of the stages")
    }

    /// Lists all ways, the one that reloads least first.
    fn ways(model: &ReleasedModel, request: &MemoryRequest, device: &Device) -> Vec<Self> {
        let precision = request.precision.unwrap_or(Precision::Bf16);
        let vae = WanVaeConfig::wan2_1();
        let latent_frames = vae.latent_frames(request.frames);
        let at_once = vae.latent_frames_at_once(request.size_px.iter().product());
        let stages = stages(model, request, precision, device);
        [
            Residency::AllTogether,
            Residency::OneStageAtATime,
            Residency::WithoutTextEncoder,
        ]
        .into_iter()
        .map(|residency| {
            let stages: Vec<_> = stages
                .iter()
                .filter(|stage| residency != Residency::WithoutTextEncoder || stage.stage != Stage::TextEncoder)
                .copied()
                .collect();
            Self {
                precision,
                residency,
                vae_piece: (at_once < latent_frames).then_some(at_once),
                peak: peak(residency, &stages) + OVERHEAD_BYTES,
                stages,
            }
        })
        .collect()
    }
}

impl Residency {
    /// Says in words what is on the device when.
    pub fn text(self) -> &'static str {
        match self {
            Self::AllTogether => "all weights stay on the device",
            Self::OneStageAtATime => {
                "the weights of one stage at a time: text encoder, dropped; VAE, dropped; transformer, dropped; VAE"
            }
            Self::WithoutTextEncoder => {
                "the text embedding from a file that another machine wrote, then the weights of one stage at a time"
            }
        }
    }

    /// Returns the name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllTogether => "all_together",
            Self::OneStageAtATime => "one_stage_at_a_time",
            Self::WithoutTextEncoder => "without_text_encoder",
        }
    }
}

fn peak(residency: Residency, stages: &[StageMemory]) -> u64 {
    let most = |of: fn(&StageMemory) -> u64| stages.iter().map(of).max().unwrap_or(0);
    match residency {
        Residency::AllTogether => {
            // Encoding and decoding share their weights.
            let shared = |stage: &&StageMemory| stage.stage != Stage::VaeEncode;
            let weights: u64 = stages.iter().filter(shared).map(|stage| stage.weights).sum();
            weights + most(|stage| stage.activations)
        }
        Residency::OneStageAtATime | Residency::WithoutTextEncoder => most(StageMemory::total),
    }
}

fn stages(model: &ReleasedModel, request: &MemoryRequest, precision: Precision, device: &Device) -> Vec<StageMemory> {
    let vae = WanVaeConfig::wan2_1();
    let latent_frames = vae.latent_frames(request.frames);
    let [height, width] = request.size_px;
    let vae_shape = |latent_frames: usize| VaeShape {
        // Views go through the VAE one after the other.
        batch: 1,
        latent_frames,
        latent_frames_at_once: vae.latent_frames_at_once(height * width),
        size_px: [height, width],
    };
    let space = vae.spatial_compression();
    // Only a network that knows its views has a text for each.
    let texts = model.network.conditioning.views.as_ref().map_or(1, |_| model.views);
    let denoise = DenoiseShape {
        batch: 1,
        latents: [model.views * latent_frames, height / space, width / space],
        text_tokens: texts * TEXT_TOKENS,
        is_guided: model.sampler.is_guided(),
    };
    let encoder = TextEncoderConfig::cosmos_reason1_7b();
    let mut stages = vec![text_encoder_memory(&encoder, TEXT_TOKENS, precision, device)];
    let given = given_latent_frames(model).min(latent_frames);
    if given > 0 {
        stages.push(vae_encode_memory(&vae, vae_shape(given), device));
    }
    stages.push(denoise.memory(&model.network, precision, device));
    stages.push(vae_decode_memory(&vae, vae_shape(latent_frames), device));
    stages
}

/// Only the given frames are encoded: one, or five of a video.
fn given_latent_frames(model: &ReleasedModel) -> usize {
    if model.given.contains(&Given::Video) {
        2
    } else {
        usize::from(model.given.contains(&Given::Image))
    }
}

/// Names the next smaller choice that fits.
fn advice(model: &ReleasedModel, request: &MemoryRequest, device: &Device) -> String {
    let fits = |model: &ReleasedModel, request: &MemoryRequest| {
        let ways = MemoryPlan::ways(model, request, device);
        ways.iter().any(|way| way.peak <= request.device_bytes)
    };
    if request.precision == Some(Precision::F32) {
        let precision = Some(Precision::Bf16);
        if fits(model, &MemoryRequest { precision, ..*request }) {
            return "it fits with --dtype bf16".to_owned();
        }
    }
    let precision = Some(Precision::Bf16);
    let bf16 = MemoryRequest { precision, ..*request };
    let shorter = (1..(request.frames - 1) / 4 + 1)
        .rev()
        .map(|latent| 4 * (latent - 1) + 1);
    // A clip of one frame is no use to a model that continues one.
    for frames in shorter.filter(|frames| *frames >= 5) {
        if fits(model, &MemoryRequest { frames, ..bf16 }) {
            return format!("it fits with --frames {frames}{}", dtype_hint(request));
        }
    }
    for (numerator, denominator) in [(3, 4), (1, 2), (3, 8), (1, 4)] {
        let size_px = request
            .size_px
            .map(|side| side * numerator / denominator / SIDE_STEP * SIDE_STEP);
        let smaller = MemoryRequest { size_px, ..bf16 };
        if size_px.iter().all(|side| *side > 0) && fits(model, &smaller) {
            let [height, width] = size_px;
            return format!("it fits with --size {height},{width}{}", dtype_hint(request));
        }
    }
    if let Some(name) = model.name.strip_prefix("predict2.5-14b/") {
        let name = format!("predict2.5-2b/{name}");
        let smaller = released_models().into_iter().find(|other| other.name == name);
        if smaller.is_some_and(|smaller| fits(&smaller, &bf16)) {
            return format!("{name} fits");
        }
    }
    "no smaller choice of this model fits: take a device with more memory, or the CPU".to_owned()
}

fn dtype_hint(request: &MemoryRequest) -> &'static str {
    match request.precision {
        Some(Precision::F32) => " --dtype bf16",
        _ => "",
    }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str, gigabytes: u64, change: impl Fn(MemoryRequest) -> MemoryRequest) -> Result<MemoryPlan, String> {
        let model = ReleasedModel::find(name).expect("a released model");
        let request = change(MemoryRequest::released(&model, gigabytes * 1_000_000_000));
        MemoryPlan::find(&model, &request, &Device::flex()).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn less_memory_means_more_reloading_until_nothing_fits() {
        let name = "predict2.5-2b/robot/action-cond";
        let all = find(name, 80, |request| request).expect("plenty");
        assert_eq!((all.residency, all.vae_piece), (Residency::AllTogether, None));
        let staged = find(name, 17, |request| request).expect("one stage at a time");
        assert_eq!(staged.residency, Residency::OneStageAtATime);
        let without = find(name, 8, |request| request).expect("without the text encoder");
        assert_eq!(without.residency, Residency::WithoutTextEncoder);
        for plan in [&all, &staged, &without] {
            assert!(plan.stages.iter().any(|stage| stage.stage == Stage::Denoise));
        }
        let refusal = find(name, 3, |request| request).expect_err("the weights alone take 4 GB");
        assert!(
            refusal.contains("are missing") && refusal.contains("denoise"),
            "{refusal}"
        );
    }

    #[test]
    fn a_refusal_names_the_next_smaller_choice() {
        let f32 = |request| MemoryRequest {
            precision: Some(Precision::F32),
            ..request
        };
        let refusal = find("predict2.5-2b/robot/action-cond", 8, f32).expect_err("twice the weights");
        assert!(refusal.contains("--dtype bf16"), "{refusal}");
        let refusal = find("predict2.5-2b/post-trained", 8, |request| request).expect_err("93 frames of 704x1280");
        assert!(refusal.contains("--frames") || refusal.contains("--size"), "{refusal}");
        let refusal = find("predict2.5-14b/post-trained", 16, |request| request).expect_err("28 GB of weights");
        assert!(!refusal.contains("--frames"), "{refusal}");
    }

    #[test]
    fn longer_clips_never_take_less() {
        let mut before = 0;
        for frames in [5, 13, 29, 93] {
            let plan = find("predict2.5-2b/post-trained", 2000, |request| MemoryRequest {
                frames,
                ..request
            });
            let peak = plan.expect("two terabytes").peak;
            assert!(peak >= before, "{frames} frames take {peak}, fewer took {before}");
            before = peak;
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let model = ReleasedModel::find("predict2.5-2b/post-trained").expect("a released model");
        let request = MemoryRequest::released(&model, 1);
        assert_eq!(request.problem(), None);
        let odd = MemoryRequest {
            size_px: [700, 1280],
            ..request
        };
        assert!(odd.problem().expect("700 is no multiple of 16").contains("700,1280"));
        let odd = MemoryRequest { frames: 92, ..request };
        assert!(odd.problem().expect("92 is no 4 k + 1").contains("92 frames"));
    }
}
