//! Over the block, down, close, up, over the target, down, open.

use super::motion::{Motion, level_distance};
use super::situation::{Block, Situation};

/// Height of the tool point over the block's centre when it grasps, in metres.
const GRASP_OFFSET: f32 = -0.003;
/// Rise over the grasp from which the open fingers pass over a block on the table, in metres.
const CLEARANCE: f32 = 0.065;
/// Rise over its resting place on the target at which a held block is carried, in metres.
const CARRY: f32 = 0.055;
/// Height over the resting place at which the block is let go, in metres.
const DROP: f32 = 0.004;
/// Half the side of the block, in metres.
const BLOCK_HALF: f32 = 0.025;
/// Gap between the fingers, as a share, below which no block is between them unless it is held.
const MISSED: f32 = 0.55;

/// Grasps the block with the fingers along its sides and sets it down on the target.
pub(super) fn plan(now: &Situation, block: &Block) -> Motion {
    if block.held {
        carry(now, block)
    } else {
        grasp(now, block)
    }
}

fn grasp(now: &Situation, block: &Block) -> Motion {
    let left = level_distance(now.tool, block.position);
    let turn = (block.yaw - now.rotation[2]).abs();
    let bottom = block.position[2] + GRASP_OFFSET;
    let above = now.tool[2] - bottom;
    if left < 0.010 && above < 0.008 && turn < 0.15 && now.opening > MISSED {
        return Motion {
            way: [0.0; 3],
            yaw: block.yaw,
            gripper: 0.0,
        };
    }
    // A funnel: down only as far as the gripper is over the block and turned to it.
    let wide = (left - 0.006).max((turn - 0.1) * 0.1);
    let missed = if now.opening < MISSED { CLEARANCE } else { 0.0 };
    let rise = (wide * 3.0).clamp(missed, CLEARANCE);
    let climb = bottom + rise - now.tool[2];
    // Up before across, where the block is in the way.
    let across = if climb > 0.012 && left > 0.02 { 0.25 } else { 1.0 };
    let way = [0, 1].map(|axis| across * (block.position[axis] - now.tool[axis]));
    Motion {
        way: [way[0], way[1], climb],
        yaw: block.yaw,
        gripper: 1.0,
    }
}

fn carry(now: &Situation, block: &Block) -> Motion {
    let left = level_distance(block.position, now.target);
    let rest = now.target[2] + BLOCK_HALF + DROP;
    let above = block.position[2] - rest;
    if left < 0.015 && above < 0.004 {
        return Motion {
            way: [0.0; 3],
            yaw: now.rotation[2],
            gripper: 1.0,
        };
    }
    let rise = ((left - 0.008) * 2.0).clamp(0.0, CARRY);
    let climb = rest + rise - block.position[2];
    // The pad's edge is in the way of a block that is still low.
    let across = if climb > 0.02 { 0.35 } else { 1.0 };
    let way = [0, 1].map(|axis| across * (now.target[axis] - block.position[axis]));
    Motion {
        way: [way[0], way[1], climb],
        yaw: 0.0,
        gripper: 0.0,
    }
}
