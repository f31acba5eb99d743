use rapier3d::math::glamx::{Pose3, Quat, Vec3};

use super::*;
use crate::error::EnvError;
use crate::{Action, Env, Observation, ResetOptions, Step, check_env, seeding};

fn env(task: PhysicsTask) -> PhysicsEnv {
    PhysicsEnv::new(PhysicsConfig::for_task(task))
}

fn reset(env: &mut PhysicsEnv, seed: u64) -> Observation {
    env.reset(Some(seed), &ResetOptions::default()).unwrap().0
}

fn vector(observation: &Observation, name: &str) -> Vec3 {
    Vec3::from_slice(&observation.privileged[name])
}

fn number(observation: &Observation, name: &str) -> f32 {
    observation.privileged[name][0]
}

/// One action towards a position, with the yaw kept at a wanted angle.
fn towards(observation: &Observation, goal: Vec3, yaw: f32, gripper: f32) -> Action {
    let turn = number(observation, privileged::GRIPPER_YAW);
    let way = Quat::from_rotation_z(-turn) * (goal - vector(observation, privileged::GRIPPER_POSITION));
    let way = (way / TRANSLATION_SCALE).clamp(Vec3::splat(-1.0), Vec3::ONE);
    let turning = ((yaw - turn) / ROTATION_SCALE).clamp(-1.0, 1.0);
    Action(vec![way.x, way.y, way.z, 0.0, 0.0, turning, gripper])
}

/// Steps towards a position for a number of steps, or until the episode ends.
fn go(
    env: &mut PhysicsEnv,
    observation: &mut Observation,
    goal: Vec3,
    yaw: f32,
    gripper: f32,
    steps: usize,
) -> Option<Step> {
    let mut last = None;
    for _ in 0..steps {
        let step = env.step(&towards(observation, goal, yaw, gripper)).unwrap();
        *observation = step.observation.clone();
        let ended = step.is_last();
        last = Some(step);
        if ended {
            break;
        }
    }
    last
}

/// Takes hold of the block and lifts it.
fn grasp(env: &mut PhysicsEnv, observation: &mut Observation) {
    let block = vector(observation, privileged::BLOCK_POSITION);
    let yaw = number(observation, privileged::BLOCK_YAW);
    go(env, observation, block + Vec3::Z * 0.08, yaw, 1.0, 12);
    go(env, observation, block, yaw, 1.0, 5);
    go(env, observation, block, yaw, 0.0, 2);
    go(env, observation, block + Vec3::Z * 0.08, 0.0, 0.0, 5);
}

#[test]
fn the_contract_is_kept_in_every_task() {
    for task in PhysicsTask::ALL {
        let mut env = PhysicsEnv::new(PhysicsConfig {
            wrist_image_size: Some(16),
            image_size: 32,
            ..PhysicsConfig::for_task(task)
        });
        check_env(&mut env, 3).unwrap();
    }
}

#[test]
fn same_seed_same_episode() {
    for task in PhysicsTask::ALL {
        let mut rng = seeding::rng(5, 0);
        let (mut first, mut second) = (env(task), env(task));
        // The second env has a past.
        reset(&mut second, 99);
        second.step(&Action(vec![1.0; 7])).unwrap();
        assert_eq!(reset(&mut first, 7), reset(&mut second, 7));
        for _ in 0..20 {
            let action = first.spec().action_space.sample(&mut rng);
            let (a, b) = (first.step(&action).unwrap(), second.step(&action).unwrap());
            assert_eq!(a, b);
            if a.is_last() {
                break;
            }
        }
    }
}

#[test]
fn different_seed_different_scene() {
    for task in PhysicsTask::ALL {
        let mut env = env(task);
        let (first, second) = (reset(&mut env, 1), reset(&mut env, 2));
        assert_ne!(
            first.privileged[privileged::TARGET_POSITION],
            second.privileged[privileged::TARGET_POSITION]
        );
        assert_ne!(first.images, second.images);
    }
}

#[test]
fn unseeded_episodes_follow_from_the_last_seed() {
    let unseeded = |env: &mut PhysicsEnv| env.reset(None, &ResetOptions::default()).unwrap().0;
    let (mut first, mut second) = (env(PhysicsTask::Reach), env(PhysicsTask::Reach));
    let seeded = reset(&mut first, 4);
    reset(&mut second, 4);
    let next = unseeded(&mut first);
    assert_ne!(next, seeded);
    assert_eq!(next, unseeded(&mut second));
}

#[test]
fn fingertips_at_the_ball_are_a_success() {
    let mut env = env(PhysicsTask::Reach);
    let mut observation = reset(&mut env, 0);
    let ball = vector(&observation, privileged::TARGET_POSITION);
    let last = go(&mut env, &mut observation, ball, 0.0, 0.0, 32).unwrap();
    assert!(last.terminated && !last.truncated);
    assert_eq!(last.info.success, Some(true));
    assert_eq!(last.info.metrics["progress"], 1.0);
    assert!(last.reward > 1.0);
    assert!(vector(&observation, privileged::GRIPPER_POSITION).distance(ball) <= 0.03);
    let after = env.step(&Action(vec![0.0; 7]));
    assert!(matches!(
        after,
        Err(EnvError::ResetNeeded {
            when: "after the episode ended",
            ..
        })
    ));
}

#[test]
fn push_moves_the_block() {
    let mut env = env(PhysicsTask::Push);
    let mut observation = reset(&mut env, 3);
    let block = vector(&observation, privileged::BLOCK_POSITION);
    let beside = block - Vec3::X * 0.07;
    go(&mut env, &mut observation, beside.with_z(0.1), 0.0, 0.0, 12);
    go(&mut env, &mut observation, beside, 0.0, 0.0, 4);
    let before = vector(&observation, privileged::BLOCK_POSITION);
    assert!(before.distance(block) < 1e-3, "the block moved before it was touched");
    go(&mut env, &mut observation, block, 0.0, 0.0, 3);
    let after = vector(&observation, privileged::BLOCK_POSITION);
    assert!(after.x > block.x + 0.03, "{after}");
    assert!((after.z - block.z).abs() < 2e-3, "{after}");
}

#[test]
fn grasp_lifts_the_block() {
    let mut env = env(PhysicsTask::PickAndPlace);
    for seed in 0..5 {
        let mut observation = reset(&mut env, seed);
        assert_eq!(number(&observation, privileged::HELD), 0.0);
        grasp(&mut env, &mut observation);
        assert_eq!(number(&observation, privileged::HELD), 1.0);
        assert!(vector(&observation, privileged::BLOCK_POSITION).z > 0.09);
        // The gap is about as wide as the block.
        assert!((number(&observation, privileged::GRIPPER_OPENING) * MAX_OPENING - 0.05).abs() < 0.008);
    }
}

#[test]
fn released_on_the_pad_is_a_success_and_held_over_it_is_not() {
    let mut env = env(PhysicsTask::PickAndPlace);
    let mut observation = reset(&mut env, 1);
    grasp(&mut env, &mut observation);
    let pad = vector(&observation, privileged::TARGET_POSITION);
    go(&mut env, &mut observation, pad + Vec3::Z * 0.08, 0.0, 0.0, 14);
    let held = go(&mut env, &mut observation, pad + Vec3::Z * 0.025, 0.0, 0.0, 4).unwrap();
    assert_eq!(held.info.success, Some(false));
    assert!(held.info.metrics["progress"] > 0.8);
    let last = go(&mut env, &mut observation, pad + Vec3::Z * 0.03, 0.0, 1.0, 4).unwrap();
    assert_eq!(last.info.success, Some(true));
}

#[test]
fn dropped_block_falls_to_the_table() {
    let mut env = env(PhysicsTask::PickAndPlace);
    let mut observation = reset(&mut env, 1);
    grasp(&mut env, &mut observation);
    let here = vector(&observation, privileged::GRIPPER_POSITION);
    go(&mut env, &mut observation, here, 0.0, 1.0, 5);
    assert_eq!(number(&observation, privileged::HELD), 0.0);
    assert!((vector(&observation, privileged::BLOCK_POSITION).z - scene::BLOCK_HALF).abs() < 2e-3);
}

#[test]
fn gripper_stands_on_a_block_instead_of_crushing_it() {
    let mut env = env(PhysicsTask::Push);
    let mut observation = reset(&mut env, 2);
    let block = vector(&observation, privileged::BLOCK_POSITION);
    go(&mut env, &mut observation, block + Vec3::Z * 0.07, 0.0, 0.0, 14);
    go(&mut env, &mut observation, block, 0.0, 0.0, 6);
    let fingertip = vector(&observation, privileged::GRIPPER_POSITION).z - 0.011;
    assert!(fingertip > 2.0 * scene::BLOCK_HALF - 0.005, "fingertips at {fingertip}");
    assert!((vector(&observation, privileged::BLOCK_POSITION).z - scene::BLOCK_HALF).abs() < 3e-3);
}

#[test]
fn random_actions_never_leave_the_spaces() {
    for task in PhysicsTask::ALL {
        let mut env = env(task);
        let mut rng = seeding::rng(11, 0);
        for seed in 0..10 {
            reset(&mut env, seed);
            for _ in 0..40 {
                // Four times as far as the space allows, to reach every limit.
                let action = Action(
                    env.spec()
                        .action_space
                        .sample(&mut rng)
                        .0
                        .iter()
                        .map(|value| value * 4.0)
                        .collect(),
                );
                let step = env.step(&action).unwrap();
                let space = &env.spec().observation_space.proprioception;
                assert!(
                    space.contains(&step.observation.proprioception),
                    "{:?}",
                    step.observation.proprioception
                );
                assert!((0.0..=1.0).contains(&step.info.metrics["progress"]));
                if task != PhysicsTask::Reach {
                    let block = vector(&step.observation, privileged::BLOCK_POSITION);
                    assert!(
                        block.is_finite() && block.z > 0.0 && block.truncate().length() < 0.5,
                        "{block}"
                    );
                }
                if step.is_last() {
                    break;
                }
            }
        }
    }
}

#[test]
fn values_outside_the_space_act_like_the_bounds() {
    let (mut first, mut second) = (env(PhysicsTask::Reach), env(PhysicsTask::Reach));
    reset(&mut first, 1);
    reset(&mut second, 1);
    let inside = first.step(&Action(vec![1.0, -1.0, 1.0, 0.0, 0.0, 1.0, 1.0])).unwrap();
    let outside = second.step(&Action(vec![9.0, -3.0, 1.5, 0.0, 0.0, 2.0, 5.0])).unwrap();
    assert_eq!(inside, outside);
}

#[test]
fn full_action_moves_by_the_scale_in_the_gripper_frame() {
    let mut env = env(PhysicsTask::Reach);
    let before = reset(&mut env, 6);
    let after = env
        .step(&Action(vec![1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
        .unwrap()
        .observation;
    let forward = Quat::from_rotation_z(number(&before, privileged::GRIPPER_YAW)) * Vec3::X;
    let expected = vector(&before, privileged::GRIPPER_POSITION) + forward * TRANSLATION_SCALE;
    assert!(vector(&after, privileged::GRIPPER_POSITION).distance(expected) < 1e-5);
}

#[test]
fn wrong_actions_are_errors_that_name_the_problem() {
    let mut env = env(PhysicsTask::Reach);
    let early = env.step(&Action(vec![0.0; 7]));
    assert!(matches!(
        early,
        Err(EnvError::ResetNeeded {
            when: "before the first reset",
            ..
        })
    ));
    reset(&mut env, 0);
    assert!(matches!(
        env.step(&Action(vec![0.0; 6])),
        Err(EnvError::ActionSize {
            expected: 7,
            found: 6,
            ..
        })
    ));
    let nan = env.step(&Action(vec![0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0]));
    assert!(matches!(nan, Err(EnvError::ActionNotFinite { index: 1, .. })));
}

#[test]
fn unknown_names_are_errors_that_list_the_known() {
    let mut env = env(PhysicsTask::Reach);
    let juggle = ResetOptions {
        task: Some("juggle".to_owned()),
        ..ResetOptions::default()
    };
    let error = env.reset(Some(0), &juggle).unwrap_err().to_string();
    assert!(error.contains("juggle") && error.contains("pick_and_place"), "{error}");
    let push = ResetOptions {
        task: Some("push".to_owned()),
        ..ResetOptions::default()
    };
    env.reset(Some(0), &push).unwrap();
    assert_eq!(env.spec().name, "physics/push");
    let error = env.render_camera("ceiling", 8, 8).unwrap_err().to_string();
    assert!(error.contains("ceiling") && error.contains("wrist"), "{error}");
}

#[test]
fn steps_after_a_restore_are_the_steps_after_the_snapshot() {
    let mut env = env(PhysicsTask::PickAndPlace);
    let mut observation = reset(&mut env, 2);
    grasp(&mut env, &mut observation);
    let snapshot = env.snapshot().unwrap();
    let actions = [
        Action(vec![0.5, 0.5, -0.2, 0.1, 0.0, 0.3, 0.0]),
        Action(vec![-0.5, 0.1, 0.0, 0.0, 0.0, 0.0, 1.0]),
    ];
    let play = |env: &mut PhysicsEnv| -> Vec<Step> {
        actions
            .iter()
            .cycle()
            .take(6)
            .map(|action| env.step(action).unwrap())
            .collect()
    };
    let first = play(&mut env);
    assert_eq!(env.restore(&snapshot).unwrap(), observation);
    assert_eq!(play(&mut env), first);
    let mut other = PhysicsEnv::new(PhysicsConfig::default());
    other.restore(&snapshot).unwrap();
    assert_eq!(other.spec().task, "pick_and_place");
    assert_eq!(play(&mut other), first);
}

#[test]
fn depth_matches_geometry() {
    let mut env = env(PhysicsTask::Push);
    let observation = reset(&mut env, 5);
    let block = vector(&observation, privileged::BLOCK_POSITION);
    for camera in [THIRD_PERSON, WRIST] {
        let frame = env.render_camera(camera, 48, 40).unwrap();
        let pose = frame.world_from_camera;
        let world_from_camera = Pose3::from_parts(Vec3::from_array(pose.position), Quat::from_array(pose.rotation));
        let mut blocks = 0;
        for (index, (&depth, &segment)) in frame.depth.iter().zip(&frame.segmentation).enumerate() {
            let (u, v) = ((index % 48) as f32 + 0.5, (index / 48) as f32 + 0.5);
            let Intrinsics { fx, fy, cx, cy } = frame.intrinsics;
            let point = world_from_camera.transform_point(Vec3::new((u - cx) / fx, (v - cy) / fy, 1.0) * depth);
            if segment == Segment::Table as u8 {
                assert!(point.z.abs() < 1e-4, "table at {point}");
            } else if segment == Segment::Block as u8 {
                blocks += 1;
                let size = (point - block).abs();
                assert!(
                    size.truncate().max_element() < 1.5 * scene::BLOCK_HALF && size.z < scene::BLOCK_HALF + 1e-3,
                    "block at {point}"
                );
            }
        }
        assert!(camera == WRIST || blocks > 10, "the third-person camera sees the block");
    }
}

#[test]
fn the_fixed_camera_sees_every_part_of_the_scene() {
    for task in PhysicsTask::ALL {
        let mut env = env(task);
        for seed in 0..20 {
            let observation = reset(&mut env, seed);
            let frame = env.render_camera(THIRD_PERSON, 64, 64).unwrap();
            assert_eq!(frame.rgb, observation.images[THIRD_PERSON]);
            let pixels = |segment: Segment| {
                frame
                    .segmentation
                    .iter()
                    .filter(|value| **value == segment as u8)
                    .count()
            };
            assert!(
                pixels(Segment::Gripper) > 20 && pixels(Segment::Table) > 2000,
                "seed {seed} of {task:?}"
            );
            // The gripper may hide part of the target, never all of the scene's things.
            assert_eq!(pixels(Segment::Background), 0);
        }
    }
}

#[test]
fn the_gripper_throws_a_shadow_on_the_table() {
    let mut env = env(PhysicsTask::Reach);
    reset(&mut env, 0);
    let frame = env.render_camera(THIRD_PERSON, 64, 64).unwrap();
    let brightness = |index: usize| frame.rgb.as_raw()[3 * index];
    let table = |index: &usize| frame.segmentation[*index] == Segment::Table as u8;
    let lit = (0..64 * 64).filter(table).map(brightness).max().unwrap();
    let dark = (0..64 * 64)
        .filter(table)
        .filter(|index| f32::from(brightness(*index)) < 0.75 * f32::from(lit))
        .count();
    assert!((20..600).contains(&dark), "{dark} pixels of the table are in shadow");
}

#[test]
fn the_wrist_camera_is_observed_where_asked_for() {
    let config = PhysicsConfig {
        wrist_image_size: Some(24),
        ..PhysicsConfig::default()
    };
    let mut env = PhysicsEnv::new(config);
    let observation = reset(&mut env, 0);
    assert_eq!(observation.images[WRIST].dimensions(), (24, 24));
    assert_eq!(observation.images[THIRD_PERSON].dimensions(), (64, 64));
    assert_eq!(env.spec().observation_space.images.len(), 2);
}
