//! Family `plucker`: rays through the pixels of a camera, and points on its image.

use burn::tensor::Device;
use worldloop::world_model::camera::{PinholeCamera, PosePrecision, Projection, plucker_tokens};
use worldloop_tests::{Array, Case, Checks};

use crate::runner::{CaseResult, Outcome};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let params = &case.description["params"];
    let [height, width]: [usize; 2] = case.field(params, "image_size")?;
    let patch: usize = case.field(params, "patch")?;
    let poses = pose_rows(case.array("in.world_to_camera")?);
    let cameras: Vec<PinholeCamera> = rows::<3>(case.array("in.intrinsics")?)
        .chunks(3)
        .zip(poses)
        .map(|(intrinsics, camera_from_world)| PinholeCamera {
            intrinsics: [intrinsics[0], intrinsics[1], intrinsics[2]],
            camera_from_world,
        })
        .collect();

    let centres = cameras.iter().flat_map(|camera| camera.centre());
    checks.compare("out.camera_centre", &array(&[cameras.len(), 3], centres.map(f64::from)))?;
    let tokens = |patch: usize| plucker_tokens(&cameras, [height, width], patch, PosePrecision::Float32, device);
    checks.compare("out.tokens", &Array::from_tensor(&tokens(patch)?))?;
    // Patches of one pixel are the rays themselves.
    checks.compare("out.rays", &Array::from_tensor(&tokens(1)?))?;

    let points = rows::<3>(case.array("in.world_points")?);
    let seen: Vec<Projection> = cameras
        .iter()
        .flat_map(|camera| points.iter().map(|point| camera.project(*point)))
        .collect();
    let shape = [cameras.len(), points.len()];
    let in_axes = seen.iter().flat_map(|point| point.camera).map(f64::from);
    checks.compare("out.points_camera", &array(&[shape[0], shape[1], 3], in_axes))?;
    let on_image = seen.iter().flat_map(|point| point.pixel).map(f64::from);
    checks.compare("out.points_pixel", &array(&[shape[0], shape[1], 2], on_image))?;
    let in_front = seen.iter().map(|point| f64::from(u8::from(point.in_front)));
    checks.compare("out.points_in_front", &array(&shape, in_front))?;
    Ok(Outcome::Compared)
}

/// Reads rows of `[R | t]`, three per camera.
pub(crate) fn pose_rows(stored: &Array) -> Vec<[[f32; 4]; 3]> {
    rows::<4>(stored)
        .chunks(3)
        .map(|rows| [rows[0], rows[1], rows[2]])
        .collect()
}

/// Reads focal lengths and principal points, one row per camera.
pub(crate) fn intrinsics_rows(stored: &Array) -> Vec<[f32; 4]> {
    rows(stored)
}

fn rows<const N: usize>(stored: &Array) -> Vec<[f32; N]> {
    let rows = stored.values.as_chunks::<N>().0.iter();
    rows.map(|row| row.map(|value| value as f32)).collect()
}

fn array(shape: &[usize], values: impl Iterator<Item = f64>) -> Array {
    Array {
        shape: shape.to_vec(),
        values: values.collect(),
    }
}
