//! Around the block, down behind it, then through it towards the target.

use super::motion::{Motion, level_distance};
use super::situation::{Block, Situation};

/// Height of the tool point while pushing, in metres.
const PUSH_HEIGHT: f32 = 0.022;
/// Rise over the pushing height at which the fingers clear the block, in metres.
const CLEARANCE: f32 = 0.058;
/// Distance behind the block's centre at which the gripper comes down, in metres.
const START_DISTANCE: f32 = 0.068;
/// Distance behind the block's centre from which it pushes, in metres; closer than coming down, so that it does not dither.
const PUSH_DISTANCE: f32 = 0.025;
/// Height over the pushing height up to which the fingers still meet the block well below its top, in metres.
const LOW: f32 = 0.018;
/// Way forward against which corrections are weighed while pushing, in metres: about one step.
const STRIDE: f32 = 0.04;
/// Largest sideways offset while pushing, in metres.
const LANE: f32 = 0.018;

/// Pushes the block along the line from its centre to the target's.
pub(super) fn plan(now: &Situation, block: &Block) -> Motion {
    let distance = level_distance(block.position, now.target).max(1e-6);
    let direction = [0, 1].map(|axis| (now.target[axis] - block.position[axis]) / distance);
    let from_block = [0, 1].map(|axis| now.tool[axis] - block.position[axis]);
    let ahead = from_block[0] * direction[0] + from_block[1] * direction[1];
    let sideways = [0, 1].map(|axis| from_block[axis] - ahead * direction[axis]);
    let offset = sideways[0].hypot(sideways[1]);
    let is_low = now.tool[2] < PUSH_HEIGHT + LOW;

    if is_low && ahead < -PUSH_DISTANCE && offset < LANE {
        // Into the block and a little beyond where it must go. Beside that long way, height and lane must not be lost.
        let forward = (distance - ahead - PUSH_DISTANCE).min(STRIDE);
        let way = [0, 1].map(|axis| forward * direction[axis] - sideways[axis]);
        return Motion {
            way: [way[0], way[1], PUSH_HEIGHT - now.tool[2]],
            yaw: 0.0,
            gripper: 0.0,
        };
    }
    let start = [0, 1].map(|axis| block.position[axis] - START_DISTANCE * direction[axis]);
    let way = [0, 1].map(|axis| start[axis] - now.tool[axis]);
    let left = way[0].hypot(way[1]);
    // High over the block, low behind it: the height depends on where the gripper is and on nothing else.
    let rise = ((left - 0.008) * 2.5).clamp(0.0, CLEARANCE);
    let climb = PUSH_HEIGHT + rise - now.tool[2];
    // Up before across, where the block is in the way.
    let across = if climb > 0.012 && left > 0.03 { 0.25 } else { 1.0 };
    Motion {
        way: [across * way[0], across * way[1], climb],
        yaw: 0.0,
        gripper: 0.0,
    }
}
