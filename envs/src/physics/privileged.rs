//! Ground truth that only the simulator knows, by name.
//!
//! These are the keys of [`Observation::privileged`](crate::Observation::privileged). Positions are in metres in the
//! world frame (x away from the arm's base, y to the left as seen from the base, z up, the table's top at 0).

use std::collections::BTreeMap;

use rapier3d::math::glamx::{Quat, Vec3};

use super::gripper::{MAX_OPENING, roll_pitch_yaw};
use super::scene::Scene;

/// Position of the tool point between the fingertips, 3 numbers in metres.
pub const GRIPPER_POSITION: &str = "gripper_position";
/// Roll, pitch and yaw of the gripper frame in the world, 3 numbers in radians.
pub const GRIPPER_ROTATION: &str = "gripper_rotation";
/// Yaw of the gripper, 1 number in radians.
pub const GRIPPER_YAW: &str = "gripper_yaw";
/// Gap between the fingers, 1 number: 0 closed, 1 open (8 cm).
pub const GRIPPER_OPENING: &str = "gripper_opening";
/// Whether the gripper holds the block, 1 number: 0 or 1. Absent in `reach`.
pub const HELD: &str = "held";
/// Centre of the block, 3 numbers in metres. Absent in `reach`.
pub const BLOCK_POSITION: &str = "block_position";
/// Yaw of the block, 1 number in radians in `[-π/4, π/4]`: the block looks the same after a quarter turn. Absent in
/// `reach`.
pub const BLOCK_YAW: &str = "block_yaw";
/// The point that the task measures to, 3 numbers in metres: centre of the ball, of the zone, of the pad's top.
pub const TARGET_POSITION: &str = "target_position";

pub(super) fn read(scene: &Scene) -> BTreeMap<String, Vec<f32>> {
    let robot = &scene.robot;
    let angles = roll_pitch_yaw(robot.tool.rotation);
    let mut values = BTreeMap::new();
    let mut put = |name: &str, numbers: &[f32]| {
        values.insert(name.to_owned(), numbers.to_vec());
    };
    put(GRIPPER_POSITION, &robot.tool.translation.to_array());
    put(GRIPPER_ROTATION, &angles.to_array());
    put(GRIPPER_YAW, &[angles.z]);
    put(GRIPPER_OPENING, &[robot.opening / MAX_OPENING]);
    put(TARGET_POSITION, &scene.target.to_array());
    if let Some(block) = scene.block_pose() {
        put(BLOCK_POSITION, &block.translation.to_array());
        put(BLOCK_YAW, &[square_yaw(block.rotation)]);
        put(HELD, &[f32::from(u8::from(robot.held.is_some()))]);
    }
    values
}

/// Returns the yaw of a cube, brought into `[-π/4, π/4]` by quarter turns.
fn square_yaw(rotation: Quat) -> f32 {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
    // A cube that has tipped over has another axis along the table; take the one that lies flattest.
    let axes = [rotation * Vec3::X, rotation * Vec3::Y, rotation * Vec3::Z];
    let flattest = axes
        .into_iter()
        .min_by(|a, b| a.z.abs().total_cmp(&b.z.abs()))
        .unwrap_or(Vec3::X);
    let yaw = flattest.truncate().to_angle();
    (yaw + FRAC_PI_4).rem_euclid(FRAC_PI_2) - FRAC_PI_4
}
