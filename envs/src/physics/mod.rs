//! The table-top world on rapier3d: a gripper arm, a table, a block and a target.
//!
//! # Description
//! The reference that the learned world is measured against, and the source of its training data. The arm's hand is
//! position-controlled; blocks obey rapier's rigid-body physics (50 steps per simulated second, ten per control step).
//! Cameras are rendered on the CPU by casting rays at the colliders' own shapes and poses, so pictures, depth,
//! segmentation and physics can't disagree. The same seed and actions give the same episode, bit for bit.
//!
//! World frame: x away from the arm's base, y to the left as seen from the base, z up, the table's top at height 0.
//! The tool point lies between the fingertips. The gripper frame has the same axes as the world when yaw, pitch and roll
//! are 0, and the fingers point down and open along y.
//!
//! # Tasks
//! | task | success | usual limit |
//! |---|---|---|
//! | `reach` | tool point within 3 cm of the ball's centre | 32 steps |
//! | `push` | block's centre within 3 cm of the zone's centre, along the table | 40 steps |
//! | `pick_and_place` | released block at rest height on the raised pad, within 3.5 cm of its centre | 48 steps |
//!
//! [`ResetOptions::task`](crate::ResetOptions) picks the task of one episode, [`PhysicsConfig::task`] the default.
//!
//! # Action space
//! | index | name | range | unit of 1.0 | meaning |
//! |---|---|---|---|---|
//! | 0–2 | `delta_x`, `delta_y`, `delta_z` | `[-1, 1]` | 0.025 m | translation in the gripper frame |
//! | 3–5 | `delta_roll`, `delta_pitch`, `delta_yaw` | `[-1, 1]` | 0.2 rad | rotation in the gripper frame |
//! | 6 | `gripper` | `[0, 1]` | 0.08 m | gap between the fingers to go to: 1 open, 0 closed; takes two steps |
//!
//! Values outside are clamped. The tool point stays within 17 cm of the centre along x and y and between 1.5 and
//! 18.5 cm of height; yaw within ±0.9 rad, roll and pitch within ±0.3 rad. Control runs at 5 Hz.
//!
//! # Observation space
//! - Images: [`THIRD_PERSON`] (64 × 64 by default, fixed, looking down from opposite the arm) and, where
//!   [`PhysicsConfig::wrist_image_size`] is set, [`WRIST`]. It is off by default, for speed.
//! - Proprioception: `x`, `y`, `z` (m), `roll`, `pitch`, `yaw` (rad) of the gripper in the world, `opening` (0 to 1,
//!   1 is 0.08 m).
//! - Privileged state: the names and units in [`privileged`].
//!
//! # Starting state
//! The seed draws the positions of target, block and gripper, the yaw of block and gripper, and the colours of block
//! and target out of three each; [`Randomization`] switches parts of this off. Light, camera and table stay the same.
//!
//! # Reward
//! The gain in progress of this step, plus 1 on success. Progress is in `[0, 1]`: the covered part of the way to the
//! ball; 0.2 for coming to the block and 0.8 for the block's way to the zone; 0.25 for coming to the block, 0.1 for
//! holding it, 0.15 for lifting it and 0.4 for carrying it. It is 1 exactly on success.
//! `info.metrics` has `progress` and `distance` (in metres, what must become small).
//!
//! # Episode end
//! `terminated` on success, never otherwise; `truncated` never: wrap with a time limit of `spec.max_episode_steps`.
//!
//! # Limitations
//! - A grasp is a rigid attachment once both fingers press on opposite sides of the block; nothing slips, and the arm
//!   never tires. A held block does not push what it touches aside as a free one would.
//! - The arm's links are seen but touch nothing, and throw no shadow; only hand, block and target do.
//! - Pushing has no force limit. A motion that would crush the block or enter the pad is stopped instead.
//! - A block can be pushed out of the gripper's reach; the episode then ends by the time limit only.
//! - Bit-identical episodes were checked on one machine at a time, not between kinds of processors.

mod camera;
mod config;
mod controller;
mod env;
mod gripper;
mod inverse_kinematics;
mod palette;
mod primitive;
pub mod privileged;
mod ray_caster;
mod robot;
mod scene;
mod spaces;
mod tasks;
#[cfg(test)]
mod tests;

pub use camera::{CameraFrame, Intrinsics, THIRD_PERSON, WRIST};
pub use config::{PhysicsConfig, Randomization};
pub use controller::{ROTATION_SCALE, TRANSLATION_SCALE};
pub use env::{PhysicsEnv, PhysicsSnapshot};
pub use gripper::{MAX_OPENING, MAX_TILT, MAX_YAW, WORKSPACE_CENTER, WORKSPACE_HALF_EXTENTS};
pub use scene::Segment;
pub use tasks::PhysicsTask;
