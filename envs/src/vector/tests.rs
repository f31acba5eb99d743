//! What a vector of envs promises.

use super::*;
use crate::action::{Action, ActionChunk};
use crate::counting_env::CountingEnv;
use crate::env::{Env, ResetOptions};
use crate::error::EnvError;

const LENGTHS: [usize; 3] = [2, 5, 3];

fn envs() -> Vec<Box<dyn Env>> {
    LENGTHS.map(CountingEnv::boxed).into()
}

fn serial(mode: AutoresetMode) -> VectorEnv<SerialBatch> {
    let mut vector = VectorEnv::new(SerialBatch::new(envs()).unwrap(), mode);
    vector.reset(&VectorReset::seeded(4, 3)).unwrap();
    vector
}

fn add(value: f32) -> Action {
    Action(vec![value, 0.0])
}

fn chunk(length: usize) -> ActionChunk {
    (0..length).map(|index| add(index as f32 + 1.0)).collect()
}

fn step(vector: &mut VectorEnv<SerialBatch>) -> Vec<VectorStep> {
    vector.step(&[add(1.0), add(1.0), add(1.0)]).unwrap()
}

#[test]
fn vector_equals_serial() {
    let mut alone = envs();
    for (index, env) in alone.iter_mut().enumerate() {
        env.reset(Some(4 + index as u64), &ResetOptions::default()).unwrap();
    }
    let mut vector = serial(AutoresetMode::NextStep);
    for round in 0..2 {
        let steps = step(&mut vector);
        for (index, (env, found)) in alone.iter_mut().zip(steps).enumerate() {
            assert_eq!(found.step, env.step(&add(1.0)).unwrap(), "env {index}, round {round}");
        }
    }
}

#[test]
fn threaded_equals_serial() {
    for mode in [AutoresetMode::NextStep, AutoresetMode::SameStep] {
        let mut one = serial(mode);
        let mut other = VectorEnv::new(ThreadedBatch::new(envs()).unwrap(), mode);
        other.reset(&VectorReset::seeded(4, 3)).unwrap();
        for round in 0..12 {
            let chunks = [chunk(1 + round % 3), chunk(1 + round % 4), chunk(round % 2)];
            assert_eq!(
                one.step_chunk(&chunks).unwrap(),
                other.step_chunk(&chunks).unwrap(),
                "round {round}"
            );
            assert_eq!(one.render().unwrap(), other.render().unwrap());
        }
    }
}

#[test]
fn next_step_mode_answers_the_following_call_with_a_reset() {
    let mut vector = serial(AutoresetMode::NextStep);
    step(&mut vector);
    let last = step(&mut vector).swap_remove(0);
    assert!(last.step.terminated && !last.reset);
    assert_eq!(vector.over(), [true, false, false]);
    let reset = step(&mut vector).swap_remove(0);
    assert!(reset.reset && !reset.step.is_last() && reset.step.reward == 0.0);
    let sum = reset.step.observation.proprioception[0];
    let next = step(&mut vector).swap_remove(0);
    assert_eq!(next.step.observation.proprioception, [sum + 1.0]);
}

#[test]
fn same_step_mode_keeps_the_final_observation() {
    let mut vector = serial(AutoresetMode::SameStep);
    let mut plain = CountingEnv::new(2);
    plain.reset(Some(4), &ResetOptions::default()).unwrap();
    step(&mut vector);
    plain.step(&add(1.0)).unwrap();
    let expected = plain.step(&add(1.0)).unwrap();
    let last = step(&mut vector).swap_remove(0);
    assert!(last.step.terminated && last.reset);
    assert_eq!(last.step.reward, expected.reward);
    assert_eq!(last.final_observation, Some(expected.observation));
    assert_eq!(last.final_info, Some(expected.info));
    let sum = last.step.observation.proprioception[0];
    let next = step(&mut vector).swap_remove(0);
    assert_eq!(next.step.observation.proprioception, [sum + 1.0]);
}

#[test]
fn disabled_mode_waits_for_a_masked_reset() {
    let mut vector = serial(AutoresetMode::Disabled);
    step(&mut vector);
    step(&mut vector);
    let error = vector.step(&[add(1.0), add(1.0), add(1.0)]).unwrap_err();
    assert!(
        matches!(&error, EnvError::InBatch { index: 0, source } if matches!(**source, EnvError::ResetNeeded { .. }))
    );
    let answers = vector.step_chunk(&[chunk(0), chunk(1), chunk(0)]).unwrap();
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1, 0]);
    let request = VectorReset::seeded(40, 3).with_mask(vec![true, false, false]);
    let answers = vector.reset(&request).unwrap();
    assert_eq!(
        answers.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, false]
    );
    let steps = step(&mut vector);
    assert_eq!(
        steps[2].step.info.success,
        Some(true),
        "the third env was left alone in its second step"
    );
}

#[test]
fn a_chunk_never_spans_two_episodes() {
    for mode in [
        AutoresetMode::NextStep,
        AutoresetMode::SameStep,
        AutoresetMode::Disabled,
    ] {
        let mut vector = serial(mode);
        let answers = vector.step_chunk(&[chunk(4), chunk(4), chunk(4)]).unwrap();
        assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [2, 4, 3], "{mode:?}");
        assert!(answers[0][1].step.terminated);
    }
}

#[test]
fn a_chunk_due_for_a_reset_is_answered_by_the_reset_alone() {
    let mut vector = serial(AutoresetMode::NextStep);
    vector.step_chunk(&[chunk(2), chunk(1), chunk(1)]).unwrap();
    let answers = vector.step_chunk(&[chunk(3), chunk(3), chunk(1)]).unwrap();
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>(), [1, 3, 1]);
    assert!(answers[0][0].reset && !answers[1][0].reset);
}

#[test]
fn seeds_count_up_over_the_envs() {
    let mut vector = serial(AutoresetMode::NextStep);
    let answers = vector.reset(&VectorReset::seeded(70, 3)).unwrap();
    for (index, answer) in answers.into_iter().enumerate() {
        let alone = CountingEnv::new(9)
            .reset(Some(70 + index as u64), &ResetOptions::default())
            .unwrap();
        assert_eq!(answer, Some(alone));
    }
}

#[test]
fn a_bad_action_of_one_env_moves_none() {
    let mut vector = serial(AutoresetMode::NextStep);
    let mut untouched = serial(AutoresetMode::NextStep);
    let error = vector.step(&[add(1.0), add(1.0), add(f32::NAN)]).unwrap_err();
    assert!(matches!(error, EnvError::InBatch { index: 2, .. }), "{error}");
    assert!(matches!(
        vector.step(&[add(1.0)]),
        Err(EnvError::BatchSize {
            expected: 3,
            found: 1,
            ..
        })
    ));
    assert_eq!(step(&mut vector), step(&mut untouched));
}

#[test]
fn stepping_before_the_first_reset_is_an_error() {
    let mut vector = VectorEnv::new(SerialBatch::new(envs()).unwrap(), AutoresetMode::NextStep);
    let error = vector.step_chunk(&[chunk(1), chunk(1), chunk(1)]).unwrap_err();
    assert!(error.to_string().contains("before the first reset"), "{error}");
}

#[test]
fn lists_of_another_length_are_refused() {
    let mut vector = serial(AutoresetMode::NextStep);
    let wrong = VectorReset {
        seeds: Some(vec![1]),
        ..VectorReset::default()
    };
    assert!(matches!(
        vector.reset(&wrong),
        Err(EnvError::BatchSize { what: "seeds", .. })
    ));
    assert!(vector.reset(&VectorReset::default().with_mask(vec![true; 4])).is_err());
    assert!(vector.reset(&VectorReset::default().with_options(Vec::new())).is_err());
}

#[test]
fn envs_with_other_spaces_are_refused() {
    use crate::wrappers::{FrameStack, WrapEnv};
    let stacked: Box<dyn Env> = Box::new(CountingEnv::new(3).wrap(FrameStack::new(2)).unwrap());
    let error = SerialBatch::new(vec![CountingEnv::boxed(3), stacked]).unwrap_err();
    assert!(
        matches!(
            error,
            EnvError::MixedSpecs {
                index: 1,
                what: "observation space",
                ..
            }
        ),
        "{error}"
    );
    assert!(matches!(ThreadedBatch::new(Vec::new()), Err(EnvError::NoEnvs)));
}
