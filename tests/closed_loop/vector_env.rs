//! Envs stepped together answer as they do alone.

use worldloop::envs::learned::{LearnedBatch, LearnedEnv};
use worldloop::envs::physics::PhysicsTask;
use worldloop::envs::vector::{
    AutoresetMode, EnvBatch, EpisodeStart, SerialBatch, ThreadedBatch, VectorEnv, VectorReset, VectorStep,
};
use worldloop::envs::wrappers::{TimeLimit, WrapEnv};
use worldloop::envs::{ActionChunk, Env};

use crate::worlds::{CHUNK, network, network_env, physics, play, random_actions, scripted};

const MODES: [AutoresetMode; 2] = [AutoresetMode::NextStep, AutoresetMode::SameStep];

/// Plays rounds of ragged chunks, some of them empty.
fn rounds<B: EnvBatch>(mut vector: VectorEnv<B>, rounds: usize, longest: usize) -> Vec<Vec<Vec<VectorStep>>> {
    let num_envs = vector.num_envs();
    vector
        .reset(&VectorReset::seeded(30, num_envs))
        .expect("the seeds are valid");
    let space = vector.spec().action_space.clone();
    let round = |round: usize| {
        let chunk = |index: usize| {
            let seed = (round * num_envs + index) as u64;
            ActionChunk(random_actions(&space, seed, (3 * round + 2 * index) % (longest + 1)))
        };
        vector
            .step_chunk(&(0..num_envs).map(chunk).collect::<Vec<_>>())
            .expect("the actions are valid")
    };
    (0..rounds).map(round).collect()
}

fn limited_physics() -> Vec<Box<dyn Env>> {
    let env = |task| -> Box<dyn Env> { Box::new(physics(task).wrap(TimeLimit::new(9)).expect("the limit is valid")) };
    PhysicsTask::ALL.map(env).into()
}

#[test]
fn threaded_physics_equals_serial_physics() {
    for mode in MODES {
        let serial = VectorEnv::new(SerialBatch::new(limited_physics()).unwrap(), mode);
        let threaded = VectorEnv::new(ThreadedBatch::new(limited_physics()).unwrap(), mode);
        assert!(rounds(serial, 8, 6) == rounds(threaded, 8, 6), "{mode:?}");
    }
}

#[test]
fn vector_equals_serial_in_physics() {
    let envs = PhysicsTask::ALL.map(|task| -> Box<dyn Env> { Box::new(physics(task)) });
    let mut batch = ThreadedBatch::new(envs.into()).unwrap();
    let start = |seed| {
        Some(EpisodeStart {
            seed: Some(seed),
            ..Default::default()
        })
    };
    batch.reset(&[start(40), start(41), start(42)]).unwrap();
    let space = batch.spec().action_space.clone();
    let chunks: Vec<ActionChunk> = (40..43)
        .map(|seed| ActionChunk(random_actions(&space, seed, 6)))
        .collect();
    let together = batch.step_chunk(&chunks).unwrap();
    for ((task, seed), found) in PhysicsTask::ALL.into_iter().zip(40..).zip(together) {
        assert!(found == play(&mut physics(task), seed, 6, 6).1, "{}", task.name());
    }
}

#[test]
fn batched_network_world_equals_single_envs() {
    for mode in MODES {
        let single = |_| -> Box<dyn Env> { Box::new(network_env()) };
        let serial = VectorEnv::new(SerialBatch::new((0..3).map(single).collect()).unwrap(), mode);
        let batched = VectorEnv::new(LearnedBatch::new(network(), 3).unwrap(), mode);
        assert!(
            rounds(serial, 4, CHUNK + 2) == rounds(batched, 4, CHUNK + 2),
            "{mode:?}"
        );
    }
}

#[test]
fn batched_scripted_world_equals_single_envs() {
    for mode in MODES {
        let single = |_| -> Box<dyn Env> { Box::new(LearnedEnv::new(scripted()).unwrap()) };
        let serial = VectorEnv::new(SerialBatch::new((0..6).map(single).collect()).unwrap(), mode);
        let batched = VectorEnv::new(LearnedBatch::new(scripted(), 6).unwrap(), mode);
        assert!(rounds(serial, 40, 9) == rounds(batched, 40, 9), "{mode:?}");
    }
}

#[test]
fn an_episode_does_not_depend_on_the_batch_size() {
    let mut alone = network_env();
    let expected = play(&mut alone, 50, CHUNK, CHUNK).1;
    for num_envs in [1, 2, 5] {
        let mut vector = VectorEnv::new(LearnedBatch::new(network(), num_envs).unwrap(), AutoresetMode::Disabled);
        vector.reset(&VectorReset::seeded(50, num_envs)).unwrap();
        let space = vector.spec().action_space.clone();
        let chunk = |index: usize| ActionChunk(random_actions(&space, 50 + index as u64, CHUNK));
        let answers = vector
            .step_chunk(&(0..num_envs).map(chunk).collect::<Vec<_>>())
            .unwrap();
        let found: Vec<_> = answers[0].iter().map(|answer| answer.step.clone()).collect();
        assert!(found == expected, "{num_envs} envs");
    }
}
