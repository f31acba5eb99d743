//! Where a position-controlled gripper is after an action.

use std::f64::consts::FRAC_PI_2;

use serde::{Deserialize, Serialize};

use crate::hand::Hand;
use crate::rotation::Rotation;

/// Waves, in halves of the range between the limits, whose sine and cosine stand for a value of a pose.
///
/// The shortest one is shorter than a token of the embedded world is wide, so that places within a token differ.
const WAVES: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

/// Numbers that stand for a pose in the input of a network.
pub const POSE_FEATURES: usize = 6 * 2 * WAVES.len();

/// Pose of a gripper in the world: `x, y, z` in metres, then `roll, pitch, yaw` in radians, turned about the moving axes
/// last to first, then how far it is open, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GripperPose(pub [f64; 7]);

impl GripperPose {
    /// Returns a share of the straight way to another pose, which turns the shortest way; as far open as this one.
    pub(crate) fn towards(self, Self(target): Self, share: f64) -> Self {
        let Self(pose) = self;
        let position = [0, 1, 2].map(|index| pose[index] + share * (target[index] - pose[index]));
        let [now, then] = [pose, target].map(|pose| Rotation::from_angles([pose[3], pose[4], pose[5]]));
        Self::new(position, now.towards(&then, share), pose[6])
    }

    fn new([x, y, z]: [f64; 3], axes: Rotation, opening: f64) -> Self {
        let [roll, pitch, yaw] = axes.angles();
        Self([x, y, z, roll, pitch, yaw, opening])
    }
}

/// Names of the values of a pose.
const NAMES: [&str; 7] = ["x", "y", "z", "roll", "pitch", "yaw", "opening"];

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
    /// The hand and the table that stops it; without it the limits alone do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand: Option<Hand>,
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

    /// Returns where the gripper is from the middle between the limits, in steps of the largest action; zeros where it is not known.
    pub fn position(self, pose: Option<GripperPose>) -> [f32; 3] {
        let steps = |GripperPose(pose): GripperPose| {
            let middle = |index: usize| 0.5 * (self.low[index] + self.high[index]);
            [0, 1, 2].map(|index| ((pose[index] - middle(index)) / self.meters) as f32)
        };
        pose.map_or([0.0; 3], steps)
    }

    /// Returns where an action brings the gripper: three values of translation and three of rotation, in its own axes, and
    /// how far it opens.
    pub fn moved(self, pose: GripperPose, action: &[f32]) -> GripperPose {
        let target = self.target(pose, action);
        match self.hand {
            Some(hand) => hand.moved(pose, target, |pose| self.limited(pose)),
            None => target,
        }
    }

    /// Returns where an action wants the gripper.
    fn target(self, GripperPose(pose): GripperPose, action: &[f32]) -> GripperPose {
        let value = |index: usize, low: f64| {
            let value = action.get(index).map_or(0.0, |&value| f64::from(value));
            value.clamp(low, 1.0)
        };
        let axes = Rotation::from_angles([pose[3], pose[4], pose[5]]);
        let step = axes.apply([0, 1, 2].map(|index| self.meters * value(index, -1.0)));
        let turn = Rotation::from_angles([3, 4, 5].map(|index| self.radians * value(index, -1.0)));
        let position = [0, 1, 2].map(|index| pose[index] + step[index]);
        self.limited(GripperPose::new(position, axes.times(&turn), value(6, 0.0)))
    }

    fn limited(self, GripperPose(mut pose): GripperPose) -> GripperPose {
        for (value, (low, high)) in pose.iter_mut().zip(self.low.into_iter().zip(self.high)) {
            *value = value.max(low).min(high);
        }
        GripperPose(pose)
    }

    /// Returns where between the limits the values are: -1 at the least, 1 at the greatest.
    fn shares(self, GripperPose(pose): GripperPose) -> [f64; 6] {
        let middle = |index: usize| 0.5 * (self.low[index] + self.high[index]);
        std::array::from_fn(|index| (pose[index] - middle(index)) / (self.high[index] - middle(index)))
    }

    /// Returns name, value and limits of the first value that is not finite or clearly beyond its limits.
    pub(crate) fn first_beyond(self, GripperPose(pose): GripperPose) -> Option<(&'static str, f64, [f64; 2])> {
        let limits = self.low.into_iter().zip(self.high).chain([(0.0, 1.0)]);
        let is_beyond = |value: f64, (low, high): (f64, f64)| {
            let slack = TOLERANCE * (high - low);
            !(low - slack..=high + slack).contains(&value)
        };
        let mut all = NAMES.into_iter().zip(pose).zip(limits);
        all.find(|((_, value), limits)| is_beyond(*value, *limits))
            .map(|((name, value), (low, high))| (name, value, [low, high]))
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
        if let Some(unordered) = (0..6).find(|index| !ordered(index)) {
            let range = format!("{} to {}", self.low[unordered], self.high[unordered]);
            return Some((NAMES[unordered], range, "from low to a greater high"));
        }
        self.hand.and_then(|hand| hand.wrong())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const LIMITS: PoseLimits = PoseLimits {
        meters: 0.1,
        radians: 0.5,
        low: [-1.0, -1.0, 0.0, -0.4, -0.4, -1.0],
        high: [1.0, 1.0, 0.5, 0.4, 0.4, 1.0],
        hand: None,
    };

    /// Requires that two poses are the same but for rounding.
    pub(crate) fn assert_close(GripperPose(found): GripperPose, expected: [f64; 7]) {
        let close = found
            .iter()
            .zip(expected)
            .all(|(found, expected)| (found - expected).abs() < 1e-9);
        assert!(close, "{found:?}, expected {expected:?}");
    }

    #[test]
    fn a_gripper_moves_along_its_own_axes() {
        let turned = GripperPose([0.0, 0.0, 0.2, 0.0, 0.0, 1.0, 1.0]);
        let (sine, cosine) = 1.0_f64.sin_cos();
        let forward = LIMITS.moved(turned, &[1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 1.0]);
        assert_close(forward, [0.1 * cosine, 0.1 * sine, 0.2, 0.0, 0.0, 0.5, 1.0]);
        assert_eq!(LIMITS.moved(turned, &[3.0, 0.0, 0.0, 0.0, 0.0, -2.0, 1.0]), forward);
    }

    #[test]
    fn a_gripper_stops_at_its_limits() {
        let low = GripperPose([0.95, 0.0, 0.05, 0.3, 0.0, 0.0, 1.0]);
        let stopped = LIMITS.moved(low, &[1.0, 0.0, -1.0, 1.0, 0.0, 0.0, 1.0]);
        let GripperPose([x, _, z, roll, ..]) = stopped;
        assert_eq!((x, z, roll), (1.0, 0.0, 0.4));
    }

    #[test]
    fn a_position_is_counted_in_steps() {
        let pose = GripperPose([0.25, -0.5, 0.3, 0.0, 0.0, 1.0, 1.0]);
        let found = LIMITS.position(Some(pose));
        for (found, expected) in found.into_iter().zip([2.5, -5.0, 0.5]) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
        assert_eq!(LIMITS.position(None), [0.0; 3]);
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
