//! A hand that a table stops.

use serde::{Deserialize, Serialize};

use crate::gripper_pose::GripperPose;

/// Most pieces of the motion of one action.
const MAX_PIECES: usize = 1000;

/// A hand with two parallel fingers, made of boxes, above a table that it can't enter.
///
/// It moves in small straight pieces. Of a piece that would drive a box into the table the free part remains: along the
/// table, upright, without the turn, or none. What blocks stop is not known: fingers that hold one are taken for closed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hand {
    /// Height of the table in metres.
    pub table: f64,
    /// Pieces of the motion of one action.
    pub pieces: usize,
    /// Gap between the fingers when fully open, in metres.
    pub max_opening: f64,
    /// Largest change of the gap in one action, as a share of [`Hand::max_opening`].
    pub opening_per_action: f64,
    /// The finger at positive y with the hand closed; the other one mirrors it.
    pub finger: HandBox,
    /// The palm.
    pub palm: HandBox,
}

/// A box in the axes of a gripper, in metres.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandBox {
    /// Its centre.
    pub center: [f64; 3],
    /// Half of its extents.
    pub half: [f64; 3],
}

impl Hand {
    /// Returns where a motion ends whose pieces `limited` keeps within the limits of poses.
    pub(crate) fn moved(
        &self,
        from: GripperPose,
        target: GripperPose,
        limited: impl Fn(GripperPose) -> GripperPose,
    ) -> GripperPose {
        let step = self.opening_per_action / self.pieces as f64;
        let mut now = from;
        for piece in 0..self.pieces {
            let wanted = limited(now.towards(target, 1.0 / (self.pieces - piece) as f64));
            let mut next = self.free_part(now, wanted);
            next.0[6] = now.0[6] + (target.0[6] - now.0[6]).clamp(-step, step);
            now = next;
        }
        now
    }

    /// Returns the wanted pose, or the part of the way there that is free.
    fn free_part(&self, now: GripperPose, GripperPose(mut wanted): GripperPose) -> GripperPose {
        wanted[6] = now.0[6];
        let before = self.bottoms(now);
        let is_free = |candidate: &GripperPose| {
            let after = self.bottoms(*candidate);
            let mut both = after.iter().zip(before);
            both.all(|(&after, before)| after >= self.table || after >= before)
        };
        // Values of the wanted pose that are given up, in this order.
        let candidates = [&[][..], &[2], &[0, 1], &[3, 4, 5]].map(|given_up| {
            let mut candidate = wanted;
            for &index in given_up {
                candidate[index] = now.0[index];
            }
            GripperPose(candidate)
        });
        candidates.into_iter().find(is_free).unwrap_or(now)
    }

    /// Returns the heights of the lowest points of both fingers and of the palm.
    fn bottoms(&self, GripperPose(pose): GripperPose) -> [f64; 3] {
        let [_, _, height, roll, pitch, _, opening] = pose;
        let up = [-pitch.sin(), pitch.cos() * roll.sin(), pitch.cos() * roll.cos()];
        let gap = 0.5 * opening * self.max_opening;
        let bottom = |part: HandBox, y: f64| {
            let [center_x, _, center_z] = part.center;
            let center = up[0] * center_x + up[1] * y + up[2] * center_z;
            let half: f64 = up.iter().zip(part.half).map(|(up, half)| up.abs() * half).sum();
            height + center - half
        };
        let aside = self.finger.center[1] + gap;
        [
            bottom(self.finger, aside),
            bottom(self.finger, -aside),
            bottom(self.palm, self.palm.center[1]),
        ]
    }

    /// Returns name, value, and what is expected of the first setting that makes no sense.
    pub(crate) fn wrong(&self) -> Option<(&'static str, String, &'static str)> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let numbers = [
            ("hand.max_opening", self.max_opening),
            ("hand.opening_per_action", self.opening_per_action),
        ];
        if let Some((name, value)) = numbers.into_iter().find(|(_, value)| !positive(*value)) {
            return Some((name, value.to_string(), "a positive number"));
        }
        let boxes = [("hand.finger", self.finger), ("hand.palm", self.palm)];
        let is_box =
            |part: &HandBox| part.half.into_iter().all(positive) && part.center.iter().all(|at| at.is_finite());
        if let Some((name, part)) = boxes.into_iter().find(|(_, part)| !is_box(part)) {
            let found = format!("{:?} around {:?}", part.half, part.center);
            return Some((name, found, "positive half extents around a centre"));
        }
        if !self.table.is_finite() {
            return Some(("hand.table", self.table.to_string(), "a height"));
        }
        let fits = (1..=MAX_PIECES).contains(&self.pieces);
        (!fits).then(|| ("hand.pieces", self.pieces.to_string(), "1 to 1000"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gripper_pose::PoseLimits;
    use crate::gripper_pose::tests::assert_close;

    /// Fingers of 8 cm that end 1 cm below the tool point; roll turns one of them down.
    const HAND: Hand = Hand {
        table: 0.0,
        pieces: 10,
        max_opening: 0.08,
        opening_per_action: 0.5,
        finger: HandBox {
            center: [0.0, 0.01, 0.03],
            half: [0.01, 0.01, 0.04],
        },
        palm: HandBox {
            center: [0.0, 0.0, 0.08],
            half: [0.02, 0.05, 0.01],
        },
    };

    const LIMITS: PoseLimits = PoseLimits {
        meters: 0.02,
        radians: 0.2,
        low: [-1.0, -1.0, 0.0, -0.4, -0.4, -1.0],
        high: [1.0, 1.0, 0.5, 0.4, 0.4, 1.0],
        hand: Some(HAND),
    };

    fn moved(pose: [f64; 7], action: [f32; 7]) -> GripperPose {
        LIMITS.moved(GripperPose(pose), &action)
    }

    #[test]
    fn above_the_table_the_target_is_reached_and_the_fingers_close_in_two_actions() {
        let start = [0.0, 0.0, 0.2, 0.1, 0.0, 0.2, 1.0];
        let action = [0.5, -1.0, 0.2, 0.4, 0.3, -1.0, 0.0];
        let GripperPose(free) = PoseLimits { hand: None, ..LIMITS }.moved(GripperPose(start), &action);
        let found = moved(start, action);
        assert_close(found, [free[0], free[1], free[2], free[3], free[4], free[5], 0.5]);
        let closed = LIMITS.moved(found, &[0.0; 7]);
        assert_close(closed, [free[0], free[1], free[2], free[3], free[4], free[5], 0.0]);
    }

    #[test]
    fn fingers_stop_at_the_table_and_go_on_along_it() {
        let GripperPose([x, _, z, ..]) = moved(
            [0.0, 0.0, 0.0151, 0.0, 0.0, 0.0, 0.0],
            [1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0],
        );
        assert!((x - 0.02).abs() < 1e-9);
        // Pieces are 2 mm: the last one that fits ends less than that above the least height.
        assert!((0.01..0.012).contains(&z), "{z}");
    }

    #[test]
    fn fingers_on_the_table_do_not_roll_into_it() {
        let on_it = [0.0, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0];
        let roll = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        assert_close(moved(on_it, roll), [0.02, 0.0, 0.01, 0.0, 0.0, 0.0, 1.0]);
        let GripperPose(above) = moved([0.0, 0.0, 0.05, 0.0, 0.0, 0.0, 1.0], roll);
        assert!((above[3] - 0.2).abs() < 1e-9);
    }

    #[test]
    fn what_makes_no_hand_is_named() {
        assert_eq!(HAND.wrong(), None);
        let name = |hand: Hand| hand.wrong().map(|(name, ..)| name);
        assert_eq!(name(Hand { pieces: 0, ..HAND }), Some("hand.pieces"));
        assert_eq!(
            name(Hand {
                table: f64::NAN,
                ..HAND
            }),
            Some("hand.table")
        );
        assert_eq!(
            name(Hand {
                max_opening: 0.0,
                ..HAND
            }),
            Some("hand.max_opening")
        );
        let flat = HandBox {
            half: [0.0; 3],
            ..HAND.palm
        };
        assert_eq!(name(Hand { palm: flat, ..HAND }), Some("hand.palm"));
    }
}
