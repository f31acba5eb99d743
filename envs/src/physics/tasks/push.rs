//! Push a block onto a zone on the table.

use rand::RngExt;
use rapier3d::math::glamx::Vec3;

use super::layout::{draw_colors, draw_point, draw_point_where, draw_tool};
use super::task::fraction_covered;
use super::{Assessment, BlockLayout, Layout, Situation, TargetLayout};
use crate::physics::config::Randomization;
use crate::seeding::Rng;

/// Horizontal distance between the centres of block and zone that counts as pushed, in metres.
const SUCCESS_DISTANCE: f32 = 0.03;
/// Distance between tool point and block centre at which the gripper touches the block, in metres.
const CONTACT_DISTANCE: f32 = 0.045;
/// Share of the progress for coming to the block; pushing it earns the rest.
const APPROACH_SHARE: f32 = 0.2;

pub(super) fn draw_layout(rng: &mut Rng, randomization: &Randomization) -> Layout {
    let target = draw_point(rng, 0.11);
    let block = draw_point_where(rng, 0.09, |point| (0.10..=0.18).contains(&point.distance(target)));
    let (tool, tool_yaw) = draw_tool(rng, randomization, block);
    let (block_color, target_color) = draw_colors(rng, randomization);
    let yaw = rng.random_range(-0.4..=0.4) * f32::from(u8::from(randomization.block_yaw));
    Layout {
        tool,
        tool_yaw,
        opening: 0.0,
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

pub(super) fn assess(now: &Situation, start: &Situation) -> Assessment {
    let distance = horizontal_distance(now.block, now.target);
    if distance <= SUCCESS_DISTANCE {
        return Assessment {
            success: true,
            progress: 1.0,
            distance,
        };
    }
    let approach = fraction_covered(
        now.tool.distance(now.block),
        start.tool.distance(start.block),
        CONTACT_DISTANCE,
    );
    let pushed = fraction_covered(
        distance,
        horizontal_distance(start.block, start.target),
        SUCCESS_DISTANCE,
    );
    Assessment {
        success: false,
        progress: APPROACH_SHARE * approach + (1.0 - APPROACH_SHARE) * pushed,
        distance,
    }
}

fn horizontal_distance(a: Vec3, b: Vec3) -> f32 {
    a.truncate().distance(b.truncate())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_when_the_block_is_in_the_zone() {
        let start = Situation {
            tool: Vec3::new(-0.1, 0.0, 0.15),
            block: Vec3::new(0.0, 0.0, 0.025),
            target: Vec3::new(0.12, 0.0, 0.0),
            held: false,
        };
        let inside = Situation {
            block: Vec3::new(0.10, 0.01, 0.025),
            ..start
        };
        let outside = Situation {
            block: Vec3::new(0.08, 0.0, 0.025),
            ..start
        };
        assert!(assess(&inside, &start).success);
        assert!(!assess(&outside, &start).success);
        assert!(assess(&outside, &start).progress > assess(&start, &start).progress + 0.3);
    }
}
