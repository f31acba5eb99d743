//! Where a position-controlled gripper is after an action.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

/// Waves, in halves of the range between the limits, whose sine and cosine stand for a value of a pose.
///
/// The shortest one is shorter than a token of the embedded world is wide, so that places within a token differ.
const WAVES: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

/// Numbers that stand for a pose in the input of a network.
pub const POSE_FEATURES: usize = 6 * 2 * WAVES.len();

/// Pose of a gripper in the world: `x, y, z` in metres, then `roll, pitch, yaw` in radians, turned about the moving axes
/// last to first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GripperPose(pub [f64; 6]);

/// Names of the values of a pose.
const NAMES: [&str; 6] = ["x", "y", "z", "roll", "pitch", "yaw"];

/// Share of the range between the limits by which rounding may take a pose beyond them.
const TOLERANCE: f64 = 0.01;

/// How far an action moves a gripper, and where it stops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoseLimits {
    /// Translation of an action value of 1, the largest one that counts, in metres.
    pub meters: f64,
    /// Rotation of an action value of 1, the largest one that counts, in radians.
    pub radians: f64,
    /// Least values of the pose.
    pub low: [f64; 6],
    /// Greatest values of the pose.
    pub high: [f64; 6],
}

impl PoseLimits {
    /// Returns what a network sees of a pose: sine and cosine of each value at several scales; zeros where it is not known.
    pub fn features(self, pose: Option<GripperPose>) -> [f32; POSE_FEATURES] {
        let mut features = [0.0; POSE_FEATURES];
        if let Some(pose) = pose {
            let angles = self
                .shares(pose)
                .into_iter()
                .flat_map(|share| WAVES.map(|wave| wave * FRAC_PI_2 * share));
            for (pair, angle) in features.chunks_exact_mut(2).zip(angles) {
                let (sine, cosine) = angle.sin_cos();
                pair.copy_from_slice(&[sine as f32, cosine as f32]);
            }
        }
        features
    }

    /// Returns where an action brings the gripper: three values of translation and three of rotation, in its own axes.
    pub fn moved(self, GripperPose(pose): GripperPose, action: &[f32]) -> GripperPose {
        let value = |index: usize| {
            action
                .get(index)
                .map_or(0.0, |&value| f64::from(value).clamp(-1.0, 1.0))
        };
        let axes = Matrix::from_angles([pose[3], pose[4], pose[5]]);
        let step = axes.apply([0, 1, 2].map(|index| self.meters * value(index)));
        let turn = Matrix::from_angles([3, 4, 5].map(|index| self.radians * value(index)));
        let [roll, pitch, yaw] = axes.times(&turn).angles();
        let moved = [
            pose[0] + step[0],
            pose[1] + step[1],
            pose[2] + step[2],
            roll,
            pitch,
            yaw,
        ];
        GripperPose(std::array::from_fn(|index| {
            moved[index].max(self.low[index]).min(self.high[index])
        }))
    }

    /// Returns where between the limits the values are: -1 at the least, 1 at the greatest.
    fn shares(self, GripperPose(pose): GripperPose) -> [f64; 6] {
        let middle = |index: usize| 0.5 * (self.low[index] + self.high[index]);
        std::array::from_fn(|index| (pose[index] - middle(index)) / (self.high[index] - middle(index)))
    }

    /// Returns name, value and limits of the first value that is not finite or clearly beyond its limits.
    pub(crate) fn first_beyond(self, GripperPose(pose): GripperPose) -> Option<(&'static str, f64, [f64; 2])> {
        let found = (0..6).find(|&index| {
            let slack = TOLERANCE * (self.high[index] - self.low[index]);
            !(self.low[index] - slack..=self.high[index] + slack).contains(&pose[index])
        })?;
        Some((NAMES[found], pose[found], [self.low[found], self.high[found]]))
    }

    /// Returns name, value, and what is expected of the first setting that makes no sense.
    pub(crate) fn wrong(self) -> Option<(&'static str, String, &'static str)> {
        let is_scale = |value: f64| value.is_finite() && value > 0.0;
        let ordered = |index: &usize| {
            let (low, high) = (self.low[*index], self.high[*index]);
            low.is_finite() && high.is_finite() && low < high
        };
        let scales = [("meters", self.meters), ("radians", self.radians)];
        if let Some((name, value)) = scales.into_iter().find(|(_, value)| !is_scale(*value)) {
            return Some((name, value.to_string(), "a positive number"));
        }
        let unordered = (0..6).find(|index| !ordered(index))?;
        let range = format!("{} to {}", self.low[unordered], self.high[unordered]);
        Some((NAMES[unordered], range, "from low to a greater high"))
    }
}

/// A rotation, row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix([[f64; 3]; 3]);

impl Matrix {
    pub(crate) const IDENTITY: Self = Self([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);

    /// Returns `Rz(yaw) Ry(pitch) Rx(roll)`.
    pub(crate) fn from_angles([roll, pitch, yaw]: [f64; 3]) -> Self {
        let ((sin_r, cos_r), (sin_p, cos_p), (sin_y, cos_y)) = (roll.sin_cos(), pitch.sin_cos(), yaw.sin_cos());
        let about_x = Self([[1.0, 0.0, 0.0], [0.0, cos_r, -sin_r], [0.0, sin_r, cos_r]]);
        let about_y = Self([[cos_p, 0.0, sin_p], [0.0, 1.0, 0.0], [-sin_p, 0.0, cos_p]]);
        let about_z = Self([[cos_y, -sin_y, 0.0], [sin_y, cos_y, 0.0], [0.0, 0.0, 1.0]]);
        about_z.times(&about_y).times(&about_x)
    }

    /// Returns `roll, pitch, yaw` of a rotation that pitches by less than a quarter turn.
    fn angles(&self) -> [f64; 3] {
        let [[r00, ..], [r10, ..], [r20, r21, r22]] = self.0;
        [r21.atan2(r22), (-r20).clamp(-1.0, 1.0).asin(), r10.atan2(r00)]
    }

    pub(crate) fn times(&self, right: &Self) -> Self {
        let entry = |row: usize, column: usize| (0..3).map(|inner| self.0[row][inner] * right.0[inner][column]).sum();
        Self(std::array::from_fn(|row| {
            std::array::from_fn(|column| entry(row, column))
        }))
    }

    pub(crate) fn apply(&self, vector: [f64; 3]) -> [f64; 3] {
        self.0
            .map(|row| row.iter().zip(vector).map(|(axis, value)| axis * value).sum())
    }

    /// Returns the axis of the rotation, as long as its angle.
    pub(crate) fn rotation_vector(&self) -> [f64; 3] {
        let [[r00, r01, r02], [r10, r11, r12], [r20, r21, r22]] = self.0;
        let doubled_axis = [r21 - r12, r02 - r20, r10 - r01];
        let doubled_sine = doubled_axis.iter().map(|value| value * value).sum::<f64>().sqrt();
        let angle = doubled_sine.atan2(r00 + r11 + r22 - 1.0);
        let factor = if doubled_sine < 1e-9 { 0.5 } else { angle / doubled_sine };
        doubled_axis.map(|value| factor * value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PoseLimits = PoseLimits {
        meters: 0.1,
        radians: 0.5,
        low: [-1.0, -1.0, 0.0, -0.4, -0.4, -1.0],
        high: [1.0, 1.0, 0.5, 0.4, 0.4, 1.0],
    };

    fn assert_close(GripperPose(found): GripperPose, expected: [f64; 6]) {
        let close = found
            .iter()
            .zip(expected)
            .all(|(found, expected)| (found - expected).abs() < 1e-9);
        assert!(close, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn a_gripper_moves_along_its_own_axes() {
        let turned = GripperPose([0.0, 0.0, 0.2, 0.0, 0.0, 1.0]);
        let (sine, cosine) = 1.0_f64.sin_cos();
        let forward = LIMITS.moved(turned, &[1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 1.0]);
        assert_close(forward, [0.1 * cosine, 0.1 * sine, 0.2, 0.0, 0.0, 0.5]);
        assert_eq!(LIMITS.moved(turned, &[3.0, 0.0, 0.0, 0.0, 0.0, -2.0, 1.0]), forward);
    }

    #[test]
    fn a_gripper_stops_at_its_limits() {
        let low = GripperPose([0.95, 0.0, 0.05, 0.3, 0.0, 0.0]);
        let stopped = LIMITS.moved(low, &[1.0, 0.0, -1.0, 1.0, 0.0, 0.0, 1.0]);
        let GripperPose([x, _, z, roll, ..]) = stopped;
        assert_eq!((x, z, roll), (1.0, 0.0, 0.4));
    }

    #[test]
    fn limits_that_bound_nothing_are_named() {
        assert_eq!(LIMITS.wrong(), None);
        let flat = PoseLimits {
            low: LIMITS.high,
            ..LIMITS
        };
        assert_eq!(flat.wrong(), Some(("x", "1 to 1".into(), "from low to a greater high")));
        let still = PoseLimits { meters: 0.0, ..LIMITS };
        assert_eq!(still.wrong(), Some(("meters", "0".into(), "a positive number")));
    }
}
