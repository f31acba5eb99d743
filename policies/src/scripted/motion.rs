//! From a wanted motion in the world to an action in the gripper's frame.

use worldloop_envs::{Action, ContinuousSpace};

use super::situation::Situation;

/// What the gripper should do next, regardless of how much of it one step can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Motion {
    /// Way that is left for the tool point, in metres in the world frame.
    pub(super) way: [f32; 3],
    /// Yaw that the gripper should get, in radians.
    pub(super) yaw: f32,
    /// Gap between the fingers, 0 closed to 1 open.
    pub(super) gripper: f32,
}

/// How an expert moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Largest step as a share of what the action space allows, in `(0, 1]`.
    pub(super) speed: f32,
    /// Share of the way left that one step covers once it is shorter than the largest step.
    pub(super) eagerness: f32,
}

/// Turns a motion into the action that starts it; roll and pitch return to zero on the way.
///
/// `space` has the seven Bridge-style values.
pub(super) fn action_for(motion: &Motion, now: &Situation, pace: Pace, space: &ContinuousSpace) -> Action {
    let scale = |index: usize| {
        space
            .dimensions
            .get(index)
            .map_or(1.0, |dimension| dimension.scale.max(f32::EPSILON))
    };
    let local = into_gripper_frame(motion.way, now.rotation);
    let steps = [0, 1, 2].map(|axis| local[axis] * pace.eagerness / scale(axis));
    let length = norm(steps);
    // The direction is kept: all axes shrink together.
    let shrink = if length > pace.speed { pace.speed / length } else { 1.0 };
    let [roll, pitch, yaw] = now.rotation;
    let turn = |way: f32, axis: usize| (way * pace.eagerness / scale(axis)).clamp(-pace.speed, pace.speed);
    let [x, y, z] = steps.map(|step| step * shrink);
    Action(vec![
        x,
        y,
        z,
        turn(-roll, 3),
        turn(-pitch, 4),
        turn(motion.yaw - yaw, 5),
        motion.gripper,
    ])
}

/// Turns a vector from the world frame to the gripper's, whose orientation is yaw, then pitch, then roll.
fn into_gripper_frame(vector: [f32; 3], [roll, pitch, yaw]: [f32; 3]) -> [f32; 3] {
    let [x, y, z] = vector;
    let (sin, cos) = yaw.sin_cos();
    let (x, y) = (cos * x + sin * y, cos * y - sin * x);
    let (sin, cos) = pitch.sin_cos();
    let (x, z) = (cos * x - sin * z, cos * z + sin * x);
    let (sin, cos) = roll.sin_cos();
    [x, cos * y + sin * z, cos * z - sin * y]
}

/// Returns `to - from`.
pub(super) fn way(from: [f32; 3], to: [f32; 3]) -> [f32; 3] {
    [0, 1, 2].map(|axis| to[axis] - from[axis])
}

/// Returns the length of a vector.
pub(super) fn norm<const N: usize>(vector: [f32; N]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// Returns the distance along the table.
pub(super) fn level_distance(a: [f32; 3], b: [f32; 3]) -> f32 {
    norm([b[0] - a[0], b[1] - a[1]])
}

#[cfg(test)]
mod tests {
    use std::f32::consts::FRAC_PI_2;

    use super::*;
    use crate::fixtures::spec;

    const PACE: Pace = Pace {
        speed: 0.8,
        eagerness: 1.0,
    };

    fn standing(rotation: [f32; 3]) -> Situation {
        Situation {
            tool: [0.0; 3],
            rotation,
            opening: 1.0,
            target: [0.0; 3],
        }
    }

    fn act(way: [f32; 3], rotation: [f32; 3]) -> Vec<f32> {
        let motion = Motion {
            way,
            yaw: rotation[2],
            gripper: 1.0,
        };
        action_for(&motion, &standing(rotation), PACE, &spec("reach").action_space).0
    }

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    #[test]
    fn short_way_is_covered_in_one_step() {
        assert!(close(
            &act([0.015, -0.003, 0.006], [0.0; 3]),
            &[0.5, -0.1, 0.2, 0.0, 0.0, 0.0, 1.0]
        ));
    }

    #[test]
    fn long_way_keeps_its_direction_and_the_speed() {
        let action = act([0.3, 0.0, -0.4], [0.0; 3]);
        assert!(close(&action[..3], &[0.6 * 0.8, 0.0, -0.8 * 0.8]), "{action:?}");
    }

    #[test]
    fn motion_is_seen_from_the_gripper() {
        // After a quarter turn to the left the world's y axis is the gripper's x axis.
        assert!(close(
            &act([0.0, 0.015, 0.0], [0.0, 0.0, FRAC_PI_2])[..3],
            &[0.5, 0.0, 0.0]
        ));
        // Pitched down a quarter turn, the gripper's x axis points to the world's -z.
        assert!(close(
            &act([0.0, 0.0, -0.015], [0.0, FRAC_PI_2, 0.0])[..3],
            &[0.5, 0.0, 0.0]
        ));
        // Rolled a quarter turn, the gripper's y axis points up.
        assert!(close(
            &act([0.0, 0.0, 0.015], [FRAC_PI_2, 0.0, 0.0])[..3],
            &[0.0, 0.5, 0.0]
        ));
    }

    #[test]
    fn tilted_gripper_is_levelled() {
        let action = act([0.0; 3], [0.1, -0.1, 0.0]);
        assert!(close(&action[3..6], &[-0.5, 0.5, 0.0]), "{action:?}");
    }
}
