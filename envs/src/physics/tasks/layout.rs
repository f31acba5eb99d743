//! Where things are when an episode starts.

use rand::RngExt;
use rapier3d::math::glamx::{Vec2, Vec3};

use crate::physics::config::Randomization;
use crate::physics::palette::{BLOCK_COLORS, NamedColor, TARGET_COLORS};
use crate::seeding::Rng;

/// The start of an episode.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::physics) struct Layout {
    /// Position of the tool point.
    pub(in crate::physics) tool: Vec3,
    /// Yaw of the gripper in radians.
    pub(in crate::physics) tool_yaw: f32,
    /// Gap between the fingers in metres.
    pub(in crate::physics) opening: f32,
    pub(in crate::physics) block: Option<BlockLayout>,
    pub(in crate::physics) target: TargetLayout,
}

/// A block on the table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::physics) struct BlockLayout {
    pub(in crate::physics) position: Vec2,
    /// Yaw in radians.
    pub(in crate::physics) yaw: f32,
    pub(in crate::physics) color: NamedColor,
}

/// The target on the table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::physics) struct TargetLayout {
    pub(in crate::physics) position: Vec2,
    pub(in crate::physics) color: NamedColor,
}

/// Draws a point of a square around the workspace's centre.
pub(super) fn draw_point(rng: &mut Rng, half_extent: f32) -> Vec2 {
    Vec2::new(
        rng.random_range(-half_extent..=half_extent),
        rng.random_range(-half_extent..=half_extent),
    )
}

/// Draws a point until it fits; after many misses the last one is taken, so that drawing always ends.
pub(super) fn draw_point_where(rng: &mut Rng, half_extent: f32, fits: impl Fn(Vec2) -> bool) -> Vec2 {
    let mut point = draw_point(rng, half_extent);
    for _ in 0..200 {
        if fits(point) {
            break;
        }
        point = draw_point(rng, half_extent);
    }
    point
}

/// Draws where the gripper starts: position of the tool point and yaw.
pub(super) fn draw_tool(rng: &mut Rng, randomization: &Randomization, away_from: Vec2) -> (Vec3, f32) {
    let point = draw_point_where(rng, 0.13, |point| point.distance(away_from) > 0.12);
    let height = rng.random_range(0.10..=0.15);
    let yaw = rng.random_range(-0.3..=0.3);
    if randomization.gripper {
        (point.extend(height), yaw)
    } else {
        (Vec3::new(0.0, 0.0, 0.13), 0.0)
    }
}

/// Draws the colours of block and target.
pub(super) fn draw_colors(rng: &mut Rng, randomization: &Randomization) -> (NamedColor, NamedColor) {
    let block = rng.random_range(0..BLOCK_COLORS.len());
    let target = rng.random_range(0..TARGET_COLORS.len());
    if randomization.colors {
        (BLOCK_COLORS[block], TARGET_COLORS[target])
    } else {
        (BLOCK_COLORS[0], TARGET_COLORS[0])
    }
}
