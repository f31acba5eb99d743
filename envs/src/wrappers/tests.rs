//! What the wrappers promise.

use std::sync::{Arc, Mutex};

use super::*;
use crate::action::{Action, ActionChunk};
use crate::check::check_env;
use crate::counting_env::CountingEnv;
use crate::env::{Env, ResetOptions};
use crate::error::EnvError;

fn add(value: f32) -> Action {
    Action(vec![value, 0.0])
}

fn chunk(values: &[f32]) -> ActionChunk {
    values.iter().copied().map(add).collect()
}

fn start(env: &mut dyn Env) -> f32 {
    env.reset(Some(5), &ResetOptions::default()).unwrap().0.proprioception[0]
}

#[test]
fn every_wrapper_obeys_the_contract() {
    check_env(&mut CountingEnv::new(9).wrap(TimeLimit::new(4)).unwrap(), 1).unwrap();
    check_env(&mut CountingEnv::new(9).wrap(TimeLimit::usual()).unwrap(), 1).unwrap();
    check_env(&mut CountingEnv::new(9).wrap(OrderEnforcing::new()).unwrap(), 1).unwrap();
    check_env(&mut CountingEnv::new(9).wrap(ClipAction).unwrap(), 1).unwrap();
    check_env(&mut CountingEnv::new(9).wrap(RescaleAction::new(0.0, 3.0)).unwrap(), 1).unwrap();
    check_env(&mut CountingEnv::new(9).wrap(FrameStack::new(3)).unwrap(), 1).unwrap();
    check_env(&mut CountingEnv::new(9).wrap(EpisodeStatistics::new()).unwrap(), 1).unwrap();
    check_env(&mut CountingEnv::new(9).wrap(RecordEpisode::new(drop)).unwrap(), 1).unwrap();
}

#[test]
fn all_wrappers_together_obey_the_contract() {
    let env: Box<dyn Env> = Box::new(CountingEnv::new(30));
    let env = env.wrap(OrderEnforcing::new()).unwrap().wrap(ClipAction).unwrap();
    let env = env
        .wrap(RescaleAction::new(-1.0, 1.0))
        .unwrap()
        .wrap(FrameStack::new(2))
        .unwrap();
    let env = env
        .wrap(TimeLimit::new(11))
        .unwrap()
        .wrap(EpisodeStatistics::new())
        .unwrap();
    check_env(&mut env.wrap(RecordEpisode::new(drop)).unwrap(), 2).unwrap();
}

#[test]
fn the_time_limit_truncates_and_does_not_terminate() {
    let mut env = CountingEnv::new(100).wrap(TimeLimit::new(3)).unwrap();
    start(&mut env);
    let steps = env.step_chunk(&chunk(&[0.0; 5])).unwrap();
    let flags: Vec<_> = steps.iter().map(|step| (step.terminated, step.truncated)).collect();
    assert_eq!(flags, [(false, false), (false, false), (false, true)]);
    assert!(matches!(env.step(&add(0.0)), Err(EnvError::ResetNeeded { .. })));
    start(&mut env);
    assert!(!env.step(&add(0.0)).unwrap().is_last());
}

#[test]
fn a_last_step_at_the_limit_has_both_flags() {
    let mut env = CountingEnv::new(3).wrap(TimeLimit::new(3)).unwrap();
    start(&mut env);
    let steps = env.step_chunk(&chunk(&[0.0; 3])).unwrap();
    assert!(steps[2].terminated && steps[2].truncated);
}

#[test]
fn chunks_reach_the_env_whole() {
    let mut env = CountingEnv::new(100)
        .wrap(TimeLimit::new(50))
        .unwrap()
        .wrap(ClipAction)
        .unwrap();
    start(&mut env);
    env.step_chunk(&chunk(&[1.0; 8])).unwrap();
    assert_eq!(env.env().env().chunks, 1);
}

#[test]
fn clipped_actions_stop_at_the_bounds() {
    let mut env = CountingEnv::new(9).wrap(ClipAction).unwrap();
    let sum = start(&mut env);
    assert_eq!(env.step(&add(50.0)).unwrap().observation.proprioception, [sum + 2.0]);
}

#[test]
fn rescaled_bounds_are_the_bounds_of_the_env() {
    let mut env = CountingEnv::new(9).wrap(RescaleAction::new(0.0, 1.0)).unwrap();
    let sum = start(&mut env);
    let steps = env.step_chunk(&chunk(&[1.0, 0.0, 0.5])).unwrap();
    let sums: Vec<f32> = steps.iter().map(|step| step.observation.proprioception[0]).collect();
    assert_eq!(sums, [sum + 2.0, sum, sum]);
    // A value of 1 spanned 0.5 m over bounds of -2 to 2; now the span of 4 is a span of 1.
    assert_eq!(env.spec().action_space.dimensions[0].scale, 2.0);
}

#[test]
fn bounds_that_are_no_interval_are_refused() {
    for (low, high) in [(1.0, 1.0), (2.0, -2.0), (f32::NAN, 1.0), (0.0, f32::INFINITY)] {
        let error = CountingEnv::new(9).wrap(RescaleAction::new(low, high)).unwrap_err();
        assert!(matches!(error, EnvError::Setting { .. }), "{error}");
    }
    assert!(CountingEnv::new(9).wrap(TimeLimit::new(0)).is_err());
    assert!(CountingEnv::new(9).wrap(FrameStack::new(0)).is_err());
}

#[test]
fn stacked_frames_are_the_frames_of_earlier_steps() {
    let mut plain = CountingEnv::new(9);
    let mut stacked = CountingEnv::new(9).wrap(FrameStack::new(3)).unwrap();
    let options = ResetOptions::default();
    let mut seen = vec![plain.reset(Some(5), &options).unwrap().0];
    let mut stacks = vec![stacked.reset(Some(5), &options).unwrap().0];
    let actions = chunk(&[1.0, 2.0, 0.5, -1.0]);
    seen.extend(
        plain
            .step_chunk(&actions)
            .unwrap()
            .into_iter()
            .map(|step| step.observation),
    );
    stacks.extend(
        stacked
            .step_chunk(&actions)
            .unwrap()
            .into_iter()
            .map(|step| step.observation),
    );
    for (index, stack) in stacks.iter().enumerate() {
        for age in 0..3 {
            let expected = &seen[index.saturating_sub(age)].images["front"];
            assert_eq!(
                &stack.images[&FrameStack::image_name("front", age)],
                expected,
                "step {index}, age {age}"
            );
        }
    }
}

#[test]
fn statistics_add_up_one_episode() {
    let mut env = CountingEnv::new(4).wrap(EpisodeStatistics::new()).unwrap();
    for _ in 0..2 {
        start(&mut env);
        let steps = env.step_chunk(&chunk(&[1.0; 4])).unwrap();
        let total: f64 = steps.iter().map(|step| step.reward).sum();
        let metrics = &steps[3].info.metrics;
        assert_eq!(metrics["episode_return"], total);
        assert_eq!(metrics["episode_length"], 4.0);
        assert_eq!(
            metrics["episode_success"], 1.0,
            "success in step 3 counts although step 4 is not solved"
        );
        assert!(!steps[2].info.metrics.contains_key("episode_return"));
        assert_eq!(env.wrapper().latest().map(|summary| summary.length), Some(4));
    }
}

#[test]
fn a_recording_has_every_action_and_frame() {
    let episodes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&episodes);
    let recorder = RecordEpisode::new(move |episode| sink.lock().unwrap().push(episode));
    let mut env = CountingEnv::new(4).wrap(recorder).unwrap();
    let (first, _) = env.reset(Some(5), &ResetOptions::default()).unwrap();
    let mut steps = vec![env.step(&add(0.5)).unwrap()];
    steps.extend(env.step_chunk(&chunk(&[1.0, 2.0, 0.25, 1.0, 1.0])).unwrap());

    let episode = episodes.lock().unwrap().pop().unwrap();
    assert!(episode.is_complete());
    assert_eq!((episode.task.as_str(), episode.seed), ("count", Some(5)));
    assert_eq!(episode.first_observation, first);
    assert_eq!(
        episode
            .steps
            .iter()
            .map(|recorded| recorded.step.clone())
            .collect::<Vec<_>>(),
        steps
    );
    let actions: Vec<f32> = episode.steps.iter().map(|recorded| recorded.action.0[0]).collect();
    assert_eq!(
        actions,
        [0.5, 1.0, 2.0, 0.25],
        "actions after the last step were not taken"
    );
    assert_eq!(episode.success(), Some(true));
}

#[test]
fn a_broken_off_episode_is_handed_over_as_incomplete() {
    let episodes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&episodes);
    let recorder = RecordEpisode::new(move |episode| sink.lock().unwrap().push(episode));
    let mut env = CountingEnv::new(9).wrap(recorder).unwrap();
    start(&mut env);
    start(&mut env);
    assert!(
        episodes.lock().unwrap().is_empty(),
        "an episode without steps is nothing"
    );
    env.step(&add(1.0)).unwrap();
    start(&mut env);
    env.step_chunk(&chunk(&[1.0; 3])).unwrap();
    env.close().unwrap();
    let lengths: Vec<_> = episodes
        .lock()
        .unwrap()
        .iter()
        .map(|episode: &RecordedEpisode| (episode.steps.len(), episode.is_complete()))
        .collect();
    assert_eq!(lengths, [(1, false), (3, false)]);
}
