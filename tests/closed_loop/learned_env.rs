//! A world model as an env.

use worldloop::envs::learned::{LearnedEnv, frame_from_image, image_from_frame};
use worldloop::envs::physics::PhysicsTask;
use worldloop::envs::{
    ActionChunk, CheckOptions, Env, EnvError, Observation, ResetOptions, Step, check_env, check_env_with,
};
use worldloop::world_model::PredictionRequest;

use crate::worlds::{CHUNK, model_spec, network, network_env, physics, random_actions, scripted};

fn pictures(steps: &[Step]) -> Vec<Observation> {
    steps.iter().map(|step| step.observation.clone()).collect()
}

#[test]
fn the_scripted_world_obeys_the_contract() {
    check_env(&mut LearnedEnv::new(scripted()).unwrap(), 3).unwrap();
}

#[test]
fn the_network_world_obeys_the_contract() {
    // Its attention runs both ways in time: frames within a chunk depend on the actions known after them.
    let options = CheckOptions {
        max_steps: 2 * CHUNK + 3,
        exact_chunks: false,
    };
    check_env_with(&mut network_env(), 3, options).unwrap();
}

#[test]
fn episodes_start_where_the_physics_world_starts() {
    for task in PhysicsTask::ALL {
        let options = ResetOptions {
            task: Some(task.name().to_owned()),
            initial: None,
        };
        let (real, _) = physics(task).reset(Some(21), &options).unwrap();
        let mut env = network_env();
        let (learned, _) = env.reset(Some(21), &options).unwrap();
        assert!(learned.images == real.images, "{}", task.name());
        assert_eq!(learned.instruction, real.instruction);
        assert!(learned.proprioception.is_empty() && learned.privileged.is_empty());
        assert_eq!(env.spec().task, task.name());
        assert_eq!(env.spec().action_space, physics(task).spec().action_space);
    }
}

#[test]
fn whole_chunks_are_the_predictions_of_the_model() {
    let world = network();
    let (first, _) = physics(PhysicsTask::Reach)
        .reset(Some(9), &ResetOptions::default())
        .unwrap();
    let space = physics(PhysicsTask::Reach).spec().action_space.clone();
    let actions = random_actions(&space, 1, 2 * CHUNK + 3);
    let rows: Vec<Vec<f32>> = actions.iter().map(|action| action.0.clone()).collect();
    let camera = &model_spec(&world).cameras[0];
    let mut state = world
        .model()
        .start(
            vec![vec![frame_from_image(&first.images[camera])]],
            &first.proprioception,
            9,
        )
        .unwrap();
    let mut expected = Vec::new();
    for chunk in rows.chunks(CHUNK) {
        let request = PredictionRequest {
            state: &state,
            actions: chunk,
        };
        let prediction = world.model().predict(&[request]).unwrap().remove(0);
        expected.extend(prediction.frames[0].iter().map(image_from_frame));
        state = prediction.next_state;
    }
    let mut env = LearnedEnv::new(world.clone()).unwrap();
    env.reset(Some(9), &ResetOptions::default()).unwrap();
    let steps = env.step_chunk(&ActionChunk(actions)).unwrap();
    let found: Vec<_> = steps
        .iter()
        .map(|step| step.observation.images[camera].clone())
        .collect();
    assert!(found == expected, "the env shows other frames than the model predicts");
}

#[test]
fn every_pattern_of_calls_reaches_the_same_chunk_boundary() {
    let mut whole = network_env();
    whole.reset(Some(4), &ResetOptions::default()).unwrap();
    let actions = random_actions(&whole.spec().action_space.clone(), 2, 2 * CHUNK);
    let (first, second) = actions.split_at(CHUNK);
    whole.step_chunk(&ActionChunk(first.to_vec())).unwrap();
    let expected = whole.step_chunk(&ActionChunk(second.to_vec())).unwrap();
    for length in [1, 3, 5] {
        let mut env = network_env();
        env.reset(Some(4), &ResetOptions::default()).unwrap();
        for chunk in first.chunks(length) {
            assert_eq!(env.step_chunk(&ActionChunk(chunk.to_vec())).unwrap().len(), chunk.len());
        }
        let found = env.step_chunk(&ActionChunk(second.to_vec())).unwrap();
        assert!(
            pictures(&found) == pictures(&expected),
            "first chunk in calls of {length}"
        );
    }
}

#[test]
fn a_fork_leaves_the_original_alone() {
    let mut env = network_env();
    env.reset(Some(4), &ResetOptions::default()).unwrap();
    let space = env.spec().action_space.clone();
    env.step_chunk(&ActionChunk(random_actions(&space, 1, 5))).unwrap();
    let snapshot = env.snapshot().unwrap();
    let chunk = ActionChunk(random_actions(&space, 2, CHUNK));
    let expected = env.step_chunk(&chunk).unwrap();
    env.restore(&snapshot).unwrap();
    let mut fork = env.fork().unwrap();
    let other = fork.step_chunk(&ActionChunk(random_actions(&space, 3, CHUNK))).unwrap();
    assert!(pictures(&other) != pictures(&expected), "the actions have no effect");
    assert!(
        env.step_chunk(&chunk).unwrap() == expected,
        "the fork changed the original"
    );
}

#[test]
fn bad_actions_are_named_and_change_nothing() {
    let mut env = network_env();
    env.reset(Some(4), &ResetOptions::default()).unwrap();
    let mut actions = random_actions(&env.spec().action_space.clone(), 2, 3);
    actions[2].0[6] = f32::NAN;
    let error = env.step_chunk(&ActionChunk(actions.clone())).unwrap_err();
    assert!(
        matches!(&error, EnvError::ActionNotFinite { name, .. } if name == "gripper"),
        "{error}"
    );
    actions[2].0.pop();
    let error = env.step_chunk(&ActionChunk(actions.clone())).unwrap_err();
    assert!(
        matches!(
            &error,
            EnvError::ActionSize {
                expected: 7,
                found: 6,
                ..
            }
        ),
        "{error}"
    );
    actions.pop();
    let found = env.step_chunk(&ActionChunk(actions.clone())).unwrap();
    let mut untouched = network_env();
    untouched.reset(Some(4), &ResetOptions::default()).unwrap();
    let expected = untouched.step_chunk(&ActionChunk(actions)).unwrap();
    assert!(found == expected, "a refused action left a trace");
}
