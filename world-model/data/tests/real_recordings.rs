//! Promises about recordings of real robots, where these are at hand.

use std::path::{Path, PathBuf};

use serde_json::Value;
use worldloop_world_model_data::VideoReader;
use worldloop_world_model_data::bridge::{BridgeAnnotation, FrameSelection, ImageSize, InferenceParams};

/// The recordings of a real robot, if they are there; a test that is left out says so.
fn real_recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("WORLDLOOP_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let bridge = folder.unwrap_or_else(beside).join("bridge");
    if !bridge.is_dir() {
        eprintln!("SKIPPED: this test needs recordings of a robot (WORLDLOOP_DATA)");
        return None;
    }
    Some(bridge)
}

#[test]
fn stored_actions_of_a_real_robot_are_what_its_states_say() {
    let Some(bridge) = real_recordings() else { return };
    for index in [0, 1, 3] {
        let path = bridge.join(format!("annotation/{index}.json"));
        let annotation = BridgeAnnotation::open(&path, &InferenceParams::default()).unwrap();
        let actions = annotation.actions(FrameSelection::default()).unwrap();
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let stored = json["action"].as_array().unwrap();
        assert_eq!(
            (actions.len(), annotation.states.len()),
            (stored.len(), stored.len() + 1)
        );
        for (k, (found, stored)) in actions.iter().zip(stored).enumerate() {
            for (axis, found) in found[..6].iter().enumerate() {
                let stored = stored[axis].as_f64().unwrap();
                assert!(
                    (found - stored).abs() < 1e-9,
                    "{index}: action {k}, axis {axis}: {found} is not {stored}"
                );
            }
            // The stored gripper is the command, open or closed; the model was trained on the measured one.
            assert_eq!(found[6], json["continuous_gripper_state"][k + 1].as_f64().unwrap());
            assert_eq!(stored[6], json["state"][k + 1][6]);
        }
    }
}

#[test]
fn real_recordings_say_where_their_videos_are_and_what_was_asked() {
    let Some(bridge) = real_recordings() else { return };
    let path = bridge.join("annotation/0.json");
    let annotation = BridgeAnnotation::open(&path, &InferenceParams::default()).unwrap();
    assert!(annotation.instruction.is_some_and(|text| text.contains("spatula")));
    let annotation = BridgeAnnotation::open(&path, &InferenceParams::default()).unwrap();
    let video = annotation.find_video(0, None).unwrap();
    assert!(video.ends_with("videos/0/rgb.mp4"), "{}", video.display());
}

#[test]
fn published_parameters_are_read_as_they_are() {
    let Some(bridge) = real_recordings() else { return };
    let params = InferenceParams::open(bridge.join("inference_params.json")).unwrap();
    let expected = ImageSize::Pixels {
        height: 256,
        width: 320,
    };
    assert_eq!(params.image_size(), Some(expected));
    assert_eq!(
        (params.action_scaler, params.gripper_scale, params.save_fps),
        (20.0, 1.0, Some(20.0))
    );
    assert_eq!(
        params.input_json_sub_folder.as_deref(),
        Some(Path::new("annotation/test"))
    );
}

#[test]
fn a_recorded_video_has_a_frame_for_every_state() {
    let Some(bridge) = real_recordings() else { return };
    if std::process::Command::new("ffmpeg").arg("-version").output().is_err() {
        eprintln!("SKIPPED: this test needs the program ffmpeg (apt-get install ffmpeg)");
        return;
    }
    let path = bridge.join("annotation/1.json");
    let annotation = BridgeAnnotation::open(&path, &InferenceParams::default()).unwrap();
    let video = VideoReader::open(annotation.find_video(0, None).unwrap()).unwrap();
    assert_eq!(
        (video.width(), video.height(), video.frame_rate_hz()),
        (640, 480, Some(3.0))
    );
    assert_eq!(video.map(Result::unwrap).count(), annotation.states.len());
}
