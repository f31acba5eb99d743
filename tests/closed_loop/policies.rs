//! Policies act in both worlds through the same contract.

use worldloop::envs::physics::PhysicsTask;
use worldloop::envs::wrappers::{TimeLimit, WrapEnv};
use worldloop::envs::{Action, Env, ResetOptions, Step};
use worldloop::policies::{Policy, PolicyError, RandomPolicy, ReplayPolicy, ScriptedExpert};

use crate::worlds::{network_env, physics, random_actions};

/// Plays one episode and returns the actions that were taken and their answers.
fn episode(env: &mut dyn Env, policy: &mut dyn Policy, seed: u64) -> Result<Vec<(Action, Step)>, PolicyError> {
    let (mut observation, _) = env
        .reset(Some(seed), &ResetOptions::default())
        .expect("the seed is valid");
    policy.reset(env.spec(), seed)?;
    let mut taken = Vec::new();
    loop {
        let chunk = policy.act(&observation)?;
        let steps = env.step_chunk(&chunk).expect("a policy's actions are valid");
        taken.extend(chunk.0.into_iter().zip(steps));
        let (_, last) = taken.last().expect("a chunk has an action");
        if last.is_last() {
            return Ok(taken);
        }
        observation = last.observation.clone();
    }
}

#[test]
fn a_random_policy_plays_in_both_worlds() {
    let mut policy = RandomPolicy::new().with_chunk_length(5);
    let mut real = physics(PhysicsTask::Push).wrap(TimeLimit::new(12)).unwrap();
    let mut learned = network_env().wrap(TimeLimit::new(12)).unwrap();
    let (real, learned) = (
        episode(&mut real, &mut policy, 3).unwrap(),
        episode(&mut learned, &mut policy, 3).unwrap(),
    );
    let actions = |taken: &[(Action, Step)]| taken.iter().map(|(action, _)| action.clone()).collect::<Vec<_>>();
    assert_eq!(
        actions(&real),
        actions(&learned),
        "one action contract, one seed, one sequence"
    );
    assert_eq!(learned.len(), 12);
}

#[test]
fn a_replayed_episode_is_the_recorded_one() {
    let mut env = physics(PhysicsTask::Reach).wrap(TimeLimit::new(15)).unwrap();
    let recorded = episode(&mut env, &mut ScriptedExpert::new(), 6).unwrap();
    let actions = recorded.iter().map(|(action, _)| action.clone()).collect();
    let mut replay = ReplayPolicy::new("replay", actions).with_chunk_length(4);
    assert!(
        episode(&mut env, &mut replay, 6).unwrap() == recorded,
        "the replay differs"
    );
}

#[test]
fn a_replay_that_runs_out_is_an_error() {
    let mut env = physics(PhysicsTask::Push).wrap(TimeLimit::new(15)).unwrap();
    let actions = random_actions(&env.spec().action_space.clone(), 1, 5);
    let error = episode(&mut env, &mut ReplayPolicy::new("replay", actions), 6).unwrap_err();
    assert!(matches!(error, PolicyError::NoAction { .. }), "{error}");
}

#[test]
fn the_expert_solves_every_task_in_physics() {
    for task in PhysicsTask::ALL {
        let mut solved = 0;
        for seed in 0..10 {
            let mut env = physics(task).wrap(TimeLimit::usual()).unwrap();
            let taken = episode(&mut env, &mut ScriptedExpert::new(), seed).unwrap();
            solved += usize::from(taken.last().is_some_and(|(_, step)| step.terminated));
        }
        assert!(solved >= 9, "{}: {solved} of 10", task.name());
    }
}

#[test]
fn the_expert_says_why_it_does_not_act_in_the_learned_world() {
    let error = episode(&mut network_env(), &mut ScriptedExpert::new(), 6).unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, PolicyError::PrivilegedStateMissing { .. }), "{message}");
    assert!(message.contains("physics"), "{message}");
}
