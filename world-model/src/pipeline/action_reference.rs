//! What the network is told of a motion: each step alone, or also where all steps together lead.
//!
//! Source: `cosmos_predict2/_src/predict2/action/datasets/dataset_local.py@2ff49d0` (`accumulate_action`).
//! Differs: the sum starts at the given frame, not at every fourth one, and stands beside the steps, not in their place.

use serde::{Deserialize, Serialize};

/// Values of an action that are a motion: three of translation and three of rotation.
const MOTION: usize = 6;

/// Share of a summed motion that the network sees: a chunk goes some way.
const SUM_SCALE: f64 = 0.25;

type Matrix = [[f64; 3]; 3];

/// What the network is told of a motion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
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
}

impl ActionReference {
    /// Returns how many values the network sees of an action of `dimensions` values.
    pub fn network_dimensions(self, dimensions: usize) -> usize {
        match self {
            Self::PreviousFrame => dimensions,
            Self::GivenFrame { .. } => dimensions + MOTION,
        }
    }

    /// Adds what the network is told beside the actions since the given frame.
    pub(super) fn extend(self, actions: &mut [Vec<f32>]) {
        let Self::GivenFrame { radians } = self else { return };
        let mut axes = IDENTITY;
        let mut moved = [0.0; 3];
        for action in actions {
            let step: Vec<f64> = action.iter().take(MOTION).map(|&value| f64::from(value)).collect();
            for (row, moved) in axes.iter().zip(&mut moved) {
                *moved += row.iter().zip(&step).map(|(axis, step)| axis * step).sum::<f64>();
            }
            let [roll, pitch, yaw] = [3, 4, 5].map(|index| radians * step[index]);
            axes = product(&axes, &rotation(roll, pitch, yaw));
            let turned = rotation_vector(&axes).map(|angle| angle / radians);
            let sums = moved.into_iter().chain(turned);
            action.extend(sums.map(|sum| (SUM_SCALE * sum) as f32));
        }
    }
}

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Returns `Rz(yaw) Ry(pitch) Rx(roll)`.
fn rotation(roll: f64, pitch: f64, yaw: f64) -> Matrix {
    let ((sin_r, cos_r), (sin_p, cos_p), (sin_y, cos_y)) = (roll.sin_cos(), pitch.sin_cos(), yaw.sin_cos());
    let about_x = [[1.0, 0.0, 0.0], [0.0, cos_r, -sin_r], [0.0, sin_r, cos_r]];
    let about_y = [[cos_p, 0.0, sin_p], [0.0, 1.0, 0.0], [-sin_p, 0.0, cos_p]];
    let about_z = [[cos_y, -sin_y, 0.0], [sin_y, cos_y, 0.0], [0.0, 0.0, 1.0]];
    product(&about_z, &product(&about_y, &about_x))
}

fn product(left: &Matrix, right: &Matrix) -> Matrix {
    let entry = |row: usize, column: usize| (0..3).map(|inner| left[row][inner] * right[inner][column]).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| entry(row, column)))
}

/// Returns the axis of a rotation, as long as its angle.
fn rotation_vector(rotation: &Matrix) -> [f64; 3] {
    let [[r00, r01, r02], [r10, r11, r12], [r20, r21, r22]] = *rotation;
    let doubled_axis = [r21 - r12, r02 - r20, r10 - r01];
    let doubled_sine = doubled_axis.iter().map(|value| value * value).sum::<f64>().sqrt();
    let angle = doubled_sine.atan2(r00 + r11 + r22 - 1.0);
    let factor = if doubled_sine < 1e-9 { 0.5 } else { angle / doubled_sine };
    doubled_axis.map(|value| factor * value)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;

    const QUARTER_TURNS: ActionReference = ActionReference::GivenFrame { radians: FRAC_PI_2 };

    fn extended(actions: &[[f32; 7]]) -> Vec<Vec<f32>> {
        let mut actions: Vec<Vec<f32>> = actions.iter().map(|action| action.to_vec()).collect();
        QUARTER_TURNS.extend(&mut actions);
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
    fn released_models_see_each_step_alone() {
        let mut actions = vec![vec![1.0; 7]];
        ActionReference::default().extend(&mut actions);
        assert_eq!(actions, [vec![1.0; 7]]);
        assert_eq!(ActionReference::default().network_dimensions(7), 7);
        assert_eq!(QUARTER_TURNS.network_dimensions(7), 13);
    }
}
