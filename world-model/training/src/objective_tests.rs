//! Every objective on a world of a few pixels: a square that its actions move sideways.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use image::{Rgb, RgbImage};
use worldloop_world_model::checkpoint::CheckpointSource;
use worldloop_world_model::diffusion::FlowStart;
use worldloop_world_model::dit::DitConfig;
use worldloop_world_model::judge::{FrameJudge, Judge, JudgeRequest};
use worldloop_world_model::pipeline::ActionReference;
use worldloop_world_model::vae::WanVaeConfig;
use worldloop_world_model::{Frame, GripperPose, PoseLimits, PredictionRequest, WorldModel};
use worldloop_world_model_data::{
    ActionInfo, CameraInfo, DatasetInfo, Episode, EpisodeInfo, EpisodeWriter, FORMAT_VERSION,
};

use super::judge::{JudgeObjective, JudgeTrainingConfig};
use super::vae::{VaeObjective, VaeTrainingConfig, load_vae};
use super::world::{WorldObjective, WorldTrainingConfig, load_world};
use super::*;

const SIZE: u32 = 16;
const STEPS: usize = 12;

fn record(folder: &Path) {
    let action = |name: usize| ActionInfo {
        name: format!("a{name}"),
        unit: "1".into(),
        low: -1.0,
        high: 1.0,
        scale: 1.0,
    };
    let info = DatasetInfo {
        version: FORMAT_VERSION,
        cameras: vec![CameraInfo {
            name: "third_person".into(),
            width: SIZE,
            height: SIZE,
        }],
        actions: (0..7).map(action).collect(),
        proprioception: (0..7).map(action).collect(),
        action_frame: "gripper".into(),
        frame_rate_hz: 5.0,
    };
    let mut writer = EpisodeWriter::open(folder, info).expect("a writable folder");
    for seed in 0..6 {
        writer.write(seed, &episode(seed as u64)).expect("written");
    }
}

/// The square is at the right edge in the last frames, which counts as success.
fn episode(seed: u64) -> Episode {
    let mut random = StepRandom::new(seed, 0, 0);
    let mut place = 1.0_f32;
    let (mut frames, mut actions, mut places) = (vec![frame(place)], Vec::new(), vec![place]);
    for _ in 0..STEPS {
        let motion = 2.0 * random.uniform();
        place = (place + motion).min(11.0);
        let mut action = vec![0.0; 7];
        action[0] = motion / 2.0;
        actions.push(action);
        frames.push(frame(place));
        places.push(place);
    }
    Episode {
        info: EpisodeInfo {
            seed,
            task: "slide".into(),
            instruction: "slide the square to the right".into(),
            policy: "expert".into(),
            env: "slide".into(),
            success: true,
        },
        frames: BTreeMap::from([("third_person".to_string(), frames)]),
        rewards: vec![0.0; STEPS],
        actions,
        proprioception: places.iter().map(|&place| pose_at(place)).collect(),
        successes: places.iter().map(|&place| place > 8.0).collect(),
        progress: places.iter().map(|&place| place / 11.0).collect(),
    }
}

/// The square is a gripper that moves a pixel per millimetre.
fn pose_at(place: f32) -> Vec<f32> {
    vec![0.001 * place, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
}

fn in_the_world() -> ActionReference {
    ActionReference::World(PoseLimits {
        meters: 0.002,
        radians: 0.2,
        low: [0.0, -1.0, -1.0, -0.5, -0.5, -0.5],
        high: [0.011, 1.0, 1.0, 0.5, 0.5, 0.5],
        hand: None,
    })
}

fn frame(place: f32) -> RgbImage {
    let left = place.round() as u32;
    RgbImage::from_fn(SIZE, SIZE, |x, y| {
        match (left..left + 4).contains(&x) && (6..10).contains(&y) {
            true => Rgb([220, 40, 40]),
            false => Rgb([200, 190, 180]),
        }
    })
}

fn trainer(steps: u64) -> TrainerConfig {
    let optimizer = OptimizerConfig {
        learning_rate: 3e-3,
        warmup_steps: 3,
        ..OptimizerConfig::default()
    };
    TrainerConfig {
        steps,
        log_every: 2,
        evaluate_every: 1000,
        optimizer,
        ..TrainerConfig::default()
    }
}

fn vae_config(data: &Path, steps: u64) -> VaeTrainingConfig {
    VaeTrainingConfig {
        trainer: trainer(steps),
        datasets: vec![data.to_path_buf()],
        vae: WanVaeConfig::tiny(),
        batch_size: 2,
        crop_px: 8,
        whole_frame_share: 0.5,
        ..VaeTrainingConfig::default()
    }
}

fn world_config(data: &Path, vae: PathBuf, steps: u64) -> WorldTrainingConfig {
    WorldTrainingConfig {
        trainer: trainer(steps),
        datasets: vec![data.to_path_buf()],
        vae,
        dit: DitConfig {
            in_channels: 8,
            out_channels: 8,
            ..DitConfig::tiny()
        },
        batch_size: 2,
        ..WorldTrainingConfig::default()
    }
}

/// Trains in a folder; with `stop` in two sittings.
fn train<O: Objective>(make: impl Fn() -> O, steps: u64, folder: &Path, stop: Option<u64>) -> TrainingSummary {
    train_as(trainer(steps), make, folder, stop)
}

fn train_as<O: Objective>(
    config: TrainerConfig,
    make: impl Fn() -> O,
    folder: &Path,
    stop: Option<u64>,
) -> TrainingSummary {
    if let Some(stop) = stop {
        let run = RunFolder::create(folder, &config).expect("a folder");
        let mut first = Trainer::new(make(), config.clone(), run, false, &Device::flex()).expect("a trainer");
        let halt = |now: &TrainingProgress<'_>| {
            if now.step == stop {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        first.run(halt).expect("training works");
    }
    let run = match stop {
        None => RunFolder::create(folder, &config),
        Some(_) => RunFolder::open(folder),
    };
    let run = run.expect("a folder");
    let mut trainer = Trainer::new(make(), config, run, stop.is_some(), &Device::flex()).expect("a trainer");
    trainer.run(|_| ControlFlow::Continue(())).expect("training works")
}

fn first_and_last_loss(folder: &Path) -> (f64, f64) {
    let metrics = RunFolder::open(folder).expect("a run").read_metrics().expect("metrics");
    let losses: Vec<f64> = metrics.iter().filter_map(|line| line.get("loss")?.as_f64()).collect();
    (losses[0], losses[losses.len() - 1])
}

/// Records, and trains a VAE for a few steps; returns the folder that holds both.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    record(&data);
    let config = vae_config(&data, 30);
    train(
        || VaeObjective::new(config.clone(), &Device::flex()).expect("recordings"),
        30,
        &folder.path().join("vae"),
        None,
    );
    folder
}

#[test]
fn the_vae_learns_and_its_latents_are_normalised() {
    let folder = prepared();
    let (first, last) = first_and_last_loss(&folder.path().join("vae"));
    assert!(last < 0.8 * first, "{first} {last}");
    let (config, _) = load_vae(&folder.path().join("vae/vae.safetensors"), &Device::flex()).expect("readable");
    assert!(
        config.latents_std.iter().all(|&std| std > 0.0 && std != 1.0),
        "{:?}",
        config.latents_std
    );
}

#[test]
fn a_frozen_encoder_keeps_its_latents_while_the_decoder_learns() {
    let folder = prepared();
    let data = folder.path().join("data");
    let before = folder.path().join("vae/vae.safetensors");
    let initial = Some(before.clone());
    let config = VaeTrainingConfig {
        initial,
        freeze_encoder: true,
        ..vae_config(&data, 5)
    };
    let run = folder.path().join("decoder");
    train(
        || VaeObjective::new(config.clone(), &Device::flex()).expect("recordings"),
        5,
        &run,
        None,
    );
    let device = Device::flex();
    let (old_config, old) = load_vae(&before, &device).expect("readable");
    let (new_config, new) = load_vae(&run.join("vae.safetensors"), &device).expect("readable");
    assert_eq!(old_config, new_config);
    let noise = StepRandom::new(1, 1, 1).normals(3 * 9 * 64);
    let clip = Tensor::<5>::from_data(TensorData::new(noise, [1, 3, 9, 8, 8]), &device);
    let latents = old.encode_latents(clip.clone());
    let change = |a: Tensor<5>, b: Tensor<5>| (a - b).abs().max().into_scalar::<f32>();
    assert!(change(latents.clone(), new.encode_latents(clip)) < 1e-4);
    assert!(change(old.decode_latents(latents.clone()), new.decode_latents(latents)) > 1e-3);
}

#[test]
fn resumed_vae_equals_uninterrupted_vae() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    record(&data);
    let config = vae_config(&data, 8);
    let make = || VaeObjective::new(config.clone(), &Device::flex()).expect("recordings");
    train(make, 8, &folder.path().join("whole"), None);
    train(make, 8, &folder.path().join("parts"), Some(3));
    let read = |run: &str| std::fs::read(folder.path().join(run).join("state.safetensors")).expect("a state");
    assert!(read("whole") == read("parts"), "the weights differ");
}

fn world_objective(config: &WorldTrainingConfig) -> WorldObjective {
    let mut proceed = |_| ControlFlow::Continue(());
    WorldObjective::new(config.clone(), &mut Preparation::new(&mut proceed), &Device::flex()).expect("recordings")
}

#[test]
fn latents_are_encoded_once() {
    let folder = prepared();
    let mut config = world_config(
        &folder.path().join("data"),
        folder.path().join("vae/vae.safetensors"),
        1,
    );
    config.window_stride = 2;
    let network = config.dit.init(&Device::flex());
    let encoded = |config: &WorldTrainingConfig| {
        let mut reports = 0;
        let mut count = |progress: PreparationProgress| {
            assert!(progress.done <= progress.total, "{progress:?}");
            reports += 1;
            ControlFlow::Continue(())
        };
        let mut preparation = Preparation::new(&mut count).kept_in(folder.path());
        let objective = WorldObjective::new(config.clone(), &mut preparation, &Device::flex()).expect("recordings");
        let loss = objective.loss(&network, 0).into_scalar::<f32>();
        (reports, loss)
    };
    let (first, loss) = encoded(&config);
    assert!(first > 0);
    assert_eq!(encoded(&config), (0, loss), "the latents were there");
    config.window_stride = 3;
    assert!(encoded(&config).0 > 0, "other latents than those kept");
}

#[test]
fn a_training_starts_from_given_weights() {
    let folder = prepared();
    let data = folder.path().join("data");
    let config = world_config(&data, folder.path().join("vae/vae.safetensors"), 3);
    train(|| world_objective(&config), 3, &folder.path().join("first"), None);
    let world = folder.path().join("first/world.safetensors");
    // Its VAE is taken from the same file.
    let mut second = world_config(&data, world.clone(), 3);
    second.initial = Some(world.clone());
    second.dit = DitConfig::tiny();
    let started = world_objective(&second).network(&Device::flex());
    let first = load_world(&world, &Device::flex()).expect("readable");
    let weight = |network: &worldloop_world_model::dit::Dit| network.final_layer.linear.weight.val().into_data();
    assert_eq!(weight(&started), weight(&first.networks().dit));
}

#[test]
fn a_grown_world_begins_where_the_small_one_ended() {
    let folder = prepared();
    let data = folder.path().join("data");
    let config = world_config(&data, folder.path().join("vae/vae.safetensors"), 3);
    train(|| world_objective(&config), 3, &folder.path().join("first"), None);
    let mut config = world_config(&data, folder.path().join("first/world.safetensors"), 3);
    config.initial = Some(config.vae.clone());
    let first_loss = |config: &WorldTrainingConfig| {
        let objective = world_objective(config);
        let network = objective.network(&Device::flex());
        (objective.loss(&network, 0).into_scalar::<f32>(), network.num_params())
    };
    let (small_loss, small_size) = first_loss(&config);
    config.new_blocks_after = vec![0, 1];
    for reference in [ActionReference::GivenFrame { radians: 0.2 }, in_the_world()] {
        config.action_reference = reference;
        let (loss, size) = first_loss(&config);
        assert!(
            (loss - small_loss).abs() < 1e-4 * small_loss,
            "{loss}, small {small_loss}"
        );
        assert!(size > small_size, "{size} weights, small {small_size}");
    }
    config.new_blocks_after = vec![7];
    let mut proceed = |_| ControlFlow::Continue(());
    let error = WorldObjective::new(config, &mut Preparation::new(&mut proceed), &Device::flex());
    let error = error.expect_err("there is no such block").to_string();
    assert!(error.contains("new_blocks_after") && error.contains('7'), "{error}");
}

#[test]
fn later_chunks_start_from_predicted_frames_that_are_computed_once() {
    let folder = prepared();
    let data = folder.path().join("data");
    let mut config = world_config(&data, folder.path().join("vae/vae.safetensors"), 3);
    (config.chunk, config.window_stride, config.context_noise) = (4, 4, 0.0);
    train(|| world_objective(&config), 3, &folder.path().join("first"), None);
    let network = config.dit.init(&Device::flex());
    let loss = |config: &WorldTrainingConfig, expected: &[&str]| {
        let mut reports = Vec::new();
        let mut note = |progress: PreparationProgress| {
            assert!(progress.done <= progress.total, "{progress:?}");
            reports.push(progress.what);
            ControlFlow::Continue(())
        };
        let mut preparation = Preparation::new(&mut note).kept_in(folder.path());
        let objective = WorldObjective::new(config.clone(), &mut preparation, &Device::flex()).expect("recordings");
        reports.dedup();
        assert_eq!(reports, expected);
        objective.loss(&network, 0).into_scalar::<f32>()
    };
    loss(&config, &["encode windows"]);
    config.predicted_contexts = 6;
    config.predicted_share = 1.0;
    let mut proceed = |_| ControlFlow::Continue(());
    let error = WorldObjective::new(config.clone(), &mut Preparation::new(&mut proceed), &Device::flex());
    let error = error.expect_err("nothing predicts them").to_string();
    assert!(
        error.contains("predicted_contexts") && error.contains("initial"),
        "{error}"
    );
    config.initial = Some(folder.path().join("first/world.safetensors"));
    let predicted = loss(&config, &["predict contexts"]);
    assert_eq!(loss(&config, &[]), predicted, "the contexts were there");
}

#[test]
fn stopping_while_windows_are_encoded_says_so() {
    let folder = prepared();
    let config = world_config(
        &folder.path().join("data"),
        folder.path().join("vae/vae.safetensors"),
        1,
    );
    let mut stop = |_| ControlFlow::Break(());
    let error = WorldObjective::new(config, &mut Preparation::new(&mut stop), &Device::flex()).expect_err("stopped");
    assert!(matches!(error, TrainingError::Stopped { .. }), "{error}");
}

#[test]
fn resumed_world_equals_uninterrupted_world() {
    let folder = prepared();
    let mut config = world_config(
        &folder.path().join("data"),
        folder.path().join("vae/vae.safetensors"),
        6,
    );
    config.sampler.start = FlowStart::GivenFrame;
    config.action_reference = ActionReference::GivenFrame { radians: 0.2 };
    if let Some(action) = &mut config.dit.conditioning.action {
        action.action_dim = 13;
    }
    let make = || world_objective(&config);
    let mut trainer = config.trainer.clone();
    trainer.batches_per_step = 2;
    trainer.products = Products::Bfloat16;
    trainer.optimizer.hidden_matrices = MatrixUpdate::Muon;
    train_as(trainer.clone(), make, &folder.path().join("whole"), None);
    train_as(trainer, make, &folder.path().join("parts"), Some(4));
    let read = |run: &str| std::fs::read(folder.path().join(run).join("state.safetensors")).expect("a state");
    assert!(read("whole") == read("parts"), "the weights differ");
}

#[test]
fn a_world_that_is_told_where_the_gripper_is_learns_to_look_there() {
    let folder = prepared();
    let mut config = world_config(
        &folder.path().join("data"),
        folder.path().join("vae/vae.safetensors"),
        40,
    );
    config.action_reference = in_the_world();
    if let Some(action) = &mut config.dit.conditioning.action {
        action.action_dim = config.action_reference.network_dimensions(7);
    }
    let run = folder.path().join("world");
    train(|| world_objective(&config), 40, &run, None);
    let (first, last) = first_and_last_loss(&run);
    assert!(last < 0.9 * first, "{first} {last}");

    let model = load_world(&run.join("world.safetensors"), &Device::flex()).expect("readable");
    let actions = vec![vec![0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]; 8];
    let predicted = |proprioception: &[f32]| {
        let first = Frame::from_rgb8(SIZE as usize, SIZE as usize, frame(1.0).as_raw()).expect("the size fits");
        let state = &model
            .start(vec![vec![first]], proprioception, 1)
            .expect("the start fits");
        let request = PredictionRequest {
            state,
            actions: &actions,
        };
        model.predict(&[request]).expect("a prediction").remove(0)
    };
    let (told, elsewhere, not_told) = (predicted(&pose_at(1.0)), predicted(&pose_at(3.0)), predicted(&[]));
    assert_ne!(told.frames, elsewhere.frames);
    assert_ne!(told.frames, not_told.frames);
    assert_eq!(not_told.next_state.gripper_pose, None);
    let GripperPose([x, ..]) = told.next_state.gripper_pose.expect("it was told");
    assert!((x - 0.009).abs() < 1e-6, "{x}: 8 steps of 1 mm from 1 mm");
}

#[test]
fn recordings_without_robot_states_are_refused_where_the_gripper_is_to_be_known() {
    let folder = prepared();
    let data = folder.path().join("data");
    let mut config = world_config(&data, folder.path().join("vae/vae.safetensors"), 1);
    config.action_reference = in_the_world();
    if let Some(action) = &mut config.dit.conditioning.action {
        action.action_dim = config.action_reference.network_dimensions(7);
    }
    for name in ["dataset.json".to_owned()]
        .into_iter()
        .chain((0..6).map(|index| format!("episode-{index:06}.json")))
    {
        let path = data.join(name);
        let text = std::fs::read(&path).expect("readable");
        let mut json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        json.as_object_mut().expect("an object").remove("proprioception");
        std::fs::write(&path, json.to_string()).expect("writable");
    }
    let mut proceed = |_| ControlFlow::Continue(());
    let error = WorldObjective::new(config, &mut Preparation::new(&mut proceed), &Device::flex());
    let error = error.expect_err("there are no states").to_string();
    assert!(
        error.contains("worldloop record") && error.contains("seed 0"),
        "{error}"
    );
}

#[test]
fn the_world_learns_is_measured_and_predicts_from_its_checkpoint() {
    let folder = prepared();
    let config = world_config(
        &folder.path().join("data"),
        folder.path().join("vae/vae.safetensors"),
        40,
    );
    let run = folder.path().join("world");
    let summary = train(|| world_objective(&config), 40, &run, None);
    let (first, last) = first_and_last_loss(&run);
    assert!(last < 0.9 * first, "{first} {last}");
    for name in [
        "psnr_chunk1_db",
        "gain_moving_db",
        "zeroed_error_ratio",
        "shuffled_error_ratio",
        "flipped_error_ratio",
    ] {
        assert!(
            summary
                .evaluation
                .metrics
                .get(name)
                .is_some_and(|value| value.is_finite()),
            "{name}"
        );
    }
    assert!(run.join("validation-000040.png").exists());

    let model = load_world(&run.join("world.safetensors"), &Device::flex()).expect("readable");
    assert_eq!(
        (model.spec().chunk_length, model.spec().action[0].name.as_str()),
        (8, "a0")
    );
    let first = Frame::from_rgb8(SIZE as usize, SIZE as usize, frame(3.0).as_raw()).expect("the size fits");
    let state = model.start(vec![vec![first]], &[], 1).expect("the context fits");
    let actions = vec![vec![0.5; 7]; 3];
    let predicted = model
        .predict(&[PredictionRequest {
            state: &state,
            actions: &actions,
        }])
        .expect("a prediction");
    assert_eq!(predicted[0].frames[0].len(), 3);
}

#[test]
fn a_model_that_ignores_actions_is_reported() {
    let folder = prepared();
    let config = world_config(
        &folder.path().join("data"),
        folder.path().join("vae/vae.safetensors"),
        1,
    );
    let make = || world_objective(&config);
    let summary = train(make, 1, &folder.path().join("world"), None);
    assert!(
        summary
            .evaluation
            .warnings
            .iter()
            .any(|warning| warning.contains("HARDLY REACTS TO ACTIONS"))
    );
}

#[test]
fn the_judge_learns_from_recorded_and_predicted_frames() {
    let folder = prepared();
    let data = folder.path().join("data");
    let config = world_config(&data, folder.path().join("vae/vae.safetensors"), 2);
    let world = folder.path().join("world");
    train(|| world_objective(&config), 2, &world, None);
    let config = JudgeTrainingConfig {
        trainer: trainer(160),
        datasets: vec![data],
        world: Some(world.join("world.safetensors")),
        predicted_stretches: 3,
        predicted_share: 0.1,
        hidden_frame_share: 0.1,
        batch_size: 16,
        ..JudgeTrainingConfig::default()
    };
    let run = folder.path().join("judge");
    train(
        || {
            let mut proceed = |_| ControlFlow::Continue(());
            JudgeObjective::new(config.clone(), &mut Preparation::new(&mut proceed), &Device::flex())
                .expect("recordings")
        },
        160,
        &run,
        None,
    );

    let source = CheckpointSource::open(run.join("judge.safetensors")).expect("readable");
    let judge = FrameJudge::load(&source, &Device::flex()).expect("a judge");
    let frames = [2.0, 11.0]
        .map(|place| Frame::from_rgb8(SIZE as usize, SIZE as usize, frame(place).as_raw()).expect("the size fits"));
    let requests = frames.each_ref().map(|frame| JudgeRequest {
        frame,
        first_frame: &frames[0],
        gripper_pose: None,
        task: "slide",
        instruction: "",
    });
    let judged = judge.judge(&requests).expect("a known task");
    assert!(
        judged[1].success_probability > judged[0].success_probability + 0.2,
        "{judged:?}"
    );
    assert!(judged[1].progress > judged[0].progress, "{judged:?}");
}
