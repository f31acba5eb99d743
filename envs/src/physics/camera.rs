//! Cameras and what they return.

use image::RgbImage;
use rapier3d::math::glamx::{Mat3, Pose3, Quat, Vec3};
use serde::{Deserialize, Serialize};

use crate::pose::Pose;

/// Name of the fixed camera that looks down on the table.
pub const THIRD_PERSON: &str = "third_person";
/// Name of the camera on the wrist.
pub const WRIST: &str = "wrist";

/// Pinhole parameters in pixels; pixel centres lie at half integers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Intrinsics {
    /// Focal length along x.
    pub fx: f32,
    /// Focal length along y.
    pub fy: f32,
    /// Horizontal position of the optical axis.
    pub cx: f32,
    /// Vertical position of the optical axis.
    pub cy: f32,
}

/// Everything that a camera sees at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraFrame {
    /// Colours.
    pub rgb: RgbImage,
    /// Distance along the optical axis in metres through each pixel's centre, row by row; infinite where nothing is.
    pub depth: Vec<f32>,
    /// [`Segment`](super::Segment) number at each pixel's centre, row by row.
    pub segmentation: Vec<u8>,
    /// Pinhole parameters.
    pub intrinsics: Intrinsics,
    /// Where the camera is: x to the right, y down, z forward.
    pub world_from_camera: Pose,
}

/// A camera in the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Camera {
    /// x to the right, y down, z forward.
    pub(super) world_from_camera: Pose3,
    /// Focal length as a multiple of the image height.
    focal: f32,
}

impl Camera {
    /// The fixed camera: opposite the arm, looking down steeply, so that height shows in the image and in shadows.
    pub(super) fn third_person() -> Self {
        Self {
            world_from_camera: look_at(Vec3::new(0.60, 0.0, 0.92), Vec3::new(-0.042, 0.0, 0.0), -Vec3::X),
            focal: 2.45,
        }
    }

    /// The camera on the wrist, in front of the palm, looking at the fingertips.
    pub(super) fn wrist(tool: &Pose3) -> Self {
        let tool_from_camera = look_at(Vec3::new(0.10, 0.0, 0.12), Vec3::new(0.005, 0.0, -0.005), -Vec3::X);
        Self {
            world_from_camera: *tool * tool_from_camera,
            focal: 0.8,
        }
    }

    pub(super) fn intrinsics(&self, width: u32, height: u32) -> Intrinsics {
        let focal = self.focal * height as f32;
        Intrinsics {
            fx: focal,
            fy: focal,
            cx: width as f32 / 2.0,
            cy: height as f32 / 2.0,
        }
    }
}

/// Makes the pose of a camera whose image shows `up` upwards.
fn look_at(eye: Vec3, at: Vec3, up: Vec3) -> Pose3 {
    let forward = (at - eye).normalize();
    let right = forward.cross(up).normalize();
    let down = forward.cross(right);
    Pose3::from_parts(eye, Quat::from_mat3(&Mat3::from_cols(right, down, forward)))
}

/// Turns an engine pose into the contract's.
pub(super) fn pose_of(pose: &Pose3) -> Pose {
    Pose {
        position: pose.translation.to_array(),
        rotation: pose.rotation.to_array(),
    }
}
