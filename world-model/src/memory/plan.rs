//! Which precision and order of the stages fit a device, or why none do.

use burn::tensor::Device;

use super::refusal::MemoryRefusal;
use super::run::Run;
use super::stage::{OVERHEAD_BYTES, Precision, StageMemory};
use crate::catalog::ReleasedModel;

/// Sides of a frame are multiples of this: VAE compression times patch.
pub(super) const SIDE_STEP: usize = 16;

/// What has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryRequest {
    /// Bytes of the device.
    pub device_bytes: u64,
    /// Frames of one view, one more than a multiple of four.
    pub frames: usize,
    /// Height and width in pixels, multiples of 16.
    pub size_px: [usize; 2],
    /// Precision of the transformer; none takes bfloat16, as released.
    pub precision: Option<Precision>,
}

/// Which weights are on the device together. VAE and transformer always are, from the first frame to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residency {
    /// Those of the text encoder first; they are dropped before the others are read.
    TextEncoderFirst,
    /// VAE and transformer alone: the text embedding comes from a file that another machine wrote.
    WithoutTextEncoder,
}

/// A way to run a model on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Precision of the transformer; the VAE is always in float32, the text encoder in bfloat16.
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
    /// Finds the way that fits and leaves least to other machines.
    ///
    /// # Errors
    /// [`MemoryRefusal`] with what is missing and the next smaller choice.
    ///
    /// # Panics
    /// If the request has a [`problem`](MemoryRequest::problem).
    pub fn find(model: &ReleasedModel, request: &MemoryRequest, device: &Device) -> Result<Self, MemoryRefusal> {
        assert_eq!(request.problem(), None, "the sizes fit VAE and patches");
        let run = Run::new(model, device);
        let [first, second] = Self::ways(&run, request);
        let fits = |way: &Self| way.peak <= request.device_bytes;
        match (fits(&first), fits(&second)) {
            (true, _) => Ok(first),
            (false, true) => Ok(second),
            (false, false) => {
                let smallest = if first.peak < second.peak { first } else { second };
                Err(MemoryRefusal::new(&run, request, &smallest, device))
            }
        }
    }

    /// Returns all ways, the one that needs no other machine first.
    pub(super) fn ways(run: &Run<'_>, request: &MemoryRequest) -> [Self; 2] {
        let precision = request.precision.unwrap_or(Precision::Bf16);
        [Residency::TextEncoderFirst, Residency::WithoutTextEncoder].map(|residency| {
            let stages = run.stages(request, precision, residency);
            let widest = stages.iter().map(StageMemory::total).max().unwrap_or(0);
            Self {
                precision,
                residency,
                vae_piece: run.vae_piece(request),
                peak: widest + OVERHEAD_BYTES,
                stages,
            }
        })
    }

    /// Returns the flags of `generate` and `rollout` that the plan is for.
    pub fn flags(&self) -> [&'static str; 2] {
        ["--dtype", self.precision.name()]
    }
}

impl Residency {
    /// Says in words what is on the device when.
    pub fn text(self) -> &'static str {
        match self {
            Self::TextEncoderFirst => "the text encoder, dropped; then VAE and transformer together, to the end",
            Self::WithoutTextEncoder => {
                "the text embedding from a file that another machine wrote (`worldloop embed`); VAE and transformer \
                 together, to the end"
            }
        }
    }

    /// Returns the name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextEncoderFirst => "text_encoder_first",
            Self::WithoutTextEncoder => "without_text_encoder",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::released_models;
    use crate::memory::Stage;

    fn find(name: &str, gigabytes: u64, change: impl Fn(MemoryRequest) -> MemoryRequest) -> Result<MemoryPlan, String> {
        let model = ReleasedModel::find(name).expect("a released model");
        let request = change(MemoryRequest::released(&model, gigabytes * 1_000_000_000));
        MemoryPlan::find(&model, &request, &Device::flex()).map_err(|refusal| refusal.to_string())
    }

    fn stage(plan: &MemoryPlan, wanted: Stage) -> StageMemory {
        let found = plan.stages.iter().find(|stage| stage.stage == wanted);
        *found.expect("a stage of every run")
    }

    #[test]
    fn less_memory_leaves_the_text_encoder_to_another_machine_until_nothing_fits() {
        let name = "predict2.5-2b/robot/action-cond";
        let all = find(name, 17, |request| request).expect("plenty");
        assert_eq!((all.residency, all.vae_piece), (Residency::TextEncoderFirst, None));
        assert_eq!(all.stages[0].stage, Stage::TextEncoder);
        let without = find(name, 8, |request| request).expect("without the text encoder");
        assert_eq!(without.residency, Residency::WithoutTextEncoder);
        assert!(without.stages.iter().all(|stage| stage.stage != Stage::TextEncoder));
        let refusal = find(name, 3, |request| request).expect_err("the weights alone take 4 GB");
        assert!(
            refusal.contains("are missing") && refusal.contains("VAE in f32"),
            "{refusal}"
        );
    }

    #[test]
    fn vae_and_transformer_are_counted_together() {
        let plan = find("predict2.5-2b/robot/action-cond", 80, |request| request).expect("plenty");
        // 2 bytes for each of 2.127 and 4 for each of 0.127 billion parameters.
        for wanted in [Stage::Load, Stage::TextProjection, Stage::Denoise, Stage::VaeDecode] {
            let weights = stage(&plan, wanted).weights as f64 / 1e9;
            assert!((weights - 4.761).abs() < 0.001, "{wanted}: {weights}");
        }
    }

    #[test]
    fn a_plan_is_not_below_what_was_measured() {
        // A rollout of robot/action-cond in bf16 with 13 frames of 256x320 took 5.00 GB with a tiny VAE, before it decoded.
        let plan = find("predict2.5-2b/robot/action-cond", 80, |request| request).expect("plenty");
        let before_decoding = stage(&plan, Stage::TextProjection)
            .total()
            .max(stage(&plan, Stage::Denoise).total());
        let with_tiny_vae = before_decoding - 507_570_000;
        assert!(
            (5_000_000_000..5_500_000_000).contains(&with_tiny_vae),
            "{with_tiny_vae}"
        );
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
    fn every_model_has_a_plan_on_a_large_device() {
        for model in released_models() {
            let plan = find(model.name, 2000, |request| request).expect("two terabytes");
            assert_eq!(plan.flags(), ["--dtype", "bf16"]);
            assert!(
                plan.stages
                    .iter()
                    .all(|stage| stage.total() + OVERHEAD_BYTES <= plan.peak)
            );
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
