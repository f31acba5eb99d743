//! From an action to the motion of gripper and blocks.
//!
//! The gripper is position-controlled and moves in small straight pieces. A piece that would drive it into the table
//! or the pad, or onto a block from above, is left out or reduced to the part that is free.

use rapier3d::math::glamx::{EulerRot, Pose3, Quat, Vec3};
use rapier3d::parry::query;
use rapier3d::parry::shape::Cuboid;

use super::gripper::{FINGER_HALF, MAX_OPENING, hand_parts, limit_pose};
use super::scene::{BLOCK_HALF, Scene};

/// Physics steps per control step.
pub(super) const SUBSTEPS: usize = 10;
/// Translation of an action value of 1, in metres.
pub const TRANSLATION_SCALE: f32 = 0.025;
/// Rotation of an action value of 1, in radians.
pub const ROTATION_SCALE: f32 = 0.2;
/// Largest change of the gap per physics step, in metres: two control steps from open to closed.
const OPENING_SPEED: f32 = MAX_OPENING / (2 * SUBSTEPS) as f32;
/// Depth to which the gripper may overlap a block that it pushes, in metres.
const PUSH_DEPTH: f32 = 0.008;
/// Depth to which the gripper may overlap a block that it stands on, in metres.
const STAND_DEPTH: f32 = 0.001;

const BLOCK: Vec3 = Vec3::splat(BLOCK_HALF);

/// Applies one action: six motion values in `[-1, 1]`, then the gripper in `[0, 1]`; values outside are clamped.
pub(super) fn apply_action(scene: &mut Scene, action: &[f32; 7]) {
    let target = target_pose(&scene.robot.tool, action);
    let target_opening = action[6].clamp(0.0, 1.0) * MAX_OPENING;
    for substep in 0..SUBSTEPS {
        let share = 1.0 / (SUBSTEPS - substep) as f32;
        // Between two allowed rotations the shortest way can lead a little outside.
        let wanted = limit_pose(&scene.robot.tool.lerp(&target, share));
        scene.robot.tool = free_pose(scene, &wanted);
        move_fingers(scene, target_opening);
        advance(scene);
    }
}

/// Lets the physics engine take one step.
pub(super) fn advance(scene: &mut Scene) {
    scene.robot.drive(&mut scene.world, scene.block);
    scene.world.step();
}

fn target_pose(tool: &Pose3, action: &[f32; 7]) -> Pose3 {
    let [dx, dy, dz, droll, dpitch, dyaw, _] = action.map(|value| value.clamp(-1.0, 1.0));
    let translation = tool.rotation * (Vec3::new(dx, dy, dz) * TRANSLATION_SCALE);
    let turn = Quat::from_euler(
        EulerRot::ZYX,
        dyaw * ROTATION_SCALE,
        dpitch * ROTATION_SCALE,
        droll * ROTATION_SCALE,
    );
    limit_pose(&Pose3::from_parts(
        tool.translation + translation,
        (tool.rotation * turn).normalize(),
    ))
}

/// Returns the wanted pose, or the nearest part of the motion that is free: along the table, upright, or none.
fn free_pose(scene: &Scene, wanted: &Pose3) -> Pose3 {
    let now = scene.robot.tool;
    let at = |translation: Vec3| Pose3::from_parts(translation, wanted.rotation);
    let level = wanted.translation.truncate().extend(now.translation.z);
    let upright = now.translation.truncate().extend(wanted.translation.z);
    let candidates = [
        *wanted,
        at(level),
        at(upright),
        Pose3::from_parts(wanted.translation, now.rotation),
    ];
    candidates
        .into_iter()
        .find(|candidate| is_free(scene, candidate))
        .unwrap_or(now)
}

fn is_free(scene: &Scene, tool: &Pose3) -> bool {
    let now = &scene.robot.tool;
    let hand = hand_parts(scene.robot.opening);
    let held = scene.robot.held.map(|pose| (pose, BLOCK));
    hand.into_iter().chain(held).all(|(part, half)| {
        let (before, after) = (*now * part, *tool * part);
        let bottom = lowest_point(&after, half);
        if bottom < 0.0 && bottom < lowest_point(&before, half) {
            return false;
        }
        let deepens = |obstacle: &Pose3, obstacle_half: Vec3, allowed: f32| {
            let depth = overlap(&after, half, obstacle, obstacle_half);
            depth > allowed && depth > overlap(&before, half, obstacle, obstacle_half) + 1e-5
        };
        let hits_obstacle = scene
            .obstacles
            .iter()
            .filter_map(|handle| scene.world.colliders.get(*handle))
            .any(|collider| {
                collider
                    .shape()
                    .as_cuboid()
                    .is_some_and(|cuboid| deepens(collider.position(), cuboid.half_extents, 0.0))
            });
        let hits_block = scene.robot.held.is_none()
            && scene.block_pose().is_some_and(|block| {
                let stands = lowest_point(&before, half) > highest_point(&block, BLOCK) - 2.0 * STAND_DEPTH;
                deepens(&block, BLOCK, if stands { STAND_DEPTH } else { PUSH_DEPTH })
            });
        !hits_obstacle && !hits_block
    })
}

/// Opens or closes the fingers a little; takes hold of a block between them or lets go of it.
fn move_fingers(scene: &mut Scene, target_opening: f32) {
    let opening = scene.robot.opening;
    if scene.robot.held.is_some() {
        if target_opening <= opening {
            return;
        }
        scene.robot.held = None;
        scene.set_block_held(false);
    } else if target_opening < opening
        && let Some(block) = scene.block_pose()
        && is_between_fingers(scene, &block)
    {
        scene.robot.held = Some(scene.robot.tool.inverse() * block);
        scene.set_block_held(true);
        return;
    }
    scene.robot.opening = opening + (target_opening - opening).clamp(-OPENING_SPEED, OPENING_SPEED);
}

/// Returns whether both fingers press on the block from its sides.
fn is_between_fingers(scene: &Scene, block: &Pose3) -> bool {
    let tool = &scene.robot.tool;
    let across = tool.rotation * Vec3::Y;
    hand_parts(scene.robot.opening)[..2].iter().all(|(part, _)| {
        let finger = *tool * *part;
        let contact = query::contact(&finger, &Cuboid::new(FINGER_HALF), block, &Cuboid::new(BLOCK), 0.0005);
        matches!(contact, Ok(Some(contact)) if contact.normal1.dot(across).abs() > 0.7)
    })
}

/// Returns how deep two boxes overlap, in metres; 0 where they don't.
fn overlap(pose: &Pose3, half: Vec3, other: &Pose3, other_half: Vec3) -> f32 {
    // Most pairs are far apart.
    let reach = half.length() + other_half.length();
    if pose.translation.distance_squared(other.translation) > reach * reach {
        return 0.0;
    }
    match query::contact(pose, &Cuboid::new(half), other, &Cuboid::new(other_half), 0.0) {
        Ok(Some(contact)) => (-contact.dist).max(0.0),
        _ => 0.0,
    }
}

fn lowest_point(pose: &Pose3, half: Vec3) -> f32 {
    pose.translation.z - vertical_half_extent(pose, half)
}

fn highest_point(pose: &Pose3, half: Vec3) -> f32 {
    pose.translation.z + vertical_half_extent(pose, half)
}

fn vertical_half_extent(pose: &Pose3, half: Vec3) -> f32 {
    [Vec3::X * half.x, Vec3::Y * half.y, Vec3::Z * half.z]
        .into_iter()
        .map(|axis| (pose.rotation * axis).z.abs())
        .sum()
}
