//! Lift a block and release it on a raised pad.

use rand::RngExt;
use rapier3d::math::glamx::Vec3;

use super::layout::{draw_colors, draw_point, draw_point_where, draw_tool};
use super::task::fraction_covered;
use super::{Assessment, BlockLayout, Layout, Situation, TargetLayout};
use crate::physics::config::Randomization;
use crate::physics::gripper::MAX_OPENING;
use crate::physics::scene::BLOCK_HALF;
use crate::seeding::Rng;

/// Horizontal distance between the centres of block and pad that counts as placed, in metres.
const SUCCESS_DISTANCE: f32 = 0.035;
/// Largest difference from the height at which the block rests on the pad, in metres.
const HEIGHT_TOLERANCE: f32 = 0.008;
/// Distance between tool point and block centre at which the fingers can close, in metres.
const GRASP_DISTANCE: f32 = 0.015;
/// Height to which the block is lifted over its start for full lifting progress, in metres.
const LIFT_HEIGHT: f32 = 0.05;

pub(super) fn draw_layout(rng: &mut Rng, randomization: &Randomization) -> Layout {
    let target = draw_point(rng, 0.115);
    let block = draw_point_where(rng, 0.13, |point| point.distance(target) > 0.13);
    let (tool, tool_yaw) = draw_tool(rng, randomization, block);
    let (block_color, target_color) = draw_colors(rng, randomization);
    let yaw = rng.random_range(-0.6..=0.6) * f32::from(u8::from(randomization.block_yaw));
    Layout {
        tool,
        tool_yaw,
        opening: MAX_OPENING,
        block: Some(BlockLayout {
            position: block,
            yaw,
            color: block_color,
        }),
        target: TargetLayout {
            position: target,
            color: target_color,
        },
    }
}

/// Progress: 0.25 for coming to the block, 0.1 for holding it, 0.15 for lifting it, 0.4 for carrying it, 0.1 for
/// having released it on the pad.
pub(super) fn assess(now: &Situation, start: &Situation) -> Assessment {
    let aside = horizontal_distance(now.block, now.target);
    // The target is the centre of the pad's top.
    let resting = (now.block.z - now.target.z - BLOCK_HALF).abs() <= HEIGHT_TOLERANCE;
    let placed = aside <= SUCCESS_DISTANCE && resting;
    if placed && !now.held {
        return Assessment {
            success: true,
            progress: 1.0,
            distance: aside,
        };
    }
    let progress = if now.held || placed {
        let lifted = ((now.block.z - start.block.z) / LIFT_HEIGHT).clamp(0.0, 1.0);
        let carried = fraction_covered(aside, horizontal_distance(start.block, start.target), SUCCESS_DISTANCE);
        // Near the pad the block must come down again, which is no step back.
        0.35 + 0.15 * lifted.max(carried) + 0.4 * carried
    } else {
        0.25 * fraction_covered(
            now.tool.distance(now.block),
            start.tool.distance(start.block),
            GRASP_DISTANCE,
        )
    };
    Assessment {
        success: false,
        progress,
        distance: aside,
    }
}

fn horizontal_distance(a: Vec3, b: Vec3) -> f32 {
    a.truncate().distance(b.truncate())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Situation {
        Situation {
            tool: Vec3::new(-0.1, 0.0, 0.15),
            block: Vec3::new(0.0, 0.0, BLOCK_HALF),
            target: Vec3::new(0.14, 0.0, 0.03),
            held: false,
        }
    }

    #[test]
    fn success_only_when_released_on_the_pad() {
        let on_pad = Situation {
            block: Vec3::new(0.13, 0.01, 0.03 + BLOCK_HALF),
            ..start()
        };
        assert!(assess(&on_pad, &start()).success);
        assert!(!assess(&Situation { held: true, ..on_pad }, &start()).success);
        let beside = Situation {
            block: Vec3::new(0.13, 0.01, BLOCK_HALF),
            ..start()
        };
        assert!(!assess(&beside, &start()).success);
    }

    #[test]
    fn progress_grows_along_the_way() {
        let at_block = Situation {
            tool: start().block,
            ..start()
        };
        let held = Situation { held: true, ..at_block };
        let lifted = Situation {
            block: start().block + Vec3::Z * 0.05,
            ..held
        };
        let over_pad = Situation {
            block: start().target + Vec3::Z * 0.06,
            ..held
        };
        let stages = [start(), at_block, held, lifted, over_pad].map(|now| assess(&now, &start()).progress);
        assert!(stages.windows(2).all(|pair| pair[0] < pair[1]), "{stages:?}");
    }
}
