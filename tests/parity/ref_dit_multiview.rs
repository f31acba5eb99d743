//! Family `ref_dit_multiview`: NVIDIA's transformers for several cameras.

use burn::tensor::Device;
use worldloop_tests::{Case, Checks};

use crate::ref_dit::compare_velocities;
use crate::runner::{CaseResult, Outcome};

/// With attention over all views, and with attention of each view to its neighbours.
const CLASSES: [&str; 2] = ["MultiViewDiT", "MultiViewCrossDiT"];

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let class: String = case.field(&case.config, "class")?;
    if !CLASSES.contains(&class.as_str()) {
        return Ok(Outcome::OutOfScope(format!("its class is {class}")));
    }
    compare_velocities(case, checks, device)?;
    Ok(Outcome::Compared)
}
