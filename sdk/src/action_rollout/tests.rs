use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::{DType, Device};
use image::RgbImage;
use worldloop_world_model::pipeline::{
    ActionRolloutOptions, CheckpointFolder, Feedback, Predict, RandomCheckpoint, ReleasedCheckpoint,
};
use worldloop_world_model::{Frame, PredictionRequest, WorldModel};

use super::*;

const SIZE: [u32; 2] = [32, 48];

fn model(feedback: Feedback) -> Predict {
    model_in_steps(feedback, 1)
}

fn model_in_steps(feedback: Feedback, num_steps: usize) -> Predict {
    let device = Device::flex();
    let folder = tempfile::tempdir().expect("a folder");
    let written = RandomCheckpoint::action_cond_tiny().write(folder.path(), 5, &device);
    written.expect("writable");
    let found = CheckpointFolder::open(folder.path()).expect("readable");
    let transformer = found.action_conditioned().expect("one");
    let checkpoint = ReleasedCheckpoint::load(&found, transformer, DType::F32, &device).expect("complete");
    let options = ActionRolloutOptions {
        height: SIZE[0] as usize,
        width: SIZE[1] as usize,
        chunk_length: None,
        num_steps: Some(num_steps),
        frame_rate_hz: 3.0,
        feedback,
        text: None,
        zero_text: false,
    };
    checkpoint.into_predict(options, &device).expect("the parts fit")
}

fn raw_actions(count: usize) -> Vec<Vec<f32>> {
    let action = |step: usize| (0..7).map(|axis| 0.01 * (step * 7 + axis) as f32).collect();
    (0..count).map(action).collect()
}

fn clip(model: &Predict, actions: usize) -> RecordedClip {
    let [height, width] = SIZE;
    let frame = |index: usize| {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x as u8 * 5, y as u8 * 7, index as u8 * 9])
        })
    };
    let scaled = model.config().network_actions(&raw_actions(actions), None);
    RecordedClip {
        name: "7".into(),
        annotation: "annotation/7.json".into(),
        video: "videos/7/rgb.mp4".into(),
        instruction: None,
        frames: (0..=actions).map(frame).collect(),
        actions: scaled.chunks(7).map(<[f32]>::to_vec).collect(),
        start: 0,
        frame_rate_hz: Some(3.0),
    }
}

fn play(model: &Predict, clip: &RecordedClip, seam: Seam) -> PlayedActions {
    let played = play_actions(model, clip, seam, false, |_| ControlFlow::Continue(()));
    played.expect("it plays").expect("nobody stopped it")
}

fn settings() -> RolloutSettings {
    RolloutSettings {
        checkpoint: "checkpoint".into(),
        model: "tiny".into(),
        random_weights: true,
        dtype: "f32".into(),
        adapter: None,
        seam: "fixed".into(),
        feedback: "rgb8".into(),
        num_steps: 1,
        chunk_length: 12,
        noise_seed: "first action".into(),
        height: 32,
        width: 48,
        whole_chunk: false,
        text: "checkpoint".into(),
        state_key: "state".into(),
        gripper_key: "continuous_gripper_state".into(),
        start_frame_idx: 0,
        fps_downsample_ratio: 1,
        camera_id: 0,
        action_scaler: 20.0,
        gripper_scale: 1.0,
        single_chunk: false,
    }
}

#[test]
fn the_fixed_seam_is_the_world_model_chunk_after_chunk() {
    for feedback in [Feedback::Rgb8, Feedback::Float] {
        let model = model(feedback);
        let clip = clip(&model, 15);
        let played = play(&model, &clip, Seam::Fixed);
        assert_eq!((played.frames.len(), played.chunk_secs.len()), (16, 2));
        assert_eq!(
            played.frames[0], clip.frames[0],
            "the observed frame comes first, as it is"
        );
        let first = Frame::from_rgb8(32, 48, clip.frames[0].as_raw()).expect("the size fits");
        let mut state = model.start(vec![vec![first]], &[], 0).expect("the context fits");
        let mut expected = Vec::new();
        for actions in raw_actions(15).chunks(12) {
            let request = PredictionRequest { state: &state, actions };
            let prediction = model.predict(&[request]).expect("it predicts").remove(0);
            expected.extend(prediction.frames[0].iter().map(Frame::to_rgb8));
            state = prediction.next_state;
        }
        let frames: Vec<Vec<u8>> = played.frames[1..].iter().map(|frame| frame.as_raw().clone()).collect();
        assert!(frames == expected, "{feedback:?}");
    }
}

#[test]
fn the_other_seams_keep_what_their_scripts_keep() {
    let model = model(Feedback::Rgb8);
    let clip = clip(&model, 26);
    let fixed = play(&model, &clip, Seam::Fixed);
    let public = play(&model, &clip, Seam::Public);
    let internal = play(&model, &clip, Seam::Internal);
    let counts = [&fixed, &public, &internal].map(|played| (played.frames.len(), played.chunk_secs.len()));
    assert_eq!(counts, [(27, 3), (37, 3), (25, 2)]);
    assert_ne!(
        public.frames[0], fixed.frames[0],
        "the first frame of the scripts went through the VAE"
    );
    assert_eq!(public.frames[1..25], fixed.frames[1..25], "whole chunks are the same");
    assert_ne!(
        public.frames[25], fixed.frames[25],
        "what fills a chunk up is seen in all its frames"
    );
    assert_eq!(internal.frames[..13], public.frames[..13]);
    // The frame between the chunks comes again, and everything after it is one later.
    assert_eq!(internal.frames[14..25], fixed.frames[13..24]);
    let one = play_actions(&model, &clip, Seam::Fixed, true, |_| ControlFlow::Continue(()));
    assert_eq!(one.expect("it plays").expect("to the end").frames, fixed.frames[..13]);
}

#[test]
fn noise_follows_the_index_of_the_first_action() {
    let model = model(Feedback::Rgb8);
    let first = clip(&model, 12);
    let later = RecordedClip {
        start: 3,
        ..first.clone()
    };
    assert_ne!(
        play(&model, &first, Seam::Fixed).frames,
        play(&model, &later, Seam::Fixed).frames
    );
}

#[test]
fn recordings_that_do_not_fit_are_named() {
    let model = model(Feedback::Rgb8);
    let message = |clip: &RecordedClip, seam| {
        let played = play_actions(&model, clip, seam, false, |_| ControlFlow::Continue(()));
        played.expect_err("it does not fit").to_string()
    };
    let short = message(&clip(&model, 5), Seam::Internal);
    assert!(short.contains("5 actions") && short.contains("`fixed`"), "{short}");
    let mut other = clip(&model, 5);
    other.frames[0] = RgbImage::new(16, 16);
    assert!(message(&other, Seam::Fixed).contains("16x16"));
    let mut other = clip(&model, 5);
    other.actions[3].push(0.0);
    assert!(message(&other, Seam::Fixed).contains("actions of 7 values"));
}

#[test]
fn a_rollout_stops_before_the_next_step() {
    let model = model_in_steps(Feedback::Rgb8, 3);
    for last in [(1, 0), (1, 1)] {
        let mut at = (0, 0);
        let ended = play_actions(&model, &clip(&model, 30), Seam::Fixed, false, |progress| {
            at = (progress.chunks_done, progress.steps_done);
            match at == last {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert!(ended.expect("it plays").is_none());
        assert_eq!(at, last);
    }
}

#[test]
fn finished_rollouts_are_found_again_and_never_mixed_up() {
    let model = model(Feedback::Rgb8);
    let clip = clip(&model, 5);
    let played = play(&model, &clip, Seam::Fixed);
    let folder = tempfile::tempdir().expect("a folder");
    let files = RolloutFiles::new(folder.path(), &clip.name, false);
    assert_eq!(
        files.finished(&clip.annotation, &settings()).expect("nothing there"),
        None
    );
    let record = files.write(&clip, &played, None, settings()).expect("it is written");
    assert_eq!((record.frames, record.predicted_frames, record.chunks), (6, 5, 1));
    assert_eq!((record.frame_rate_hz, record.psnr_against_recording_db), (3.0, None));
    assert_eq!(
        files
            .finished(&clip.annotation, &settings())
            .expect("readable")
            .as_ref(),
        Some(&record)
    );
    let names = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name().into_string();
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").map(names).collect();
    assert!(
        left.len() == 3
            && left
                .iter()
                .flatten()
                .all(|name| Path::new(name).extension().is_some_and(|e| e != "partial"))
    );

    let other = RolloutSettings {
        num_steps: 35,
        ..settings()
    };
    let message = files
        .finished(&clip.annotation, &other)
        .expect_err("another number of steps")
        .to_string();
    assert!(
        message.contains("`num_steps` (1, now 35)") && message.contains("--overwrite"),
        "{message}"
    );
    // Two recordings may have the same name.
    let [one, two] = ["one", "two"].map(|place| {
        std::fs::create_dir(folder.path().join(place)).expect("a folder");
        let path = folder.path().join(place).join("7.json");
        std::fs::write(&path, "{}").expect("a file");
        path
    });
    let clip_of_one = RecordedClip {
        annotation: one.clone(),
        ..clip.clone()
    };
    let record = files
        .write(&clip_of_one, &played, None, settings())
        .expect("it is written");
    assert_eq!(
        files.finished(&one, &settings()).expect("readable").as_ref(),
        Some(&record)
    );
    let message = files
        .finished(&two, &settings())
        .expect_err("another recording")
        .to_string();
    assert!(message.contains("two/7.json") && message.contains("--out"), "{message}");
    std::fs::remove_file(&record.predicted_video).expect("removed");
    assert_eq!(
        files.finished(&clip.annotation, &settings()).expect("readable"),
        None,
        "what is incomplete is made anew"
    );

    let trained = RolloutSettings {
        random_weights: false,
        ..settings()
    };
    let mut perfect = played.clone();
    perfect.frames = clip.frames.clone();
    let record = files
        .write(&clip, &perfect, Some(10.0), trained)
        .expect("it is written");
    assert_eq!(
        (record.psnr_against_recording_db, record.frame_rate_hz),
        (Some(60.0), 10.0)
    );
}
