//! The tasks by name.

use rapier3d::math::glamx::Vec3;
use serde::{Deserialize, Serialize};

use super::{Layout, pick_and_place, push, reach};
use crate::physics::config::Randomization;
use crate::seeding::Rng;

/// What the policy is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PhysicsTask {
    /// Bring the fingertips to a ball.
    Reach,
    /// Push a block onto a zone on the table.
    Push,
    /// Lift a block and release it on a raised pad.
    PickAndPlace,
}

impl PhysicsTask {
    /// All tasks, easiest first.
    pub const ALL: [Self; 3] = [Self::Reach, Self::Push, Self::PickAndPlace];

    /// Returns the name, for example `pick_and_place`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reach => "reach",
            Self::Push => "push",
            Self::PickAndPlace => "pick_and_place",
        }
    }

    /// Finds the task of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// Returns the steps after which an episode is usually cut off.
    pub const fn max_episode_steps(self) -> usize {
        match self {
            Self::Reach => 32,
            Self::Push => 40,
            Self::PickAndPlace => 48,
        }
    }

    pub(in crate::physics) fn draw_layout(self, rng: &mut Rng, randomization: &Randomization) -> Layout {
        match self {
            Self::Reach => reach::draw_layout(rng, randomization),
            Self::Push => push::draw_layout(rng, randomization),
            Self::PickAndPlace => pick_and_place::draw_layout(rng, randomization),
        }
    }

    pub(in crate::physics) fn instruction(self, layout: &Layout) -> String {
        let target = layout.target.color.name;
        let block = layout.block.as_ref().map_or("", |block| block.color.name);
        match self {
            Self::Reach => format!("reach the {target} ball"),
            Self::Push => format!("push the {block} block onto the {target} zone"),
            Self::PickAndPlace => format!("put the {block} block on the {target} pad"),
        }
    }

    pub(in crate::physics) fn assess(self, now: &Situation, start: &Situation) -> Assessment {
        match self {
            Self::Reach => reach::assess(now, start),
            Self::Push => push::assess(now, start),
            Self::PickAndPlace => pick_and_place::assess(now, start),
        }
    }
}

/// What the tasks need to know of the scene; positions in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::physics) struct Situation {
    pub(in crate::physics) tool: Vec3,
    /// The block's centre; the target where the task has no block.
    pub(in crate::physics) block: Vec3,
    pub(in crate::physics) target: Vec3,
    pub(in crate::physics) held: bool,
}

/// The judgement of one state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::physics) struct Assessment {
    pub(in crate::physics) success: bool,
    /// In `[0, 1]`; 1 exactly on success.
    pub(in crate::physics) progress: f32,
    /// What must become small for success, in metres.
    pub(in crate::physics) distance: f32,
}

/// Returns how much of the way from `start` down to `goal` a distance has been covered, in `[0, 1]`.
pub(super) fn fraction_covered(distance: f32, start: f32, goal: f32) -> f32 {
    let way = (start - goal).max(1e-3);
    ((start - distance) / way).clamp(0.0, 1.0)
}
