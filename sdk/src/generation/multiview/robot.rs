//! Three cameras of a robot: the pictures that their views start from, and the poses that they follow.
//!
//! Source: `cosmos_predict2/robot_multiview.py@c6bfc99` (`load_agibot_camera_fn`, `TextImageCameraDataset`).
//! Differs: any size that the network takes, for which the intrinsics are scaled as upstream scales them for 704x1280.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use worldloop_world_model::camera::{PinholeCamera, PosePrecision, plucker_tokens};

use super::camera_file::read_rows;
use super::error::MultiviewError;
use crate::generation::error::GenerationError;
use crate::generation::frame_source::{check_input, cover_rounded, read_image};
use crate::generation::generator::Videos;
use crate::generation::plan::GenerationPlan;

/// Numbers of a ray.
pub(super) const RAY_NUMBERS: usize = 6;

/// Height and width that the files' intrinsics are for.
const FILE_SIZE_PX: [f64; 2] = [432.0, 768.0];

/// Precision of poses and intrinsics in the released pipeline.
const PRECISION: PosePrecision = PosePrecision::Bfloat16;

/// A camera of the robot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RobotCamera {
    /// On the head.
    Head,
    /// On the first hand.
    Hand0,
    /// On the second hand.
    Hand1,
}

/// The files of one sample: `input_images/{index}_{camera}.png`, `cameras/{index}_extrinsic_{camera}.txt` and
/// `cameras/{index}_intrinsic_{camera}.txt`, in the folder or in `base/` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RobotInputs {
    /// Folder of the files.
    pub input_root: PathBuf,
    /// Which sample of the folder.
    pub index: usize,
}

impl RobotCamera {
    /// The cameras in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Head, Self::Hand0, Self::Hand1];

    /// The cameras in the order of the network's time axis.
    pub const ON_TIME_AXIS: [Self; 3] = [Self::Hand0, Self::Head, Self::Hand1];

    /// Returns the name in the names of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Hand0 => "hand_0",
            Self::Hand1 => "hand_1",
        }
    }
}

impl RobotInputs {
    /// Checks that the pictures are there, and reads the cameras.
    pub(super) fn check(&self, plan: &GenerationPlan) -> Result<(), GenerationError> {
        for camera in RobotCamera::ALL {
            check_input(&self.picture(camera))?;
            self.cameras(camera, plan)?;
        }
        Ok(())
    }

    /// Reads the frame that every view starts from.
    pub(super) fn read(&self, plan: &GenerationPlan) -> Result<Videos, GenerationError> {
        let read = |camera| Ok(vec![cover_rounded(&read_image(&self.picture(camera))?, plan.size)]);
        RobotCamera::ON_TIME_AXIS.into_iter().map(read).collect()
    }

    /// Computes the rays of all views.
    ///
    /// # Shapes
    /// - output: `[1, 3 * latent_frames, rows, columns, numbers]`, one row and column per patch
    pub(super) fn rays(&self, plan: &GenerationPlan, device: &Device) -> Result<Tensor<5>, GenerationError> {
        let mut views = Vec::new();
        for camera in RobotCamera::ON_TIME_AXIS {
            let cameras = self.cameras(camera, plan)?;
            let rays = plucker_tokens(&cameras, plan.size, plan.patch_px, PRECISION, device);
            views.push(rays.map_err(|source| MultiviewError::Camera {
                path: self.extrinsics(camera),
                source,
            })?);
        }
        Ok(Tensor::cat(views, 0).unsqueeze())
    }

    /// Reads the poses and intrinsics of a camera, one for each latent frame.
    fn cameras(&self, camera: RobotCamera, plan: &GenerationPlan) -> Result<Vec<PinholeCamera>, GenerationError> {
        let count = plan.latent_frames;
        let path = self.extrinsics(camera);
        let poses = read_rows::<12>(&path, count, "the rows of [R | t], from camera to world")?;
        let name = camera.name();
        let intrinsics = self.file(&format!("cameras/{}_intrinsic_{name}.txt", self.index));
        let intrinsics = read_rows::<4>(&intrinsics, count, "fx, fy, cx and cy, in pixels of 768x432")?;
        let mut cameras = Vec::new();
        for (index, (pose, intrinsics)) in poses.into_iter().zip(intrinsics).enumerate() {
            let pose = pose.map(|value| PRECISION.round(value) as f32);
            let rows = std::array::from_fn(|row| std::array::from_fn(|column| pose[4 * row + column]));
            let camera = PinholeCamera::from_pose(scaled(intrinsics, plan.size), rows, PRECISION);
            camera.validate(index).map_err(|source| MultiviewError::Camera {
                path: path.clone(),
                source,
            })?;
            cameras.push(camera);
        }
        Ok(cameras)
    }

    fn picture(&self, camera: RobotCamera) -> PathBuf {
        self.file(&format!("input_images/{}_{}.png", self.index, camera.name()))
    }

    fn extrinsics(&self, camera: RobotCamera) -> PathBuf {
        self.file(&format!("cameras/{}_extrinsic_{}.txt", self.index, camera.name()))
    }

    fn file(&self, name: &str) -> PathBuf {
        let base = self.input_root.join("base");
        if base.is_dir() {
            base.join(name)
        } else {
            self.input_root.join(name)
        }
    }
}

/// Scales focal lengths and principal point to a size, in the files' precision.
fn scaled([fx, fy, cx, cy]: [f64; 4], size: [usize; 2]) -> [f32; 4] {
    let [down, across] = std::array::from_fn(|axis| size[axis] as f64 / FILE_SIZE_PX[axis]);
    let scale = |value: f64, factor: f64| PRECISION.round(PRECISION.round(value) * factor) as f32;
    [scale(fx, across), scale(fy, down), scale(cx, across), scale(cy, down)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intrinsics_are_rounded_before_and_after_they_are_scaled() {
        // 1001 is 1000 in bfloat16, and 1000 * 1280 / 768 = 1666.7 is 1664.
        assert_eq!(
            scaled([1001.0, 853.3, 384.0, 216.0], [704, 1280]),
            [1664.0, 1392.0, 640.0, 352.0]
        );
        // The files' own size only rounds: 853.3 is 852.
        assert_eq!(
            scaled([1001.0, 853.3, 384.0, 216.0], [432, 768]),
            [1000.0, 852.0, 384.0, 216.0]
        );
    }

    #[test]
    fn hands_stand_around_the_head_on_the_time_axis() {
        let names = RobotCamera::ON_TIME_AXIS.map(RobotCamera::name);
        assert_eq!(names, ["hand_0", "head", "hand_1"]);
        assert_eq!(RobotCamera::ALL.map(RobotCamera::name), ["head", "hand_0", "hand_1"]);
    }
}
