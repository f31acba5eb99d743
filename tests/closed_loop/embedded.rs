//! The world whose weights are in the binary.

use burn::tensor::Device;
use worldloop::envs::learned::frame_from_image;
use worldloop::envs::{Action, CheckOptions, ResetOptions, check_env_with};
use worldloop::evaluation::FidelitySuite;
use worldloop::policies::Policy;
use worldloop::rollout::{EpisodeRequest, LearnedParts, RolloutError, RolloutEvent, RolloutRunner, World};
use worldloop::weights::Weights;
use worldloop::world_model::PredictionRequest;

use std::ops::ControlFlow;

fn parts() -> LearnedParts {
    Weights::embedded()
        .learned(&Device::flex())
        .expect("weights in the binary")
}

/// Plays the cloned policy and returns each episode's steps and success.
fn play(world: &World, num_envs: usize, seeds: &[u64]) -> Vec<(u64, usize, Option<bool>)> {
    let policies = Weights::embedded()
        .policies(&Device::flex())
        .expect("weights in the binary");
    let requests: Vec<_> = seeds
        .iter()
        .map(|&seed| EpisodeRequest {
            policy: "cloned".into(),
            seed,
        })
        .collect();
    let mut played = Vec::new();
    let make = |name: &str| policies.make(name);
    RolloutRunner::new(world.batch("reach", num_envs).expect("a task"))
        .run(&requests, &make, |event| {
            if let RolloutEvent::Finished(episode) = event {
                let last = episode.episode.steps.last().expect("a step").step.info.success;
                played.push((episode.request.seed, episode.episode.steps.len(), last));
            }
            Ok::<_, RolloutError>(ControlFlow::Continue(()))
        })
        .expect("episodes");
    played.sort_by_key(|(seed, ..)| *seed);
    played
}

#[test]
fn the_embedded_world_obeys_the_contract() {
    // Its attention runs both ways in time: frames within a chunk depend on the actions known after them.
    let options = CheckOptions {
        max_steps: 19,
        exact_chunks: false,
    };
    check_env_with(
        &mut *World::Learned(parts()).env("reach").expect("a task"),
        1_000_003,
        options,
    )
    .unwrap();
}

#[test]
fn episodes_end_the_same_alone_and_in_a_batch() {
    let (world, seeds) = (World::Learned(parts()), [1_000_005, 1_000_006, 1_000_007]);
    assert_eq!(play(&world, 3, &seeds), play(&world, 1, &seeds));
}

#[test]
fn the_cloned_policy_reaches_in_physics() {
    let seeds: Vec<u64> = (1_000_100..1_000_110).collect();
    let played = play(&World::Physics { image_size: 64 }, 4, &seeds);
    let successes = played.iter().filter(|(.., success)| *success == Some(true)).count();
    assert!(successes >= 7, "{successes} of {}: {played:?}", played.len());
}

#[test]
fn the_embedded_world_follows_actions_and_beats_a_still_frame() {
    let suite = FidelitySuite {
        tasks: vec!["reach".into()],
        policies: vec!["expert".into()],
        episodes: 6,
        first_seed: 1_000_200,
        chunks: 1,
    };
    let folder = tempfile::tempdir().unwrap();
    let policies = Weights::embedded()
        .policies(&Device::flex())
        .expect("weights in the binary");
    let make = |name: &str| -> Result<Box<dyn Policy>, _> { policies.make(name) };
    let measured = suite
        .run(&parts(), &make, folder.path(), &mut |_| ControlFlow::Continue(()))
        .expect("predictions")
        .expect("not stopped");
    let chunk = &measured.chunks[0];
    assert!(
        chunk.psnr > chunk.baseline_psnr + 2.0,
        "{} against {}",
        chunk.psnr,
        chunk.baseline_psnr
    );
    assert!(measured.shuffled_error_ratio.expect("episodes") > 1.3, "{measured:?}");
}

#[test]
fn the_known_pose_is_the_simulators_when_the_table_stops_the_hand() {
    let model = parts().model;
    // Down to the table, then along it while the hand rolls, pitches and yaws, then up.
    let pressed: [([f32; 7], usize); 6] = [
        ([0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0], 8),
        ([0.3, 0.1, -0.6, 1.0, 0.0, 0.3, 1.0], 5),
        ([-0.4, 0.2, -0.6, -1.0, 0.5, 0.0, 0.0], 5),
        ([0.1, -0.6, -0.3, 0.4, -1.0, -0.5, 0.0], 6),
        ([0.2, 0.3, -0.2, -0.3, 0.2, 0.2, 1.0], 4),
        ([0.0, 0.0, 1.0, 0.0, 0.3, 0.0, 1.0], 4),
    ];
    let actions: Vec<Vec<f32>> = pressed
        .iter()
        .flat_map(|(action, count)| vec![action.to_vec(); *count])
        .collect();
    let mut env = World::Physics { image_size: 64 }.env("reach").expect("a task");
    let (observation, _) = env.reset(Some(1_000_300), &ResetOptions::default()).expect("a start");
    let camera = &model.spec().cameras[0];
    let context = vec![vec![frame_from_image(&observation.images[camera])]];
    let mut state = model.start(context, &observation.proprioception, 0).expect("a start");
    let mut rolls = Vec::new();
    for (index, chunk) in actions.chunks(model.spec().chunk_length).enumerate() {
        let request = PredictionRequest {
            state: &state,
            actions: chunk,
        };
        let prediction = model.predict(&[request]).expect("a prediction").remove(0);
        for (action, pose) in chunk.iter().zip(&prediction.gripper_poses) {
            let step = env.step(&Action(action.clone())).expect("the ball is elsewhere");
            let known = pose.expect("told at the start").0;
            let actual = step.observation.proprioception;
            for (known, actual) in known.iter().zip(&actual) {
                assert!(
                    (known - f64::from(*actual)).abs() < 2e-3,
                    "chunk {index}: {known:?}, physics {actual:?}"
                );
            }
            rolls.push(actual[3]);
        }
        state = prediction.next_state;
    }
    // Without the table, five turns of 0.2 rad would end at the limit of 0.3.
    assert!(rolls[12] < 0.1, "{rolls:?}");
}
