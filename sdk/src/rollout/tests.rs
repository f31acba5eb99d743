//! What a runner promises, in both worlds.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use worldloop_envs::{ActionChunk, EnvSpec, Observation, ResetOptions};
use worldloop_policies::{Policy, PolicyError};
use worldloop_world_model::{
    Frame, Prediction, PredictionRequest, WorldModel, WorldModelError, WorldModelSpec, WorldState,
};

use super::{
    EpisodeRequest, LearnedParts, PlayedEpisode, Recorder, RolloutError, RolloutEvent, RolloutRunner, World, replay,
};
use crate::fixtures::{learned, learned_parts, physics};
use crate::policy_source::PolicySource;

type Episodes = BTreeMap<EpisodeRequest, PlayedEpisode>;

fn requests(policies: &[&str], episodes: usize) -> Vec<EpisodeRequest> {
    EpisodeRequest::grid(
        &policies.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        7,
        episodes,
    )
}

fn play(world: &World, size: usize, requests: &[EpisodeRequest]) -> Result<Episodes, RolloutError> {
    let source = PolicySource::default();
    let mut episodes = Episodes::new();
    let mut runner = RolloutRunner::new(world.batch("reach", size)?);
    runner.run(requests, &|name| source.make(name), |event| {
        if let RolloutEvent::Finished(played) = event {
            episodes.insert(
                played.request.clone(),
                PlayedEpisode {
                    wall_secs: 0.0,
                    ..*played
                },
            );
        }
        Ok::<_, RolloutError>(ControlFlow::Continue(()))
    })?;
    Ok(episodes)
}

/// Notes the state of the robot that episodes start from.
struct Attentive {
    inner: Arc<dyn WorldModel>,
    told: Mutex<Vec<Vec<f32>>>,
}

impl WorldModel for Attentive {
    fn spec(&self) -> &WorldModelSpec {
        self.inner.spec()
    }

    fn start(
        &self,
        context: Vec<Vec<Frame>>,
        proprioception: &[f32],
        seed: u64,
    ) -> Result<WorldState, WorldModelError> {
        self.told.lock().expect("no other thread").push(proprioception.to_vec());
        self.inner.start(context, proprioception, seed)
    }

    fn predict(&self, requests: &[PredictionRequest<'_>]) -> Result<Vec<Prediction>, WorldModelError> {
        self.inner.predict(requests)
    }
}

#[test]
fn the_world_model_is_told_the_state_of_the_robot_and_the_policy_nothing_of_it() {
    let parts = learned_parts();
    let model = Arc::new(Attentive {
        inner: parts.model.clone(),
        told: Mutex::default(),
    });
    let world = World::Learned(LearnedParts {
        model: model.clone(),
        ..parts
    });
    let first = |world: &World| {
        let mut env = world.env("reach").unwrap();
        env.reset(Some(3), &ResetOptions::default()).unwrap().0
    };
    let (seen, truth) = (first(&world), first(&physics()));
    assert!(!truth.proprioception.is_empty());
    assert_eq!(*model.told.lock().unwrap(), [truth.proprioception]);
    assert!(seen.proprioception.is_empty() && seen.privileged.is_empty());
}

#[test]
fn the_batch_size_does_not_change_an_episode() {
    for world in [physics(), learned()] {
        let requests = requests(&["wander", "random"], 3);
        let alone = play(&world, 1, &requests).unwrap();
        assert_eq!(alone.len(), 6);
        assert_eq!(alone, play(&world, 4, &requests).unwrap(), "{}", world.name());
    }
}

#[test]
fn every_episode_ends_and_says_how() {
    for world in [physics(), learned()] {
        for played in play(&world, 3, &requests(&["wander"], 4)).unwrap().values() {
            assert!(played.episode.is_complete());
            assert!(
                played.episode.success().is_some(),
                "{} judges every episode",
                world.name()
            );
            assert!((1..=32).contains(&played.episode.steps.len()));
            assert!(played.best_progress().is_some());
        }
    }
}

#[test]
fn both_worlds_start_from_the_same_picture() {
    let [physics, learned] = [physics(), learned()].map(|world| play(&world, 2, &requests(&["random"], 2)).unwrap());
    for (request, played) in &physics {
        let (first, other) = (
            &played.episode.first_observation,
            &learned[request].episode.first_observation,
        );
        assert_eq!(first.images, other.images);
        assert_eq!(first.instruction, other.instruction);
        assert!(!first.privileged.is_empty() && other.privileged.is_empty());
    }
}

#[test]
fn replayed_actions_show_the_same_frames() {
    for world in [physics(), learned()] {
        let played = play(&world, 2, &requests(&["wander"], 2)).unwrap();
        let actions: Vec<_> = played
            .values()
            .map(|each| (each.request.seed, each.actions()))
            .collect();
        let mut batch = world.batch("reach", 2).unwrap();
        let seen = replay(&mut *batch, &actions, 8).unwrap();
        for (played, again) in played.values().zip(seen) {
            let steps = played.episode.steps.iter().map(|each| &each.step);
            assert!(steps.eq(again.steps.iter()), "{}", world.name());
            assert_eq!(played.episode.first_observation, again.first_observation);
        }
    }
}

#[test]
fn experts_are_refused_in_the_learned_world() {
    let error = play(&learned(), 1, &requests(&["expert"], 1)).unwrap_err().to_string();
    assert!(
        error.contains("expert") && error.contains("privileged") && error.contains("seed 7"),
        "{error}"
    );
}

/// Returns actions of the wrong size, NaN, nothing, or fails, after one good chunk.
struct Broken {
    fault: &'static str,
    calls: usize,
    size: usize,
}

impl Policy for Broken {
    fn name(&self) -> &str {
        "broken"
    }

    fn reset(&mut self, spec: &EnvSpec, _seed: u64) -> Result<(), PolicyError> {
        self.size = spec.action_space.len();
        Ok(())
    }

    fn act(&mut self, _observation: &Observation) -> Result<ActionChunk, PolicyError> {
        self.calls += 1;
        let action = |size, value| ActionChunk(vec![worldloop_envs::Action(vec![value; size])]);
        if self.calls == 1 {
            return Ok(action(self.size, 0.0));
        }
        match self.fault {
            "size" => Ok(action(self.size - 1, 0.0)),
            "nan" => Ok(action(self.size, f32::NAN)),
            "empty" => Ok(ActionChunk::default()),
            _ => Err(PolicyError::NoAction {
                policy: "broken".into(),
                why: "it gave up",
            }),
        }
    }
}

#[test]
fn a_broken_policy_is_named_with_its_episode_and_step() {
    for world in [physics(), learned()] {
        for (fault, words) in [
            ("size", "6 values, expected 7"),
            ("nan", "NaN"),
            ("empty", "empty action chunk"),
            ("error", "gave up"),
        ] {
            let make = |_: &str| -> Result<Box<dyn Policy>, PolicyError> {
                Ok(Box::new(Broken {
                    fault,
                    calls: 0,
                    size: 0,
                }))
            };
            let mut runner = RolloutRunner::new(world.batch("reach", 2).unwrap());
            let error = runner
                .run(&requests(&["broken"], 2), &make, |_| {
                    Ok::<_, RolloutError>(ControlFlow::Continue(()))
                })
                .unwrap_err()
                .to_string();
            for word in [words, "broken", "seed 7", "step 1"] {
                assert!(error.contains(word), "{fault} in {}: {error}", world.name());
            }
        }
    }
}

#[test]
fn breaking_keeps_what_has_ended() {
    let mut finished = 0;
    let source = PolicySource::default();
    RolloutRunner::new(physics().batch("reach", 2).unwrap())
        .run(&requests(&["random"], 8), &|name| source.make(name), |event| {
            finished += usize::from(matches!(event, RolloutEvent::Finished(_)));
            Ok::<_, RolloutError>(if finished > 0 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    assert!((1..=2).contains(&finished), "{finished}");
}

#[test]
fn recordings_hold_what_was_played_and_know_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let played = play(&physics(), 2, &requests(&["imperfect"], 2)).unwrap();
    let spec = physics().batch("reach", 1).unwrap().spec().clone();
    let mut recorder = Recorder::open(folder.path(), &spec).unwrap();
    for each in played.values() {
        recorder.write(each).unwrap();
    }
    let recorder = Recorder::open(folder.path(), &spec).unwrap();
    assert_eq!(recorder.len(), 2);
    assert!(
        played
            .keys()
            .all(|request| recorder.contains("reach", request) && !recorder.contains("push", request))
    );
    let dataset = worldloop_world_model_data::Dataset::open(folder.path()).unwrap();
    for (each, &index) in played.values().zip(dataset.indices()) {
        let episode = dataset.load(index).unwrap();
        assert_eq!(episode.info.seed, each.request.seed);
        assert_eq!(episode.info.success, each.success());
        let actions: Vec<_> = each.actions().0.into_iter().map(|action| action.0).collect();
        assert_eq!(episode.actions, actions);
        assert_eq!(
            episode.frames["third_person"][0],
            each.episode.first_observation.images["third_person"]
        );
        assert_eq!(episode.successes.last().copied(), Some(each.success()));
    }
}
