//! Bring the fingertips to a ball that lies on the table.

use super::layout::{draw_colors, draw_point, draw_tool};
use super::task::fraction_covered;
use super::{Assessment, Layout, Situation, TargetLayout};
use crate::physics::config::Randomization;
use crate::seeding::Rng;

/// Distance between tool point and ball centre that counts as reached, in metres.
const SUCCESS_DISTANCE: f32 = 0.03;

pub(super) fn draw_layout(rng: &mut Rng, randomization: &Randomization) -> Layout {
    let position = draw_point(rng, 0.14);
    let (tool, tool_yaw) = draw_tool(rng, randomization, position);
    let (_, color) = draw_colors(rng, randomization);
    Layout {
        tool,
        tool_yaw,
        opening: 0.0,
        block: None,
        target: TargetLayout { position, color },
    }
}

pub(super) fn assess(now: &Situation, start: &Situation) -> Assessment {
    let distance = now.tool.distance(now.target);
    let success = distance <= SUCCESS_DISTANCE;
    let progress = fraction_covered(distance, start.tool.distance(start.target), SUCCESS_DISTANCE);
    Assessment {
        success,
        progress,
        distance,
    }
}

#[cfg(test)]
mod tests {
    use rapier3d::math::glamx::Vec3;

    use super::*;

    #[test]
    fn success_within_three_centimetres_only() {
        let target = Vec3::new(0.1, 0.0, 0.02);
        let start = Situation {
            tool: Vec3::new(-0.1, 0.0, 0.15),
            block: target,
            target,
            held: false,
        };
        let near = Situation {
            tool: target + Vec3::new(0.0, 0.029, 0.0),
            ..start
        };
        let far = Situation {
            tool: target + Vec3::new(0.0, 0.031, 0.0),
            ..start
        };
        assert!(assess(&near, &start).success);
        assert_eq!(assess(&near, &start).progress, 1.0);
        assert!(!assess(&far, &start).success);
        assert!(assess(&far, &start).progress > 0.98);
        assert_eq!(assess(&start, &start).progress, 0.0);
    }
}
