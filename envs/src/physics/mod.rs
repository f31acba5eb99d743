//! The table-top world on rapier3d.

mod camera;
mod config;
mod controller;
mod env;
mod gripper;
mod inverse_kinematics;
mod palette;
mod primitive;
pub mod privileged;
mod ray_caster;
mod robot;
mod scene;
mod spaces;
mod tasks;

pub use camera::{CameraFrame, Intrinsics, THIRD_PERSON, WRIST};
pub use config::{PhysicsConfig, Randomization};
pub use controller::{ROTATION_SCALE, TRANSLATION_SCALE};
pub use env::{PhysicsEnv, PhysicsSnapshot};
pub use gripper::{MAX_OPENING, MAX_TILT, MAX_YAW, WORKSPACE_CENTER, WORKSPACE_HALF_EXTENTS};
pub use scene::Segment;
pub use tasks::PhysicsTask;
