//! Actions from the states of a robot arm: how the gripper moved, seen from where it was.
//!
//! Source: `cosmos_predict2/action_conditioned.py@687da63` (`get_action_sequence_from_states`) and
//! `cosmos_predict2/_src/predict2/action/datasets/dataset_utils.py` (`euler2rotm`, `rotm2euler`).
//! Differs: rotations by quaternions are left out; upstream, their eight values do not fit its seven scales.

use std::f64::consts::PI;

/// Values of one action: a translation, a rotation and the gripper.
pub const ACTION_DIM: usize = 7;

/// Below this cosine of the pitch, roll and yaw turn about the same axis.
const SINGULAR: f64 = 1e-6;

type Matrix = [[f64; 3]; 3];

/// Returns the actions between neighbouring states, one fewer than there are states.
///
/// A state is `[x, y, z, roll, pitch, yaw]` in metres and radians, with the rotation `Rz(yaw) Ry(pitch) Rx(roll)`. An
/// action is the translation and the rotation from one state to the next in the axes of the earlier one, `[dx, dy, dz,
/// roll, pitch, yaw]` with angles in `(-pi, pi]`, and the gripper value of the later state as it is, not a difference.
///
/// # Panics
/// If there are not as many gripper values as states.
pub fn relative_actions(states: &[[f64; 6]], gripper: &[f64]) -> Vec<[f64; ACTION_DIM]> {
    assert_eq!(states.len(), gripper.len(), "each state has its gripper value");
    let steps = states.windows(2).zip(gripper.iter().skip(1));
    steps
        .map(|(pair, gripper)| {
            let (before, after) = (&pair[0], &pair[1]);
            let axes = transposed(&rotation([before[3], before[4], before[5]]));
            let moved = [after[0] - before[0], after[1] - before[1], after[2] - before[2]];
            let [dx, dy, dz] = axes.map(|axis| axis.iter().zip(moved).map(|(axis, moved)| axis * moved).sum());
            let turned = product(&axes, &rotation([after[3], after[4], after[5]]));
            let [roll, pitch, yaw] = euler_angles(&turned);
            [dx, dy, dz, roll, pitch, yaw, *gripper]
        })
        .collect()
}

/// Returns `Rz(yaw) Ry(pitch) Rx(roll)`.
fn rotation([roll, pitch, yaw]: [f64; 3]) -> Matrix {
    let ((sin_r, cos_r), (sin_p, cos_p), (sin_y, cos_y)) = (roll.sin_cos(), pitch.sin_cos(), yaw.sin_cos());
    let about_x = [[1.0, 0.0, 0.0], [0.0, cos_r, -sin_r], [0.0, sin_r, cos_r]];
    let about_y = [[cos_p, 0.0, sin_p], [0.0, 1.0, 0.0], [-sin_p, 0.0, cos_p]];
    let about_z = [[cos_y, -sin_y, 0.0], [sin_y, cos_y, 0.0], [0.0, 0.0, 1.0]];
    product(&about_z, &product(&about_y, &about_x))
}

/// Returns roll, pitch and yaw of a rotation; where roll and yaw can't be told apart, yaw is 0.
fn euler_angles(rotation: &Matrix) -> [f64; 3] {
    let [[r00, _, _], [r10, r11, r12], [r20, r21, r22]] = *rotation;
    let cos_pitch = r00.hypot(r10);
    let pitch = (-r20).atan2(cos_pitch);
    let angles = if cos_pitch < SINGULAR {
        [(-r12).atan2(r11), pitch, 0.0]
    } else {
        [r21.atan2(r22), pitch, r10.atan2(r00)]
    };
    // The arc tangent can answer -pi, which is pi here.
    angles.map(|angle| if angle <= -PI { angle + 2.0 * PI } else { angle })
}

fn transposed(matrix: &Matrix) -> Matrix {
    std::array::from_fn(|row| std::array::from_fn(|column| matrix[column][row]))
}

fn product(left: &Matrix, right: &Matrix) -> Matrix {
    let entry = |row: usize, column: usize| (0..3).map(|inner| left[row][inner] * right[inner][column]).sum();
    std::array::from_fn(|row| std::array::from_fn(|column| entry(row, column)))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;

    fn assert_action(before: [f64; 6], after: [f64; 6], expected: [f64; 6]) {
        let found = relative_actions(&[before, after], &[0.25, 0.75]);
        assert_eq!(found.len(), 1);
        let close = found[0]
            .iter()
            .zip(expected)
            .all(|(found, expected)| (found - expected).abs() < 1e-12);
        assert!(
            close,
            "from {before:?} to {after:?}: {:?}, expected {expected:?}",
            found[0]
        );
        assert_eq!(found[0][6], 0.75, "the gripper of the later state, as it is");
    }

    #[test]
    fn motions_are_seen_from_the_axes_of_the_earlier_state() {
        // The gripper points along the world's y; a step along y is one straight ahead.
        let before = [1.0, 2.0, 3.0, 0.0, 0.0, FRAC_PI_2];
        assert_action(
            before,
            [1.0, 2.5, 3.0, 0.0, 0.0, FRAC_PI_2],
            [0.5, 0.0, 0.0, 0.0, 0.0, 0.0],
        );
        assert_action(
            before,
            [1.5, 2.0, 3.0, 0.0, 0.0, FRAC_PI_2],
            [0.0, -0.5, 0.0, 0.0, 0.0, 0.0],
        );
        // Rolled by a quarter turn, the world's z is the gripper's y.
        let before = [0.0, 0.0, 0.0, FRAC_PI_2, 0.0, 0.0];
        assert_action(
            before,
            [0.0, 0.0, 0.5, FRAC_PI_2, 0.0, 0.0],
            [0.0, 0.5, 0.0, 0.0, 0.0, 0.0],
        );
        // A turn about the world's z is then one about the gripper's y.
        assert_action(
            before,
            [0.0, 0.0, 0.0, FRAC_PI_2, 0.0, 0.3],
            [0.0, 0.0, 0.0, 0.0, 0.3, 0.0],
        );
    }

    #[test]
    fn rotations_are_yaw_after_pitch_after_roll() {
        // From rest, the angles of the next state are those of the action.
        assert_action(
            [0.0; 6],
            [0.0, 0.0, 0.0, 0.1, -0.2, 0.3],
            [0.0, 0.0, 0.0, 0.1, -0.2, 0.3],
        );
        // Rz(90) Ry(90) maps x to -z, y to -x and z to y: written out by hand.
        let found = rotation([0.0, FRAC_PI_2, FRAC_PI_2]);
        let expected = [[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]];
        for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
        }
    }

    #[test]
    fn straight_up_has_no_yaw_and_half_a_turn_is_pi() {
        assert_action(
            [0.0; 6],
            [0.0, 0.0, 0.0, 0.0, FRAC_PI_2, 0.0],
            [0.0, 0.0, 0.0, 0.0, FRAC_PI_2, 0.0],
        );
        // With the pitch at a quarter turn, a yaw of 0.4 is a roll of -0.4.
        assert_action(
            [0.0; 6],
            [0.0, 0.0, 0.0, 0.0, FRAC_PI_2, 0.4],
            [0.0, 0.0, 0.0, -0.4, FRAC_PI_2, 0.0],
        );
        assert_action([0.0; 6], [0.0, 0.0, 0.0, -PI, 0.0, 0.0], [0.0, 0.0, 0.0, PI, 0.0, 0.0]);
        // A small turn across the border of the angles is small.
        let before = [0.0, 0.0, 0.0, PI - 0.01, 0.0, 0.0];
        assert_action(
            before,
            [0.0, 0.0, 0.0, -PI + 0.01, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.02, 0.0, 0.0],
        );
    }

    #[test]
    fn one_state_is_no_action() {
        assert!(relative_actions(&[[0.0; 6]], &[1.0]).is_empty());
        assert!(relative_actions(&[], &[]).is_empty());
    }
}
