//! What the network sees of a chunk's actions.

use serde::{Deserialize, Serialize};

use crate::world_model::WorldModelSpec;

/// Values of an action that moves and turns a gripper: three of translation, three of rotation, the gripper.
pub(super) const MOTION_VALUES: usize = 7;

/// What the network sees of a chunk's actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionInput {
    /// Each action times the scale of its dimensions, as the released models do.
    #[default]
    Each,
    /// Where each action leads from the chunk's start: the motions composed into one pose, and the gripper.
    ///
    /// A small network need not learn to add up rotations and translations. Actions are `delta_x`, `delta_y`, `delta_z`,
    /// `delta_roll`, `delta_pitch`, `delta_yaw` in the gripper's own frame, then the gripper. Each action moves first and
    /// then turns, by yaw, pitch and roll. The scale of a dimension is applied at the end.
    PoseFromStart {
        /// Rotation of an action value of 1, in radians.
        radians: f32,
    },
}

impl ActionInput {
    /// Returns what the network sees, action after action; `actions` begin where the chunk does.
    pub(super) fn encode(self, actions: &[Vec<f32>], spec: &WorldModelSpec) -> Vec<f32> {
        let scaled = |action: &[f32]| -> Vec<f32> {
            let dimensions = action.iter().zip(&spec.action);
            dimensions.map(|(value, dimension)| value * dimension.scale).collect()
        };
        match self {
            Self::Each => actions.iter().flat_map(|action| scaled(action)).collect(),
            Self::PoseFromStart { radians } => poses(actions, radians).iter().flat_map(|pose| scaled(pose)).collect(),
        }
    }
}

/// Composes motions: translation in action units, rotation as roll, pitch and yaw in radians, and the gripper.
fn poses(actions: &[Vec<f32>], radians: f32) -> Vec<[f32; MOTION_VALUES]> {
    let mut position = [0.0_f32; 3];
    let mut rotation = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    let next = |action: &Vec<f32>| {
        let moved: [f32; 3] = std::array::from_fn(|row| (0..3).map(|column| rotation[row][column] * action[column]).sum());
        position = std::array::from_fn(|axis| position[axis] + moved[axis]);
        let turn = turn(std::array::from_fn(|axis| action[3 + axis] * radians));
        rotation = product(&rotation, &turn);
        let [x, y, z] = position;
        let [roll, pitch, yaw] = roll_pitch_yaw(&rotation);
        [x, y, z, roll, pitch, yaw, action[6]]
    };
    actions.iter().map(next).collect()
}

type Rotation = [[f32; 3]; 3];

/// Returns the rotation by yaw, then pitch, then roll, each about the axis that the one before has turned.
fn turn([roll, pitch, yaw]: [f32; 3]) -> Rotation {
    let ((sr, cr), (sp, cp), (sy, cy)) = (roll.sin_cos(), pitch.sin_cos(), yaw.sin_cos());
    [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
}

fn roll_pitch_yaw(rotation: &Rotation) -> [f32; 3] {
    let pitch = (-rotation[2][0]).clamp(-1.0, 1.0).asin();
    [
        rotation[2][1].atan2(rotation[2][2]),
        pitch,
        rotation[1][0].atan2(rotation[0][0]),
    ]
}

fn product(left: &Rotation, right: &Rotation) -> Rotation {
    std::array::from_fn(|row| {
        std::array::from_fn(|column| (0..3).map(|inner| left[row][inner] * right[inner][column]).sum())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: f32 = std::f32::consts::FRAC_PI_2;

    fn motion(index: usize, value: f32) -> Vec<f32> {
        let mut action = vec![0.0; MOTION_VALUES];
        action[index] = value;
        action[6] = 0.3;
        action
    }

    fn assert_near(found: &[f32], expected: [f32; MOTION_VALUES]) {
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near, "{found:?} is not {expected:?}");
    }

    #[test]
    fn motions_add_up_in_the_frame_that_turned_with_the_gripper() {
        let actions = [motion(0, 1.0), motion(5, 1.0), motion(0, 1.0), motion(1, 0.5)];
        let poses = poses(&actions, QUARTER);
        assert_near(&poses[0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3]);
        assert_near(&poses[1], [1.0, 0.0, 0.0, 0.0, 0.0, QUARTER, 0.3]);
        assert_near(&poses[2], [1.0, 1.0, 0.0, 0.0, 0.0, QUARTER, 0.3]);
        assert_near(&poses[3], [0.5, 1.0, 0.0, 0.0, 0.0, QUARTER, 0.3]);
    }

    #[test]
    fn angles_come_back_from_the_rotation_they_make() {
        let angles = [0.3, -0.4, 0.5];
        let found = roll_pitch_yaw(&turn(angles));
        assert!(found.iter().zip(angles).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }
}
