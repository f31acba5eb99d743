//! The table top: bodies, colliders and how they look.

use rapier3d::math::glamx::{Pose3, Quat, Vec3};
use rapier3d::prelude::{
    Collider, ColliderBuilder, ColliderHandle, InteractionGroups, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle,
    RigidBodyType,
};

use super::palette;
use super::robot::Robot;
use super::tasks::{BlockLayout, Layout, PhysicsTask, TargetLayout};

/// Half the side of a block, in metres.
pub(super) const BLOCK_HALF: f32 = 0.025;
/// Radius of the ball to reach, in metres.
pub(super) const BALL_RADIUS: f32 = 0.028;
/// Radius of the zone to push onto, in metres.
pub(super) const ZONE_RADIUS: f32 = 0.055;
/// Half extents of the pad to place on, in metres.
pub(super) const PAD_HALF: Vec3 = Vec3::new(0.045, 0.045, 0.015);
/// Half extents of the table, in metres; its top is at height 0.
const TABLE_HALF: Vec3 = Vec3::new(0.60, 0.60, 0.02);
/// Simulated time per physics step, in seconds.
pub(super) const PHYSICS_DT: f32 = 0.02;

/// What a collider stands for in segmentation images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Segment {
    /// Nothing was hit.
    Background = 0,
    /// The table.
    Table = 1,
    /// The arm and its base.
    Arm = 2,
    /// Palm and fingers.
    Gripper = 3,
    /// A block.
    Block = 4,
    /// The ball, zone or pad.
    Target = 5,
}

/// How a collider looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Surface {
    pub(super) albedo: [f32; 3],
    pub(super) segment: Segment,
}

/// All bodies of an episode.
pub(super) struct Scene {
    pub(super) world: PhysicsWorld,
    pub(super) robot: Robot,
    pub(super) block: Option<RigidBodyHandle>,
    /// The point of the target that the task measures to.
    pub(super) target: Vec3,
    /// Colliders that stop the gripper beside the table, which is at height 0.
    pub(super) obstacles: Vec<ColliderHandle>,
    /// Indexed by the colliders' user data.
    surfaces: Vec<Surface>,
}

impl Scene {
    /// Builds the scene of an episode's start.
    pub(super) fn new(task: PhysicsTask, layout: &Layout) -> Self {
        let mut world = PhysicsWorld {
            gravity: Vec3::new(0.0, 0.0, -9.81),
            ..PhysicsWorld::default()
        };
        world.integration_parameters.dt = PHYSICS_DT;
        // Tolerances follow this length; the objects are centimetres long.
        world.integration_parameters.length_unit = 0.1;
        let mut builder = SceneBuilder {
            world,
            surfaces: Vec::new(),
        };
        builder.add_table();
        let (target, obstacles) = builder.add_target(task, &layout.target);
        let block = layout.block.as_ref().map(|block| builder.add_block(block));
        let robot = Robot::new(&mut builder, layout);
        Self {
            world: builder.world,
            robot,
            block,
            target,
            obstacles,
            surfaces: builder.surfaces,
        }
    }

    /// Returns the pose of the block, where there is one.
    pub(super) fn block_pose(&self) -> Option<Pose3> {
        self.block.map(|block| *self.world.bodies[block].position())
    }

    /// Calls `visit` with every collider and its look, in a fixed order.
    pub(super) fn for_each_surface(&self, mut visit: impl FnMut(&Collider, &Surface)) {
        for (_, collider) in self.world.colliders.iter() {
            if let Some(surface) = usize::try_from(collider.user_data)
                .ok()
                .and_then(|index| self.surfaces.get(index))
            {
                visit(collider, surface);
            }
        }
    }

    /// Hangs the block on the gripper, or lets physics have it again.
    pub(super) fn set_block_held(&mut self, held: bool) {
        let Some(block) = self.block.and_then(|block| self.world.bodies.get_mut(block)) else {
            return;
        };
        let kind = if held {
            RigidBodyType::KinematicPositionBased
        } else {
            RigidBodyType::Dynamic
        };
        block.set_body_type(kind, true);
        block.set_linvel(Vec3::ZERO, true);
        block.set_angvel(Vec3::ZERO, true);
    }

    /// Returns an independent copy.
    pub(super) fn duplicate(&self) -> Self {
        let world = &self.world;
        Self {
            world: PhysicsWorld {
                gravity: world.gravity,
                integration_parameters: world.integration_parameters,
                islands: world.islands.clone(),
                broad_phase: world.broad_phase.clone(),
                narrow_phase: world.narrow_phase.clone(),
                bodies: world.bodies.clone(),
                colliders: world.colliders.clone(),
                impulse_joints: world.impulse_joints.clone(),
                multibody_joints: world.multibody_joints.clone(),
                soft_bodies: world.soft_bodies.clone(),
                ccd_solver: world.ccd_solver.clone(),
                // The pipelines hold scratch memory only.
                ..PhysicsWorld::default()
            },
            robot: self.robot.clone(),
            block: self.block,
            target: self.target,
            obstacles: self.obstacles.clone(),
            surfaces: self.surfaces.clone(),
        }
    }
}

/// A scene under construction.
pub(super) struct SceneBuilder {
    world: PhysicsWorld,
    surfaces: Vec<Surface>,
}

impl SceneBuilder {
    /// Adds a body with one visible collider.
    pub(super) fn add(
        &mut self,
        body: RigidBodyBuilder,
        shape: ColliderBuilder,
        surface: Surface,
    ) -> (RigidBodyHandle, ColliderHandle) {
        let index = self.surfaces.len() as u128;
        self.surfaces.push(surface);
        self.world.insert(body, shape.user_data(index))
    }

    /// Adds a body that is seen but touches nothing.
    pub(super) fn add_ghost(
        &mut self,
        body: RigidBodyBuilder,
        shape: ColliderBuilder,
        surface: Surface,
    ) -> RigidBodyHandle {
        self.add(body, shape.collision_groups(InteractionGroups::none()), surface)
            .0
    }

    fn add_table(&mut self) {
        let body = RigidBodyBuilder::fixed().translation(Vec3::new(0.0, 0.0, -TABLE_HALF.z));
        let shape = ColliderBuilder::cuboid(TABLE_HALF.x, TABLE_HALF.y, TABLE_HALF.z).friction(0.6);
        self.add(
            body,
            shape,
            Surface {
                albedo: palette::TABLE,
                segment: Segment::Table,
            },
        );
    }

    fn add_block(&mut self, layout: &BlockLayout) -> RigidBodyHandle {
        let pose = Pose3::from_parts(layout.position.extend(BLOCK_HALF), Quat::from_rotation_z(layout.yaw));
        let body = RigidBodyBuilder::dynamic()
            .pose(pose)
            .linear_damping(0.5)
            .angular_damping(1.0)
            .can_sleep(false);
        let shape = ColliderBuilder::cuboid(BLOCK_HALF, BLOCK_HALF, BLOCK_HALF)
            .friction(0.6)
            .density(500.0);
        self.add(
            body,
            shape,
            Surface {
                albedo: layout.color.rgb,
                segment: Segment::Block,
            },
        )
        .0
    }

    /// Adds ball, zone or pad; returns the point to measure to and what stands in the gripper's way.
    fn add_target(&mut self, task: PhysicsTask, layout: &TargetLayout) -> (Vec3, Vec<ColliderHandle>) {
        let surface = Surface {
            albedo: layout.color.rgb,
            segment: Segment::Target,
        };
        let at = |height: f32| layout.position.extend(height);
        match task {
            PhysicsTask::Reach => {
                let body = RigidBodyBuilder::fixed().translation(at(BALL_RADIUS));
                self.add_ghost(body, ColliderBuilder::ball(BALL_RADIUS), surface);
                (at(BALL_RADIUS), Vec::new())
            }
            PhysicsTask::Push => {
                // Cylinders lie along y.
                let upright = Pose3::from_parts(at(0.0), Quat::from_rotation_x(std::f32::consts::FRAC_PI_2));
                let body = RigidBodyBuilder::fixed().pose(upright);
                self.add_ghost(body, ColliderBuilder::cylinder(0.001, ZONE_RADIUS), surface);
                (at(0.0), Vec::new())
            }
            PhysicsTask::PickAndPlace => {
                let body = RigidBodyBuilder::fixed().translation(at(PAD_HALF.z));
                let shape = ColliderBuilder::cuboid(PAD_HALF.x, PAD_HALF.y, PAD_HALF.z).friction(0.8);
                let (_, pad) = self.add(body, shape, surface);
                (at(2.0 * PAD_HALF.z), vec![pad])
            }
        }
    }
}
