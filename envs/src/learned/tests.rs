//! What a learned world promises.

use std::sync::Arc;

use image::RgbImage;
use worldloop_world_model::judge::{Judge, JudgeError, JudgeRequest, Judgement};
use worldloop_world_model::{
    Frame, Prediction, PredictionRequest, WorldModel, WorldModelError, WorldModelSpec, WorldState,
};

use super::*;
use crate::action::{Action, ActionChunk};
use crate::check::{CheckOptions, check_env, check_env_with};
use crate::env::{Env, ResetOptions};
use crate::error::EnvError;
use crate::observation::Observation;
use crate::seeding;
use crate::step::Step;
use crate::vector::{AutoresetMode, EnvBatch, EpisodeStart, SerialBatch, VectorEnv, VectorReset};
use crate::wrappers::{TimeLimit, WrapEnv};

/// No success at all, so that episodes are as long as the test needs.
fn endless() -> LearnedConfig {
    LearnedConfig {
        success_frames: usize::MAX,
        ..ScriptedWorldModel::config()
    }
}

fn env_of(model: &Arc<ScriptedWorldModel>, config: LearnedConfig) -> LearnedEnv {
    LearnedEnv::new(model.world(config).unwrap()).unwrap()
}

fn endless_env() -> LearnedEnv {
    env_of(&Arc::new(ScriptedWorldModel::default()), endless())
}

fn actions(seed: u64, count: usize) -> Vec<Action> {
    let spec = ScriptedWorldModel::default().spec().clone();
    let mut rng = seeding::rng(seed, 99);
    (0..count).map(|_| action_space_of(&spec).sample(&mut rng)).collect()
}

fn towards_the_goal(count: usize) -> ActionChunk {
    std::iter::repeat_n(Action(vec![1.0, 1.0]), count).collect()
}

fn reset(env: &mut dyn Env, seed: u64) -> Observation {
    env.reset(Some(seed), &ResetOptions::default()).unwrap().0
}

/// Plays the actions in chunks of the given lengths, over and over.
fn play(env: &mut dyn Env, actions: &[Action], lengths: &[usize]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = actions;
    for length in lengths.iter().cycle() {
        let (chunk, later) = rest.split_at((*length).min(rest.len()));
        if chunk.is_empty() {
            break;
        }
        rest = later;
        steps.extend(env.step_chunk(&ActionChunk(chunk.to_vec())).unwrap());
    }
    steps
}

#[test]
fn a_learned_env_obeys_the_contract() {
    for chunk_length in [1, 4, 9] {
        let model = Arc::new(ScriptedWorldModel::new(chunk_length).with_cameras(&["third_person", "wrist"]));
        check_env(&mut env_of(&model, ScriptedWorldModel::config()), 3).unwrap();
        let limited = LearnedConfig {
            time_limit: true,
            ..endless()
        };
        check_env(&mut env_of(&model, limited), 4).unwrap();
        check_env(&mut env_of(&model, endless()).wrap(TimeLimit::usual()).unwrap(), 5).unwrap();
    }
}

#[test]
fn a_model_that_looks_ahead_obeys_the_contract_but_for_equal_chunks() {
    let model = Arc::new(ScriptedWorldModel::default().with_look_ahead(0.2));
    let violations = check_env(&mut env_of(&model, endless()), 3).unwrap_err().violations;
    assert!(
        violations
            .iter()
            .all(|violation| violation.rule == "step_chunk gives what single steps give")
    );
    let inexact = CheckOptions {
        exact_chunks: false,
        ..CheckOptions::default()
    };
    check_env_with(&mut env_of(&model, endless()), 3, inexact).unwrap();
}

#[test]
fn same_seed_same_episode() {
    let played = |seed| {
        let mut env = endless_env();
        (reset(&mut env, seed), play(&mut env, &actions(1, 11), &[4]))
    };
    assert_eq!(played(7), played(7));
    assert_ne!(played(7).1, played(8).1);
}

#[test]
fn step_equals_step_chunk() {
    let mut singles = endless_env();
    let mut chunked = endless_env();
    assert_eq!(reset(&mut singles, 7), reset(&mut chunked, 7));
    let actions = actions(1, 13);
    let steps: Vec<Step> = actions.iter().map(|action| singles.step(action).unwrap()).collect();
    assert_eq!(steps, chunked.step_chunk(&ActionChunk(actions)).unwrap());
}

#[test]
fn ragged_chunks_lose_no_frame() {
    let actions = actions(2, 29);
    let mut whole = endless_env();
    reset(&mut whole, 7);
    let expected = play(&mut whole, &actions, &[29]);
    assert_eq!(expected.len(), actions.len());
    for lengths in [&[1][..], &[3], &[4], &[5], &[1, 7, 2], &[6, 1, 1, 4, 9]] {
        let mut env = endless_env();
        reset(&mut env, 7);
        assert_eq!(play(&mut env, &actions, lengths), expected, "chunks of {lengths:?}");
    }
}

#[test]
fn frames_are_those_of_the_model_called_chunk_by_chunk() {
    let model = ScriptedWorldModel::default();
    let first = model.observation([0.1, -0.2], "reach the goal");
    let actions = actions(3, 10);
    let rows: Vec<Vec<f32>> = actions.iter().map(|action| action.0.clone()).collect();
    let mut state = model
        .start(vec![vec![frame_from_image(&first.images["third_person"])]], &[], 7)
        .unwrap();
    let mut expected: Vec<RgbImage> = Vec::new();
    for chunk in rows.chunks(4) {
        let prediction = model
            .predict(&[PredictionRequest {
                state: &state,
                actions: chunk,
            }])
            .unwrap()
            .remove(0);
        expected.extend(prediction.frames[0].iter().map(image_from_frame));
        state = prediction.next_state;
    }
    let mut env = endless_env();
    let options = ResetOptions {
        initial: Some(first),
        ..ResetOptions::default()
    };
    env.reset(Some(7), &options).unwrap();
    let steps = play(&mut env, &actions, &[3, 1, 5]);
    let found: Vec<RgbImage> = steps
        .iter()
        .map(|step| step.observation.images["third_person"].clone())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_carry_between_chunks_is_not_rounded() {
    let mut env = endless_env();
    let options = ResetOptions {
        initial: Some(ScriptedWorldModel::default().observation([-0.5, 0.0], "reach the goal")),
        ..ResetOptions::default()
    };
    let (first, _) = env.reset(Some(1), &options).unwrap();
    // A fifth of what one step of an 8-bit value is: rounding at any boundary would lose all of it.
    let small = Action(vec![0.2 / 127.5 / 0.15, 0.0]);
    let steps = play(&mut env, &vec![small; 100], &[4]);
    let red = |observation: &Observation| observation.images["third_person"].get_pixel(0, 0).0[0];
    assert_eq!(red(&steps[99].observation), red(&first) + 20);
}

#[test]
fn a_batch_is_one_model_call_per_chunk() {
    let model = Arc::new(ScriptedWorldModel::default());
    let mut batch = LearnedBatch::new(model.world(endless()).unwrap(), 8).unwrap();
    let start = |index| {
        Some(EpisodeStart {
            seed: Some(index),
            ..EpisodeStart::default()
        })
    };
    batch.reset(&(0..8).map(start).collect::<Vec<_>>()).unwrap();
    batch.step_chunk(&vec![ActionChunk(actions(1, 4)); 8]).unwrap();
    assert_eq!(model.calls(), 1);
    batch.step_chunk(&vec![ActionChunk(actions(2, 8)); 8]).unwrap();
    assert_eq!(model.calls(), 3);
}

#[test]
fn batch_equals_singles() {
    let model = Arc::new(ScriptedWorldModel::default());
    let config = || LearnedConfig {
        time_limit: true,
        ..ScriptedWorldModel::config()
    };
    let single = |_| -> Box<dyn Env> { Box::new(env_of(&model, config())) };
    for mode in [AutoresetMode::NextStep, AutoresetMode::SameStep] {
        let mut serial = VectorEnv::new(SerialBatch::new((0..5).map(single).collect()).unwrap(), mode);
        let mut batched = VectorEnv::new(LearnedBatch::new(model.world(config()).unwrap(), 5).unwrap(), mode);
        let seeds = VectorReset::seeded(11, 5);
        assert_eq!(serial.reset(&seeds).unwrap(), batched.reset(&seeds).unwrap());
        for round in 0..16 {
            let chunk = |index: usize| ActionChunk(actions((round * 5 + index) as u64, (round + index) % 6));
            let chunks: Vec<ActionChunk> = (0..5).map(chunk).collect();
            assert_eq!(
                serial.step_chunk(&chunks).unwrap(),
                batched.step_chunk(&chunks).unwrap(),
                "round {round}"
            );
            assert_eq!(serial.render().unwrap(), batched.render().unwrap());
        }
    }
}

#[test]
fn snapshot_restores_exactly() {
    let mut env = endless_env();
    reset(&mut env, 7);
    play(&mut env, &actions(1, 6), &[5]);
    let snapshot = env.snapshot().unwrap();
    let expected = play(&mut env, &actions(2, 9), &[2]);
    let next_episode = env.reset(None, &ResetOptions::default()).unwrap();
    for _ in 0..2 {
        env.restore(&snapshot.clone()).unwrap();
        assert_eq!(play(&mut env, &actions(2, 9), &[3]), expected);
        assert_eq!(env.reset(None, &ResetOptions::default()).unwrap(), next_episode);
    }
    let mut other = endless_env();
    other.restore(&snapshot).unwrap();
    assert_eq!(play(&mut other, &actions(2, 9), &[9]), expected);
}

#[test]
fn fork_diverges_only_after_the_fork() {
    let mut env = endless_env();
    reset(&mut env, 7);
    play(&mut env, &actions(1, 6), &[6]);
    let mut same = env.fork().unwrap();
    let mut other = env.fork().unwrap();
    assert_eq!(env.render().unwrap(), other.render().unwrap());
    let expected = play(&mut env, &actions(2, 7), &[7]);
    assert_ne!(play(&mut other, &actions(3, 7), &[7]), expected);
    assert_eq!(
        play(&mut same, &actions(2, 7), &[7]),
        expected,
        "what other forks did is not seen"
    );
}

#[test]
fn a_snapshot_of_another_model_is_refused() {
    let mut env = endless_env();
    reset(&mut env, 7);
    let mut other = env_of(&Arc::new(ScriptedWorldModel::new(6)), endless());
    let error = other.restore(&env.snapshot().unwrap()).unwrap_err();
    assert!(matches!(error, EnvError::ForeignSnapshot { .. }));
    assert!(
        error.to_string().contains("chunks of 6") && error.to_string().contains("chunks of 4"),
        "{error}"
    );
}

#[test]
fn success_terminates_and_pays_the_bonus() {
    let mut env = env_of(&Arc::new(ScriptedWorldModel::default()), ScriptedWorldModel::config());
    let (_, info) = env.reset(Some(3), &ResetOptions::default()).unwrap();
    let steps = env.step_chunk(&towards_the_goal(20)).unwrap();
    let (last, earlier) = steps.split_last().unwrap();
    assert!(steps.len() < 20 && last.terminated && !last.truncated);
    assert_eq!(last.info.success, Some(true));
    assert!(
        earlier
            .iter()
            .all(|step| !step.is_last() && step.info.success == Some(false))
    );
    assert!(last.info.metrics["success_probability"] >= 0.5);
    assert!(
        earlier
            .iter()
            .all(|step| step.info.metrics["success_probability"] < 0.5)
    );
    let total: f64 = steps.iter().map(|step| step.reward).sum();
    let gained = last.info.metrics["progress"] - info.metrics["progress"];
    assert!(
        (total - gained - 1.0).abs() < 1e-9,
        "return {total}, progress gained {gained}"
    );
}

#[test]
fn success_needs_as_many_solved_frames_in_a_row_as_configured() {
    let play_with = |success_frames| {
        let config = LearnedConfig {
            success_frames,
            ..ScriptedWorldModel::config()
        };
        let mut env = env_of(&Arc::new(ScriptedWorldModel::default()), config);
        reset(&mut env, 3);
        let approach = env.step_chunk(&towards_the_goal(3)).unwrap();
        let mut steps = approach;
        while !steps.last().unwrap().is_last() {
            steps.push(env.step(&Action(vec![0.3, 0.3])).unwrap());
        }
        steps.len()
    };
    assert_eq!(play_with(3), play_with(1) + 2);
}

#[test]
fn task_and_instruction_carry_over() {
    let mut env = endless_env();
    assert_eq!(env.spec().task, "reach");
    let options = ResetOptions {
        task: Some("push".into()),
        initial: None,
    };
    let (observation, _) = env.reset(Some(3), &options).unwrap();
    assert_eq!(observation.instruction, "push the goal");
    assert_eq!(
        (env.spec().name.as_str(), env.spec().task.as_str()),
        ("scripted/push", "push")
    );
    assert_eq!(
        env.step(&Action(vec![0.0, 0.0])).unwrap().observation.instruction,
        "push the goal"
    );
    let initial = ScriptedWorldModel::default().observation([0.0, 0.0], "in my words");
    let options = ResetOptions {
        task: None,
        initial: Some(initial.clone()),
    };
    assert_eq!(env.reset(Some(3), &options).unwrap().0, initial);
    assert_eq!(
        env.step(&Action(vec![0.0, 0.0])).unwrap().observation.instruction,
        "in my words"
    );
}

#[test]
fn an_initial_image_that_does_not_fit_is_explained() {
    let mut env = endless_env();
    let mut initial = ScriptedWorldModel::default().observation([0.0, 0.0], "");
    initial.images.insert("third_person".into(), RgbImage::new(20, 10));
    let options = ResetOptions {
        task: None,
        initial: Some(initial.clone()),
    };
    let message = env.reset(Some(3), &options).unwrap_err().to_string();
    assert!(
        message.contains("8x8") && message.contains("20x10") && message.contains("fit_image"),
        "{message}"
    );
    initial.images = [("wrist".to_owned(), RgbImage::new(8, 8))].into();
    let options = ResetOptions {
        task: None,
        initial: Some(initial),
    };
    let message = env.reset(Some(3), &options).unwrap_err().to_string();
    assert!(
        message.contains("third_person") && message.contains("wrist"),
        "{message}"
    );
}

#[test]
fn a_guard_truncates_what_it_does_not_trust() {
    let guard = FrameChangeGuard { max_mean_change: 0.12 };
    let config = LearnedConfig {
        guard: Some(Arc::new(guard)),
        ..endless()
    };
    let mut env = env_of(&Arc::new(ScriptedWorldModel::default()), config);
    reset(&mut env, 3);
    let still = Action(vec![0.0, 0.0]);
    let jump = Action(vec![1.0, 1.0]);
    let chunk = ActionChunk(vec![still.clone(), jump, still]);
    let steps = env.step_chunk(&chunk).unwrap();
    assert_eq!(
        steps
            .iter()
            .map(|step| (step.terminated, step.truncated))
            .collect::<Vec<_>>(),
        [(false, false), (false, true)]
    );
}

#[test]
fn settings_out_of_range_are_named() {
    let model = Arc::new(ScriptedWorldModel::default());
    let refused = |config: LearnedConfig| model.world(config).unwrap_err().to_string();
    let message = refused(LearnedConfig {
        success_threshold: 1.5,
        ..endless()
    });
    assert!(
        message.contains("success_threshold") && message.contains("1.5"),
        "{message}"
    );
    assert!(
        refused(LearnedConfig {
            success_frames: 0,
            ..endless()
        })
        .contains("success_frames")
    );
    assert!(
        refused(LearnedConfig {
            tasks: Vec::new(),
            ..endless()
        })
        .contains("tasks")
    );
    let message = refused(LearnedConfig {
        judge_camera: Some("wrist".into()),
        ..endless()
    });
    assert!(
        message.contains("third_person") && message.contains("wrist"),
        "{message}"
    );
}

#[test]
fn another_action_contract_is_refused_before_the_first_step() {
    let model = Arc::new(ScriptedWorldModel::default());
    let good = action_space_of(model.spec());
    let refused = |change: &dyn Fn(&mut crate::ContinuousSpace)| {
        let mut space = good.clone();
        change(&mut space);
        let error = model
            .world(LearnedConfig {
                action_space: Some(space),
                ..endless()
            })
            .unwrap_err();
        assert!(matches!(error, EnvError::ActionContract { .. }), "{error}");
    };
    refused(&|space| space.dimensions.truncate(1));
    refused(&|space| space.dimensions.swap(0, 1));
    refused(&|space| space.dimensions[0].unit = "mm".into());
    refused(&|space| space.dimensions[1].high = 20.0);
    let mut scaled = good.clone();
    scaled.dimensions[0].scale = 0.05;
    let env = env_of(
        &model,
        LearnedConfig {
            action_space: Some(scaled.clone()),
            ..endless()
        },
    );
    assert_eq!(env.spec().action_space, scaled);
}

/// A model or judge that fails or answers wrongly from its second prediction on.
#[derive(Debug)]
struct Unreliable {
    inner: ScriptedWorldModel,
    lose_frame: bool,
    probability: f32,
}

impl WorldModel for Unreliable {
    fn spec(&self) -> &WorldModelSpec {
        self.inner.spec()
    }

    fn start(
        &self,
        context: Vec<Vec<Frame>>,
        proprioception: &[f32],
        seed: u64,
    ) -> Result<WorldState, WorldModelError> {
        self.inner.start(context, proprioception, seed)
    }

    fn predict(&self, requests: &[PredictionRequest<'_>]) -> Result<Vec<Prediction>, WorldModelError> {
        let mut predictions = self.inner.predict(requests)?;
        let state = requests[0].state;
        if self.lose_frame {
            predictions[0].frames[0].pop();
        } else if state.chunk_index > 0 {
            let model = self.spec().name.clone();
            return Err(WorldModelError::PredictionNotFinite {
                model,
                chunk: state.chunk_index,
            });
        }
        Ok(predictions)
    }
}

impl Judge for Unreliable {
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError> {
        Ok(vec![
            Judgement {
                success_probability: self.probability,
                progress: 0.0
            };
            requests.len()
        ])
    }
}

fn unreliable(lose_frame: bool, probability: f32) -> LearnedEnv {
    let part = || {
        Arc::new(Unreliable {
            inner: ScriptedWorldModel::default(),
            lose_frame,
            probability,
        })
    };
    let initial = |_: u64, _: &str| Ok(ScriptedWorldModel::default().observation([0.0, 0.0], "reach"));
    LearnedEnv::new(LearnedWorld::new(part(), part(), initial, endless()).unwrap()).unwrap()
}

/// Says as progress where the point of a [`ScriptedWorldModel`] was in the episode's first frame.
#[derive(Debug)]
struct StartJudge;

impl Judge for StartJudge {
    fn judge(&self, requests: &[JudgeRequest<'_>]) -> Result<Vec<Judgement>, JudgeError> {
        let judge = |request: &JudgeRequest<'_>| Judgement {
            success_probability: 0.0,
            progress: request.first_frame.values[0],
        };
        Ok(requests.iter().map(judge).collect())
    }
}

#[test]
fn the_judge_is_shown_the_first_frame_of_the_episode() {
    let initial = |_: u64, _: &str| Ok(ScriptedWorldModel::default().observation([0.25, 0.0], "reach"));
    let model = Arc::new(ScriptedWorldModel::default());
    let world = LearnedWorld::new(model, Arc::new(StartJudge), initial, endless()).unwrap();
    let mut env = LearnedEnv::new(world).unwrap();
    let (_, info) = env.reset(Some(3), &ResetOptions::default()).unwrap();
    let start = info.metrics["progress"];
    assert!((start - 0.25).abs() < 0.01, "{start}");
    let steps = env.step_chunk(&towards_the_goal(12)).unwrap();
    assert_ne!(steps[0].observation, steps[11].observation);
    assert!(steps.iter().all(|step| step.info.metrics["progress"] == start));
}

#[test]
fn a_failed_call_leaves_the_env_as_it_was() {
    let mut env = unreliable(false, 0.0);
    reset(&mut env, 3);
    let error = env.step_chunk(&ActionChunk(actions(1, 6))).unwrap_err();
    assert!(
        matches!(
            error,
            EnvError::WorldModel(WorldModelError::PredictionNotFinite { chunk: 1, .. })
        ),
        "{error}"
    );
    let mut untouched = unreliable(false, 0.0);
    reset(&mut untouched, 3);
    let chunk = ActionChunk(actions(2, 3));
    assert_eq!(env.step_chunk(&chunk).unwrap(), untouched.step_chunk(&chunk).unwrap());
}

#[test]
fn answers_that_do_not_fit_are_errors_and_not_panics() {
    let mut env = unreliable(true, 0.0);
    reset(&mut env, 3);
    let error = env.step(&Action(vec![0.0, 0.0])).unwrap_err();
    assert!(
        matches!(
            error,
            EnvError::AnswerCount {
                what: "frames",
                expected: 1,
                found: 0,
                ..
            }
        ),
        "{error}"
    );
    let mut env = unreliable(false, f32::NAN);
    let error = env.reset(Some(3), &ResetOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            EnvError::JudgementNotFinite {
                what: "success probability",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn an_unknown_task_of_the_judge_is_named() {
    let mut config = endless();
    config.tasks[0].name = "juggle".into();
    let mut env = env_of(&Arc::new(ScriptedWorldModel::default()), config);
    let message = env.reset(Some(3), &ResetOptions::default()).unwrap_err().to_string();
    assert!(message.contains("juggle") && message.contains("reach"), "{message}");
}
