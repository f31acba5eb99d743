use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;

fn annotation() -> Value {
    let states: Vec<[f64; 7]> = (0..5)
        .map(|k| [0.1 * f64::from(k), 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
        .collect();
    json!({
        "texts": ["lift the cup"],
        "videos": [{"video_path": "videos/test/0/rgb.mp4"}, "videos/test/0/wrist.mp4"],
        "state": states,
        "continuous_gripper_state": [0.0, 0.1, 0.2, 0.3, 0.4],
    })
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, text).expect("it is written");
    path
}

fn message(json: &Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), "7.json", &json.to_string());
    let error = BridgeAnnotation::open(path, &InferenceParams::default());
    error.expect_err("it is refused").to_string()
}

#[test]
fn states_are_chosen_before_actions_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), "7.json", &annotation().to_string());
    let annotation = BridgeAnnotation::open(path, &InferenceParams::default()).expect("it is read");
    assert_eq!(
        (annotation.name().as_str(), annotation.instruction.as_deref()),
        ("7", Some("lift the cup"))
    );
    let actions = annotation.actions(FrameSelection { start: 0, step: 2 }).expect("two");
    let moved: Vec<(f64, f64)> = actions.iter().map(|action| (action[0], action[6])).collect();
    assert_eq!(
        moved,
        [(0.2, 0.2), (0.4 - 0.2, 0.4)],
        "each action spans two recorded frames"
    );
    assert_eq!(
        annotation
            .actions(FrameSelection { start: 3, step: 1 })
            .expect("one")
            .len(),
        1
    );
    let error = annotation
        .actions(FrameSelection { start: 3, step: 2 })
        .expect_err("one state");
    let message = error.to_string();
    assert!(
        message.contains("1 of its 5 states") && message.contains("start_frame_idx"),
        "{message}"
    );
    let scaled = InferenceParams::default().scaled([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.5]);
    assert_eq!(
        scaled,
        [20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 0.5],
        "motions by 20, the gripper as it is"
    );
}

#[test]
fn both_forms_of_a_video_path_are_found_with_and_without_its_split() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = write(folder.path(), "annotation/test/7.json", &annotation().to_string());
    let annotation = BridgeAnnotation::open(path, &InferenceParams::default()).expect("it is read");
    let full = write(folder.path(), "videos/test/0/rgb.mp4", "");
    let short = write(folder.path(), "videos/0/wrist.mp4", "");
    assert_eq!(annotation.find_video(0, None).expect("as published"), full);
    assert_eq!(annotation.find_video(1, None).expect("without the split"), short);
    let message = annotation.find_video(2, None).expect_err("two cameras").to_string();
    assert!(
        message.contains("no camera 2") && message.contains("2 in number"),
        "{message}"
    );
    std::fs::remove_file(&full).expect("removed");
    let message = annotation.find_video(0, None).expect_err("it is gone").to_string();
    assert!(
        message.contains("videos/test/0/rgb.mp4") && message.contains("videos/0/rgb.mp4"),
        "{message}"
    );
    let elsewhere = tempfile::tempdir().expect("a folder");
    let moved = write(elsewhere.path(), "videos/test/0/rgb.mp4", "");
    assert_eq!(
        annotation.find_video(0, Some(elsewhere.path())).expect("in the root"),
        moved
    );
}

#[test]
fn what_is_wrong_with_an_annotation_is_named() {
    type Break = fn(&mut Value);
    let breaks: [(Break, &[&str]); 7] = [
        (|json| json["state"] = Value::Null, &["`state`", "missing", "a list"]),
        (
            |json| json["state"][3] = json!([1.0, 2.0]),
            &["`state[3]`", "a list of 2", "six"],
        ),
        (
            |json| json["state"][2][4] = Value::Null,
            &["`state[2][4]`", "finite number"],
        ),
        (
            |json| json["state"][2][4] = json!("east"),
            &["`state[2][4]`", "\"east\""],
        ),
        (
            |json| json["continuous_gripper_state"] = json!([0, 0, 0, 0]),
            &["5 rows of `state`", "4 values"],
        ),
        (
            |json| json["videos"] = json!([{"path": "rgb.mp4"}]),
            &["`videos[0]`", "video_path"],
        ),
        (|json| *json = json!([]), &["`state`", "missing"]),
    ];
    for (breaks, expected) in breaks {
        let mut json = annotation();
        breaks(&mut json);
        let message = message(&json);
        assert!(
            expected.iter().all(|part| message.contains(part)) && message.contains("7.json"),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in ["NaN", "Infinity", "1e999"] {
        let text = annotation().to_string().replacen("0.1", number, 1);
        let path = write(folder.path(), "7.json", &text);
        let error = BridgeAnnotation::open(path, &InferenceParams::default()).expect_err("no number");
        let message = error.to_string();
        assert!(
            message.contains("7.json") && message.contains("not valid annotation"),
            "{message}"
        );
        assert_eq!(message.contains("must be finite"), number != "1e999", "{message}");
    }
}

#[test]
fn settings_that_are_unknown_or_not_possible_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    for (text, expected) in [
        (r#"{"guidence": 0}"#, "unknown field `guidence`"),
        (r#"{"use_quat": true}"#, "quaternions"),
        (r#"{"reverse": true}"#, "`reverse`"),
        (r#"{"resolution": "9:16"}"#, "height,width"),
        (r#"{"resolution": "256,1e9"}"#, "4096"),
        (r#"{"camera_id": "left"}"#, "no index"),
        (r#"{"fps_downsample_ratio": 0}"#, "at least 1"),
        (r#"{"guidance": 3, "negative_prompt": "bad"}"#, "negative prompt"),
        (r#"{"prompt": "lift the cup"}"#, "empty prompt"),
        (r#"{"num_latent_conditional_frames": 2}"#, "one frame"),
        (r#"{"action_load_fn": "my.module.load"}"#, "no Python"),
        ("[]", "inference parameters"),
    ] {
        let path = write(folder.path(), "params.json", text);
        let message = InferenceParams::open(path).expect_err("it is refused").to_string();
        assert!(
            message.contains(expected) && message.contains("params.json"),
            "{message}"
        );
    }
    let path = write(
        folder.path(),
        "params.json",
        r#"{"camera_id": "1", "resolution": "none", "start": 1, "end": 3}"#,
    );
    let params = InferenceParams::open(path).expect("they are read");
    assert_eq!((params.camera_id, params.image_size()), (1, Some(ImageSize::Recorded)));
    assert_eq!(params.part(&[0, 1, 2, 3]), [1, 2]);
    assert_eq!(params.part(&[0]), [0; 0]);
}
