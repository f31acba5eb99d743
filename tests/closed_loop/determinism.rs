//! The same seed gives the same episode.

use worldloop::envs::learned::LearnedEnv;
use worldloop::envs::physics::PhysicsTask;

use crate::worlds::{CHUNK, network_env, physics, play, scripted};

#[test]
fn same_seed_same_physics_episode() {
    for task in PhysicsTask::ALL {
        let first = play(&mut physics(task), 11, 20, 5);
        assert!(first == play(&mut physics(task), 11, 20, 5), "{}", task.name());
        assert!(first.0 != play(&mut physics(task), 12, 1, 1).0, "{}", task.name());
    }
}

#[test]
fn same_seed_same_learned_episode() {
    let (mut one, mut other) = (network_env(), network_env());
    let first = play(&mut one, 11, 2 * CHUNK, CHUNK);
    assert!(
        first == play(&mut other, 11, 2 * CHUNK, CHUNK),
        "another env of the same world differs"
    );
    assert!(
        first == play(&mut one, 11, 2 * CHUNK, CHUNK),
        "an earlier episode left a trace"
    );
    assert!(
        first.1 != play(&mut one, 12, 2 * CHUNK, CHUNK).1,
        "the seed has no effect"
    );
}

#[test]
fn earlier_episodes_leave_no_trace_in_the_scripted_world() {
    let mut env = LearnedEnv::new(scripted()).unwrap();
    let first = play(&mut env, 5, 18, 3);
    play(&mut env, 6, 7, 2);
    assert!(first == play(&mut env, 5, 18, 3), "an earlier episode left a trace");
}
