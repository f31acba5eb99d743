//! Family `ref_dit_camera`: NVIDIA's transformer for moving cameras, and the rays that it reads.

use std::error::Error;

use burn::tensor::{Device, Tensor};
use worldloop::world_model::camera::{PinholeCamera, PosePrecision, plucker_tokens};
use worldloop_tests::{Array, Case, Checks, Tolerance};

use crate::plucker::{intrinsics_rows, pose_rows};
use crate::ref_dit::compare_velocities;
use crate::runner::{CaseResult, Outcome};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    if case.has("in.c2w_rows") {
        compare_rays(case, checks, device)?;
        return Ok(Outcome::Compared);
    }
    let class: String = case.field(&case.config, "class")?;
    if class != "CameraMiniTrainDITwithConditionalMask" {
        return Ok(Outcome::OutOfScope(format!("its class is {class}")));
    }
    compare_velocities(case, checks, device)?;
    Ok(Outcome::Compared)
}

fn compare_rays(case: &Case, checks: &mut Checks<'_>, device: &Device) -> Result<(), Box<dyn Error>> {
    let image_size: [usize; 2] = case.field(&case.config, "image_size")?;
    let patch: usize = case.field(&case.config, "patch_spatial")?;
    let poses = pose_rows(case.array("in.c2w_rows")?);
    let intrinsics = intrinsics_rows(case.array("in.intrinsics_fx_fy_cx_cy")?);
    let tokens = |precision: PosePrecision| -> Result<(Vec<PinholeCamera>, Tensor<4>), Box<dyn Error>> {
        let cameras: Vec<PinholeCamera> = intrinsics
            .iter()
            .zip(&poses)
            .map(|(intrinsics, pose)| PinholeCamera::from_pose(*intrinsics, *pose, precision))
            .collect();
        let tokens = plucker_tokens(&cameras, image_size, patch, precision, device)?;
        Ok((cameras, tokens))
    };

    let (cameras, exact) = tokens(PosePrecision::Float32)?;
    let rows = cameras.iter().flat_map(|camera| camera.camera_from_world);
    let inverted = Array {
        shape: vec![cameras.len(), 3, 4],
        values: rows.flatten().map(f64::from).collect(),
    };
    checks.compare("out.w2c", &inverted)?;
    checks.compare("out.plucker_f32", &Array::from_tensor(&exact))?;

    let stated = &case.description["tolerance_bf16"];
    let tolerance = Tolerance {
        max_abs: case.field(stated, "max_abs")?,
        mean_abs: case.field(stated, "mean_abs")?,
    };
    let (_, rounded) = tokens(PosePrecision::Bfloat16)?;
    checks.compare_within("out.plucker_bf16", &Array::from_tensor(&rounded), tolerance)?;
    Ok(())
}
