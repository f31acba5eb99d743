//! Shape and limits of the gripper.
//!
//! The tool frame sits between the fingertips: x forward, y the direction in which the fingers open, z up along the
//! wrist. All lengths are in metres.

use rapier3d::math::glamx::{EulerRot, Pose3, Quat, Vec3};

/// Gap between the fingers when fully open.
pub const MAX_OPENING: f32 = 0.08;
/// Half extents of the box in which the tool point moves, centred on [`WORKSPACE_CENTER`].
pub const WORKSPACE_HALF_EXTENTS: [f32; 3] = [0.17, 0.17, 0.085];
/// Centre of the box in which the tool point moves.
pub const WORKSPACE_CENTER: [f32; 3] = [0.0, 0.0, 0.10];
/// Largest yaw in either direction, in radians.
pub const MAX_YAW: f32 = 0.9;
/// Largest roll and pitch in either direction, in radians.
pub const MAX_TILT: f32 = 0.3;

/// Half extents of one finger.
pub(super) const FINGER_HALF: Vec3 = Vec3::new(0.014, 0.008, 0.040);
/// Height of the finger's centre above the tool point: the finger ends 11 mm below it.
pub(super) const FINGER_CENTER_Z: f32 = 0.029;
/// Half extents of the palm.
pub(super) const PALM_HALF: Vec3 = Vec3::new(0.018, 0.054, 0.013);
/// Height of the palm's centre above the tool point.
pub(super) const PALM_CENTER_Z: f32 = 0.082;
/// Height of the wrist, where the forearm ends, above the tool point.
pub(super) const WRIST_Z: f32 = 0.150;

/// The parts of the hand that collide, in the tool frame: left finger, right finger, palm.
pub(super) fn hand_parts(opening: f32) -> [(Pose3, Vec3); 3] {
    let offset = opening / 2.0 + FINGER_HALF.y;
    [
        (Pose3::translation(0.0, offset, FINGER_CENTER_Z), FINGER_HALF),
        (Pose3::translation(0.0, -offset, FINGER_CENTER_Z), FINGER_HALF),
        (Pose3::translation(0.0, 0.0, PALM_CENTER_Z), PALM_HALF),
    ]
}

/// Returns roll, pitch and yaw of a rotation, in radians.
pub(super) fn roll_pitch_yaw(rotation: Quat) -> Vec3 {
    let (yaw, pitch, roll) = rotation.to_euler(EulerRot::ZYX);
    Vec3::new(roll, pitch, yaw)
}

/// Makes a rotation from roll, pitch and yaw in radians.
pub(super) fn rotation_from(roll_pitch_yaw: Vec3) -> Quat {
    Quat::from_euler(EulerRot::ZYX, roll_pitch_yaw.z, roll_pitch_yaw.y, roll_pitch_yaw.x)
}

/// Brings a tool pose back into the workspace and the orientation limits.
pub(super) fn limit_pose(pose: &Pose3) -> Pose3 {
    let center = Vec3::from_array(WORKSPACE_CENTER);
    let half = Vec3::from_array(WORKSPACE_HALF_EXTENTS);
    let limit = Vec3::new(MAX_TILT, MAX_TILT, MAX_YAW);
    let angles = roll_pitch_yaw(pose.rotation).clamp(-limit, limit);
    Pose3::from_parts(
        pose.translation.clamp(center - half, center + half),
        rotation_from(angles),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_survive_the_round_trip() {
        let angles = Vec3::new(0.2, -0.1, 0.7);
        assert!(roll_pitch_yaw(rotation_from(angles)).abs_diff_eq(angles, 1e-5));
    }

    #[test]
    fn limited_pose_is_inside_the_limits() {
        let pose = Pose3::from_parts(Vec3::new(1.0, -1.0, -1.0), rotation_from(Vec3::new(0.8, -0.8, 1.4)));
        let limited = limit_pose(&pose);
        assert!(limited.translation.abs_diff_eq(Vec3::new(0.17, -0.17, 0.015), 1e-6));
        assert!(roll_pitch_yaw(limited.rotation).abs_diff_eq(Vec3::new(0.3, -0.3, 0.9), 1e-4));
    }
}
