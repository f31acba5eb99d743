//! The gripper arm: kinematic bodies that follow the tool pose.

use rapier3d::math::glamx::{Pose3, Quat, Vec3};
use rapier3d::prelude::{ColliderBuilder, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle};

use super::gripper::{FINGER_HALF, PALM_CENTER_Z, PALM_HALF, WRIST_Z, hand_parts, rotation_from};
use super::inverse_kinematics::elbow_position;
use super::palette;
use super::scene::{SceneBuilder, Segment, Surface};
use super::tasks::Layout;

/// Where the upper arm begins.
const SHOULDER: Vec3 = Vec3::new(-0.46, 0.0, 0.12);
const UPPER_ARM: f32 = 0.39;
const FOREARM: f32 = 0.39;
const ARM_RADIUS: f32 = 0.022;
const BASE_RADIUS: f32 = 0.05;

/// State of the robot and its bodies.
#[derive(Debug, Clone)]
pub(super) struct Robot {
    /// Pose of the tool frame in the world.
    pub(super) tool: Pose3,
    /// Gap between the fingers in metres.
    pub(super) opening: f32,
    /// Pose of the held block in the tool frame.
    pub(super) held: Option<Pose3>,
    /// Left finger, right finger, palm.
    pub(super) hand: [RigidBodyHandle; 3],
    /// Hand stem, forearm, upper arm.
    arm: [RigidBodyHandle; 3],
}

impl Robot {
    /// Adds the robot to a scene.
    pub(super) fn new(scene: &mut SceneBuilder, layout: &Layout) -> Self {
        let tool = Pose3::from_parts(layout.tool, rotation_from(Vec3::new(0.0, 0.0, layout.tool_yaw)));
        let opening = layout.opening;
        let kinematic = |pose: Pose3| RigidBodyBuilder::kinematic_position_based().pose(pose);
        let look = |albedo, segment| Surface { albedo, segment };

        let parts = hand_parts(opening);
        let finger = ColliderBuilder::cuboid(FINGER_HALF.x, FINGER_HALF.y, FINGER_HALF.z).friction(0.4);
        let palm = ColliderBuilder::cuboid(PALM_HALF.x, PALM_HALF.y, PALM_HALF.z).friction(0.4);
        let fingers = [0, 1].map(|index| {
            let pose = tool * parts[index].0;
            scene
                .add(kinematic(pose), finger.clone(), look(palette::FINGER, Segment::Gripper))
                .0
        });
        let palm = scene
            .add(
                kinematic(tool * parts[2].0),
                palm,
                look(palette::PALM, Segment::Gripper),
            )
            .0;

        let links = arm_links(&tool);
        let lengths = [WRIST_Z - PALM_CENTER_Z, FOREARM, UPPER_ARM];
        let arm = [0, 1, 2].map(|index| {
            let capsule = ColliderBuilder::capsule_y(lengths[index] / 2.0, ARM_RADIUS);
            scene.add_ghost(kinematic(links[index]), capsule, look(palette::ARM, Segment::Arm))
        });
        let column = Pose3::from_parts(
            Vec3::new(SHOULDER.x, SHOULDER.y, SHOULDER.z / 2.0),
            Quat::from_rotation_x(std::f32::consts::FRAC_PI_2),
        );
        let base = ColliderBuilder::cylinder(SHOULDER.z / 2.0, BASE_RADIUS);
        scene.add_ghost(
            RigidBodyBuilder::fixed().pose(column),
            base,
            look(palette::PALM, Segment::Arm),
        );

        Self {
            tool,
            opening,
            held: None,
            hand: [fingers[0], fingers[1], palm],
            arm,
        }
    }

    /// Tells the physics engine where the robot is after the next physics step.
    pub(super) fn drive(&self, world: &mut PhysicsWorld, held_block: Option<RigidBodyHandle>) {
        let hand = hand_parts(self.opening).map(|(pose, _)| self.tool * pose);
        let arm = arm_links(&self.tool);
        for (handle, pose) in self.hand.into_iter().zip(hand).chain(self.arm.into_iter().zip(arm)) {
            world.bodies[handle].set_next_kinematic_position(pose);
        }
        if let (Some(block), Some(tool_from_block)) = (held_block, self.held) {
            world.bodies[block].set_next_kinematic_position(self.tool * tool_from_block);
        }
    }
}

/// Poses of hand stem, forearm and upper arm; each link lies along its own y.
fn arm_links(tool: &Pose3) -> [Pose3; 3] {
    let palm = tool.transform_point(Vec3::Z * PALM_CENTER_Z);
    let wrist = tool.transform_point(Vec3::Z * WRIST_Z);
    let elbow = elbow_position(SHOULDER, wrist, UPPER_ARM, FOREARM);
    [link(palm, wrist), link(wrist, elbow), link(elbow, SHOULDER)]
}

fn link(from: Vec3, to: Vec3) -> Pose3 {
    let direction = (to - from).try_normalize().unwrap_or(Vec3::Y);
    Pose3::from_parts((from + to) / 2.0, Quat::from_rotation_arc(Vec3::Y, direction))
}
