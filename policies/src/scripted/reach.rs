//! Straight to the target.

use super::motion::{Motion, way};
use super::situation::Situation;

/// Moves the tool point to the target with closed fingers.
pub(super) fn plan(now: &Situation) -> Motion {
    Motion {
        way: way(now.tool, now.target),
        yaw: 0.0,
        gripper: 0.0,
    }
}
