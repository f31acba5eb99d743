//! Family `wan_vae`: diffusers' `AutoencoderKLWan`.

use std::error::Error;

use burn::tensor::Device;
use serde_json::Value;
use worldloop::world_model::checkpoint::{CheckpointSource, KeyMap, load_into};
use worldloop::world_model::vae::{WanVae, WanVaeConfig};
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::runner::{CaseResult, Outcome};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let base_dim = case.field(&case.config, "base_dim")?;
    let vae = load(case, &config(case, &case.config, base_dim)?, device)?;

    // A case has one clip (`in.video`, `out.mean`), or several (`in.video.f13`, `out.f13.mean`).
    for clip in case.names_after("in.video") {
        let output = |name: &str| format!("out{clip}.{name}");
        let posterior = vae.encode(case.array(&format!("in.video{clip}"))?.tensor(device));
        checks.compare(&output("mean"), &Array::from_tensor(&posterior.mean))?;
        checks.compare(&output("logvar"), &Array::from_tensor(&posterior.logvar))?;
        let latent = vae.stats.normalize(posterior.mean);
        checks.compare(&output("latent"), &Array::from_tensor(&latent))?;
        let mean = case.array(&output("mean"))?.tensor(device);
        compare_decoded(case, checks, &output("decoded"), &Array::from_tensor(&vae.decode(mean)))?;
    }
    if case.has("in.latent") {
        let mean = vae.stats.denormalize(case.array("in.latent")?.tensor(device));
        checks.compare("out.mean", &Array::from_tensor(&mean))?;
        compare_decoded(case, checks, "out.decoded", &Array::from_tensor(&vae.decode(mean)))?;
    }
    Ok(Outcome::Compared)
}

fn compare_decoded(case: &Case, checks: &mut Checks<'_>, name: &str, decoded: &Array) -> Result<(), CaseError> {
    checks.compare(name, decoded)?;
    let clamped = format!("{name}_clamped");
    if case.has(&clamped) {
        checks.compare(&clamped, &decoded.map(|value| value.clamp(-1.0, 1.0)))?;
    }
    Ok(())
}

/// Reads a config; diffusers and the original class differ only in the name of the base width.
pub(crate) fn config(case: &Case, json: &Value, base_dim: usize) -> Result<WanVaeConfig, CaseError> {
    Ok(WanVaeConfig::new(
        base_dim,
        case.field(json, "dim_mult")?,
        case.field(json, "z_dim")?,
        case.field(json, "temperal_downsample")?,
        case.field(json, "latents_mean")?,
        case.field(json, "latents_std")?,
    )
    .with_num_res_blocks(case.field(json, "num_res_blocks")?))
}

/// Initialises the network and fills it with the case's weights.
pub(crate) fn load(case: &Case, config: &WanVaeConfig, device: &Device) -> Result<WanVae, Box<dyn Error>> {
    config.validate()?;
    let source = CheckpointSource::open(case.weights("vae")?)?;
    let mut vae = config.init(device);
    load_into(&mut vae, &source, &KeyMap::vae(&source))?;
    Ok(vae)
}
