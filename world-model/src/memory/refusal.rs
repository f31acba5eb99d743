//! Why a model does not fit a device, and the largest choice that does.

use burn::tensor::Device;

use super::plan::{MemoryPlan, MemoryRequest, SIDE_STEP};
use super::run::Run;
use super::stage::{Precision, Stage, StageMemory};
use crate::catalog::released_models;

/// Parts of height and width that are tried, as numerator and denominator.
const PARTS: [[usize; 2]; 5] = [[1, 1], [3, 4], [1, 2], [3, 8], [1, 4]];

/// Fewest frames that are advised: a clip of one frame is no use to a model that continues one.
const FEWEST_FRAMES: usize = 5;

/// Why a model does not fit a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{model} does not fit: with the transformer in {precision} and the VAE in f32, the stage `{stage}` takes it to {}, there \
     are {}, {} are missing; {advice}",
    gigabytes(*needed),
    gigabytes(*available),
    gigabytes(needed.saturating_sub(*available))
)]
pub struct MemoryRefusal {
    /// The model.
    pub model: &'static str,
    /// The stage that needs most.
    pub stage: Stage,
    /// Precision of the transformer.
    pub precision: Precision,
    /// Bytes at the peak of the smallest way there is.
    pub needed: u64,
    /// Bytes of the device.
    pub available: u64,
    /// The next smaller choice.
    pub advice: String,
}

impl MemoryRefusal {
    pub(super) fn new(run: &Run<'_>, request: &MemoryRequest, smallest: &MemoryPlan, device: &Device) -> Self {
        let widest = smallest.stages.iter().max_by_key(|stage| StageMemory::total(stage));
        Self {
            model: run.model.name,
            stage: widest.map_or(Stage::Denoise, |stage| stage.stage),
            precision: smallest.precision,
            needed: smallest.peak,
            available: request.device_bytes,
            advice: advice(run, request, device),
        }
    }
}

/// Names the largest smaller choice that fits.
fn advice(run: &Run<'_>, request: &MemoryRequest, device: &Device) -> String {
    let precision = Some(Precision::Bf16);
    let bf16 = MemoryRequest { precision, ..*request };
    let dtype = match request.precision {
        Some(Precision::F32) => " --dtype bf16",
        _ => "",
    };
    if let Some(found) = largest(run, &bf16) {
        let frames = match found.frames {
            frames if frames == request.frames => String::new(),
            frames => format!(" --frames {frames}"),
        };
        let size = match found.size_px {
            size if size == request.size_px => String::new(),
            [height, width] => format!(" --size {height},{width}"),
        };
        return format!("it fits with{frames}{size}{dtype}");
    }
    if let Some(name) = run.model.name.strip_prefix("predict2.5-14b/") {
        let name = format!("predict2.5-2b/{name}");
        let smaller = released_models().into_iter().find(|other| other.name == name);
        if smaller.is_some_and(|smaller| fits(&Run::new(&smaller, device), &bf16)) {
            return format!("{name} fits");
        }
    }
    "no shorter and smaller clip fits either: take a device with more memory, or the CPU".to_owned()
}

/// Returns the request of most pixels that fits, of the same or fewer frames of the same or smaller sides.
fn largest(run: &Run<'_>, request: &MemoryRequest) -> Option<MemoryRequest> {
    let fitting = PARTS.iter().filter_map(|[numerator, denominator]| {
        let part = |side: usize| side * numerator / denominator / SIDE_STEP * SIDE_STEP;
        let sized = MemoryRequest {
            size_px: request.size_px.map(part),
            ..*request
        };
        let fewest = FEWEST_FRAMES.min(request.frames);
        let mut shorter = (fewest..request.frames + 1)
            .step_by(4)
            .rev()
            .map(|frames| MemoryRequest { frames, ..sized });
        shorter.find(|shorter| shorter.problem().is_none() && fits(run, shorter))
    });
    fitting.max_by_key(|found| found.frames * found.size_px.iter().product::<usize>())
}

fn fits(run: &Run<'_>, request: &MemoryRequest) -> bool {
    let ways = MemoryPlan::ways(run, request);
    ways.iter().any(|way| way.peak <= request.device_bytes)
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ReleasedModel;

    fn refusal(name: &str, gigabytes: u64, precision: Option<Precision>) -> String {
        let model = ReleasedModel::find(name).expect("a released model");
        let request = MemoryRequest {
            precision,
            ..MemoryRequest::released(&model, gigabytes * 1_000_000_000)
        };
        let refusal = MemoryPlan::find(&model, &request, &Device::flex()).expect_err("too small");
        refusal.to_string()
    }

    #[test]
    fn half_the_precision_is_named_where_it_is_enough() {
        let message = refusal("predict2.5-2b/robot/action-cond", 8, Some(Precision::F32));
        assert!(message.ends_with("it fits with --dtype bf16"), "{message}");
    }

    #[test]
    fn what_is_advised_fits() {
        for (name, gigabytes) in [
            ("predict2.5-2b/post-trained", 6),
            ("predict2.5-2b/post-trained", 8),
            ("predict2.5-2b/auto/multiview", 10),
            ("predict2.5-2b/robot/multiview-agibot", 7),
        ] {
            let message = refusal(name, gigabytes, None);
            let flag = |name: &str| {
                let after = message.split_once(name).map(|(_, after)| after.trim_start());
                after.map(|after| after.split(' ').next().unwrap_or_default().to_owned())
            };
            let model = ReleasedModel::find(name).expect("a released model");
            let mut request = MemoryRequest::released(&model, gigabytes * 1_000_000_000);
            if let Some(frames) = flag("--frames") {
                request.frames = frames.parse().expect("a number");
            }
            if let Some(size) = flag("--size") {
                let (height, width) = size.split_once(',').expect("two numbers");
                request.size_px = [height, width].map(|side| side.parse().expect("a number"));
            }
            assert!(
                request != MemoryRequest::released(&model, request.device_bytes),
                "{message}"
            );
            assert!(
                MemoryPlan::find(&model, &request, &Device::flex()).is_ok(),
                "{name}: {message}"
            );
        }
    }

    #[test]
    fn weights_that_are_too_large_are_no_matter_of_frames() {
        let message = refusal("predict2.5-14b/post-trained", 16, None);
        assert!(!message.contains("--frames"), "{message}");
    }
}
