//! What the network is told of a motion: each step alone, or also where all steps together lead.
//!
//! Source: `cosmos_predict2/_src/predict2/action/datasets/dataset_local.py@2ff49d0` (`accumulate_action`).
//! Differs: the sum starts at the given frame, not at every fourth one, and stands beside the steps, not in their place;
//! so does the robot's pose in the world, where it is known.

use serde::{Deserialize, Serialize};

use crate::gripper_pose::{GripperPose, POSE_FEATURES, PoseLimits};
use crate::rotation::Rotation;

/// Values of an action that are a motion: three of translation and three of rotation.
const MOTION: usize = 6;

/// Share of a summed motion that the network sees: a chunk goes some way.
const SUM_SCALE: f64 = 0.25;

/// What the network is told of a motion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "one per model, copied now and then")]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionReference {
    /// Each action, seen from the frame before it.
    #[default]
    PreviousFrame,
    /// Also the motion since the given frame, in that frame's axes.
    ///
    /// An action is a translation in the gripper's axes, then `roll, pitch, yaw`, turned about these axes last to first.
    GivenFrame {
        /// Angle of an action's rotation value of 1.
        radians: f64,
    },
    /// Also, beside that motion, the pose in the world to which the actions since an episode's start have brought the
    /// gripper; zeros where the start is not known.
    World(PoseLimits),
}

impl ActionReference {
    /// Returns how many values the network sees of an action of `dimensions` values.
    pub fn network_dimensions(self, dimensions: usize) -> usize {
        match self {
            Self::PreviousFrame => dimensions,
            Self::GivenFrame { .. } => dimensions + MOTION,
            Self::World(_) => dimensions + MOTION + POSE_FEATURES,
        }
    }

    /// Returns the limits of the pose that the network is told, if it is.
    pub fn pose_limits(self) -> Option<PoseLimits> {
        match self {
            Self::World(limits) => Some(limits),
            Self::PreviousFrame | Self::GivenFrame { .. } => None,
        }
    }

    /// Adds what the network is told beside the scaled actions since the given frame, with the pose after each of them.
    pub(super) fn extend(self, actions: &mut [Vec<f32>], poses: &[Option<GripperPose>]) {
        match self {
            Self::PreviousFrame => {}
            Self::GivenFrame { radians } => add_sums(actions, radians),
            Self::World(limits) => {
                add_sums(actions, limits.radians);
                for (action, pose) in actions.iter_mut().zip(poses) {
                    action.extend(limits.features(*pose));
                }
            }
        }
    }

    /// Returns the pose after each of the actions, in the units that the env passes.
    pub(super) fn poses_after(self, pose: Option<GripperPose>, actions: &[Vec<f32>]) -> Vec<Option<GripperPose>> {
        let limits = self.pose_limits();
        let mut pose = pose;
        let after = |action: &Vec<f32>| {
            pose = limits.zip(pose).map(|(limits, pose)| limits.moved(pose, action));
            pose
        };
        actions.iter().map(after).collect()
    }
}

fn add_sums(actions: &mut [Vec<f32>], radians: f64) {
    let mut axes = Rotation::IDENTITY;
    let mut moved = [0.0; 3];
    for action in actions {
        let step: Vec<f64> = action.iter().take(MOTION).map(|&value| f64::from(value)).collect();
        for (moved, part) in moved.iter_mut().zip(axes.apply([step[0], step[1], step[2]])) {
            *moved += part;
        }
        let angles = [3, 4, 5].map(|index| radians * step[index]);
        axes = axes.times(&Rotation::from_angles(angles));
        let turned = axes.rotation_vector().map(|angle| angle / radians);
        let sums = moved.into_iter().chain(turned);
        action.extend(sums.map(|sum| (SUM_SCALE * sum) as f32));
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;

    const QUARTER_TURNS: ActionReference = ActionReference::GivenFrame { radians: FRAC_PI_2 };

    fn extended(actions: &[[f32; 7]]) -> Vec<Vec<f32>> {
        let mut actions: Vec<Vec<f32>> = actions.iter().map(|action| action.to_vec()).collect();
        QUARTER_TURNS.extend(&mut actions, &[]);
        actions
    }

    fn assert_close(found: &[f32], expected: [f32; 6]) {
        let expected = expected.map(|value| value * SUM_SCALE as f32);
        let close = found
            .iter()
            .zip(expected)
            .all(|(found, expected)| (found - expected).abs() < 1e-6);
        assert!(close && found.len() == 6, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn steps_after_a_turn_are_summed_in_the_axes_of_the_given_frame() {
        let forward = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5];
        let turn = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.5];
        let seen = extended(&[forward, turn, forward, forward]);
        assert!(
            seen.iter()
                .zip([forward, turn, forward, forward])
                .all(|(seen, action)| seen[..7] == action)
        );
        assert_close(&seen[0][7..], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_close(&seen[1][7..], [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_close(&seen[3][7..], [1.0, 2.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn an_action_turns_about_its_axes_last_to_first() {
        // Yaw by a quarter turn, then roll by one about the turned x axis: a third of a turn about the diagonal.
        let seen = extended(&[[0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]]);
        let third = 4.0 / 3.0 / 3.0_f32.sqrt();
        assert_close(&seen[0][7..], [0.0, 0.0, 0.0, third, third, third]);
    }

    #[test]
    fn a_turn_and_its_opposite_cancel() {
        let there = [0.0, 0.5, 0.0, 0.0, 0.4, 0.0, 1.0];
        let back = [0.0, 0.0, 0.0, 0.0, -0.4, 0.0, 1.0];
        let again = [0.0, -0.5, 0.0, 0.0, 0.0, 0.0, 1.0];
        assert_close(&extended(&[there, back, again])[2][7..], [0.0; 6]);
    }

    #[test]
    fn the_pose_in_the_world_is_zero_where_it_is_not_known() {
        let limits = PoseLimits {
            meters: 0.1,
            radians: FRAC_PI_2,
            low: [-1.0; 6],
            high: [1.0; 6],
            hand: None,
        };
        let reference = ActionReference::World(limits);
        let step = vec![vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]];
        let extended = |pose| {
            let mut actions = step.clone();
            reference.extend(&mut actions, &reference.poses_after(pose, &step));
            actions
        };
        let (known, unknown) = (
            extended(Some(GripperPose([0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]))),
            extended(None),
        );
        assert_eq!(known[0].len(), reference.network_dimensions(7));
        assert_eq!(known[0][..13], unknown[0][..13]);
        assert!(unknown[0][13..].iter().all(|&value| value == 0.0));
        // Moved by 0.1 to 0.5, which is half of the way to the limit: an eighth of the longest wave.
        let eighth = std::f32::consts::FRAC_1_SQRT_2;
        assert!(known[0][13..15].iter().all(|value| (value - eighth).abs() < 1e-6));
    }

    #[test]
    fn released_models_see_each_step_alone() {
        let mut actions = vec![vec![1.0; 7]];
        ActionReference::default().extend(&mut actions, &[]);
        assert_eq!(actions, [vec![1.0; 7]]);
        assert_eq!(ActionReference::default().network_dimensions(7), 7);
        assert_eq!(QUARTER_TURNS.network_dimensions(7), 13);
    }
}
