//! Every wrapper obeys the contract, in both worlds.

use std::sync::{Arc, Mutex};

use worldloop::envs::learned::LearnedEnv;
use worldloop::envs::physics::PhysicsTask;
use worldloop::envs::wrappers::{
    ClipAction, EpisodeStatistics, FrameStack, OrderEnforcing, RecordEpisode, RecordedEpisode, RescaleAction,
    TimeLimit, WrapEnv, Wrapper,
};
use worldloop::envs::{Env, check_env};

use crate::worlds::{physics, play, scripted};

fn both_worlds() -> [Box<dyn Env>; 2] {
    let learned = LearnedEnv::new(scripted()).expect("the world is valid");
    [Box::new(physics(PhysicsTask::Push)), Box::new(learned)]
}

fn obeys_in_both_worlds<W: Wrapper>(wrapper: impl Fn() -> W) {
    for env in both_worlds() {
        let mut env = env.wrap(wrapper()).expect("the wrapper fits");
        check_env(&mut env, 5).expect("a wrapped env obeys the contract");
    }
}

#[test]
fn time_limit_obeys_the_contract() {
    obeys_in_both_worlds(|| TimeLimit::new(7));
    obeys_in_both_worlds(TimeLimit::usual);
}

#[test]
fn order_enforcing_obeys_the_contract() {
    obeys_in_both_worlds(OrderEnforcing::new);
}

#[test]
fn clip_action_obeys_the_contract() {
    obeys_in_both_worlds(|| ClipAction);
}

#[test]
fn rescale_action_obeys_the_contract() {
    obeys_in_both_worlds(|| RescaleAction::new(-3.0, 5.0));
}

#[test]
fn frame_stack_obeys_the_contract() {
    obeys_in_both_worlds(|| FrameStack::new(3));
}

#[test]
fn episode_statistics_obeys_the_contract() {
    obeys_in_both_worlds(EpisodeStatistics::new);
}

#[test]
fn record_episode_obeys_the_contract() {
    obeys_in_both_worlds(|| RecordEpisode::new(drop));
}

#[test]
fn all_together_obey_the_contract() {
    for env in both_worlds() {
        let env = env.wrap(OrderEnforcing::new()).unwrap().wrap(ClipAction).unwrap();
        let env = env
            .wrap(RescaleAction::new(0.0, 1.0))
            .unwrap()
            .wrap(FrameStack::new(2))
            .unwrap();
        let env = env
            .wrap(TimeLimit::new(12))
            .unwrap()
            .wrap(EpisodeStatistics::new())
            .unwrap();
        check_env(&mut env.wrap(RecordEpisode::new(drop)).unwrap(), 6).unwrap();
    }
}

#[test]
fn a_recorded_episode_is_what_was_played() {
    for env in both_worlds() {
        let recorded: Arc<Mutex<Vec<RecordedEpisode>>> = Arc::default();
        let sink = Arc::clone(&recorded);
        let env = env.wrap(TimeLimit::new(10)).unwrap();
        let mut env = env
            .wrap(RecordEpisode::new(move |episode| sink.lock().unwrap().push(episode)))
            .unwrap();
        let (first, steps) = play(&mut env, 8, 20, 4);
        let episode = recorded.lock().unwrap().pop().unwrap();
        assert!(episode.first_observation == first, "the first observation differs");
        assert_eq!(
            episode
                .steps
                .into_iter()
                .map(|recorded| recorded.step)
                .collect::<Vec<_>>(),
            steps
        );
        assert_eq!(episode.seed, Some(8));
    }
}
