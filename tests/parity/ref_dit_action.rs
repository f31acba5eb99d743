//! Family `ref_dit_action`: NVIDIA's action-conditioned transformers.

use burn::tensor::Device;
use worldloop_tests::{Case, Checks};

use crate::ref_dit::compare_velocities;
use crate::ref_dit_causal;
use crate::runner::{CaseResult, Outcome};

/// The released class and the older one, which answer for whole clips.
const CLASSES: [&str; 2] = [
    "ActionChunkConditionedMinimalV1LVGDiT",
    "ActionConditionedMinimalV1LVGDiT",
];

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let class: String = case.field(&case.config, "class")?;
    if class == ref_dit_causal::CLASS {
        ref_dit_causal::compare(case, checks, device)?;
        return Ok(Outcome::Compared);
    }
    if !CLASSES.contains(&class.as_str()) {
        return Ok(Outcome::OutOfScope(format!("its class is {class}")));
    }
    compare_velocities(case, checks, device)?;
    Ok(Outcome::Compared)
}
