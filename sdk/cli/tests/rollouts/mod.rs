//! What `init-checkpoint` and `rollout` promise.

#![expect(clippy::unwrap_used, reason = "a part of a test, where a failure may panic")]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use worldloop::data::bridge::{BridgeAnnotation, FrameSelection, InferenceParams};
use worldloop::data::{VideoReader, ffmpeg_is_installed};
use worldloop::envs::physics::{PhysicsConfig, PhysicsEnv};
use worldloop::envs::{Env, ResetOptions};
use worldloop::evaluation::report::side_by_side_gif;

use super::{command, refused, succeeds, wait_for, worldloop};

/// Settings for frames that take no time.
const SMALL: &str = r#"{"resolution": "32,48"}"#;

fn checkpoint(folder: &Path) {
    succeeds(folder, "init-checkpoint --preset action-cond-tiny --out tiny --seed 4");
}

/// States of an arm that moves along a line and closes its gripper.
fn annotation(states: usize, video: &str) -> Value {
    let state = |k: usize| vec![0.3 + 0.01 * k as f64, 0.0, 0.1, 3.1, -0.1, 0.02 * k as f64, 1.0];
    let gripper: Vec<f64> = (0..states).map(|k| 1.0 - k as f64 / states as f64).collect();
    json!({
        "texts": ["move ahead"],
        "videos": [{"video_path": video}],
        "state": (0..states).map(state).collect::<Vec<_>>(),
        "continuous_gripper_state": gripper,
    })
}

/// Writes recordings as they are published, with an animation for a video.
fn recording(folder: &Path, name: &str, states: usize) {
    let mut env = PhysicsEnv::new(PhysicsConfig::default());
    let (observation, _) = env.reset(Some(1), &ResetOptions::default()).unwrap();
    let frame = observation.images.values().next().unwrap().clone();
    let gif = side_by_side_gif(&vec![frame; states], &[], 5.0, 1).unwrap();
    for part in ["bridge/annotation", "bridge/videos/test"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    let video = format!("videos/test/{name}.gif");
    std::fs::write(folder.join("bridge").join(&video), gif.bytes).unwrap();
    write_annotation(folder, name, &annotation(states, &video));
}

fn write_annotation(folder: &Path, name: &str, annotation: &Value) {
    let path = folder.join(format!("bridge/annotation/{name}.json"));
    std::fs::write(path, annotation.to_string()).unwrap();
}

fn lines(printed: &str) -> Vec<Value> {
    printed
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object per line"))
        .collect()
}

#[test]
fn the_networks_of_a_checkpoint_folder_are_inspected_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, "init-checkpoint --preset action-cond-tiny --out tiny");
    let found: Vec<Value> = succeeds(path, "inspect tiny --json")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().all(|file| file["damaged"] == json!(false)));
    assert!(found[0]["network"].as_str().unwrap().contains("text embedding of \"\""));
    let networks = &found[1..];
    assert!(networks.iter().all(|network| network["keys"]["missing"] == json!([])));
}

#[test]
fn actions_written_down_become_the_video_of_their_annotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    recording(path, "7", 14);
    let annotation =
        BridgeAnnotation::open(path.join("bridge/annotation/7.json"), &InferenceParams::default()).unwrap();
    let actions = annotation.actions(FrameSelection::default()).unwrap();
    std::fs::write(path.join("actions.json"), json!(actions).to_string()).unwrap();
    let video = annotation.find_video(0, None).unwrap();
    let first = VideoReader::open(video).unwrap().next().unwrap().unwrap();
    first.save(path.join("first.png")).unwrap();

    let generate = "generate --checkpoint tiny --resolution 32,48 --steps 1 --format png --out out";
    let told = lines(&succeeds(
        path,
        &format!("{generate} --action bridge/annotation/7.json --json"),
    ));
    assert_eq!((&told[0]["frames"], &told[0]["chunks"]), (&14.into(), &2.into()));
    let written = "--action actions.json --input first.png --name written";
    succeeds(path, &format!("{generate} {written}"));
    let frame = |name: &str, index: usize| {
        let file = path.join(format!("out/{name}-frames/{index:05}.png"));
        image::open(file).unwrap().into_rgb8()
    };
    for index in 0..14 {
        assert!(frame("7", index) == frame("written", index), "frame {index}");
    }
    assert!(frame("7", 1) != frame("7", 13), "the actions change nothing");
    let again = succeeds(path, &format!("{generate} {written}"));
    assert!(again.contains("was there before"), "{again}");
    let again = lines(&succeeds(path, &format!("{generate} {written} --json")));
    assert_eq!(
        (&again[0]["skipped"], &told[0]["skipped"]),
        (&true.into(), &false.into())
    );

    // A causal network makes its frames as they come, and the first of them do not depend on later actions.
    let streaming = generate.replace("--steps 1", "--streaming");
    let told = lines(&succeeds(
        path,
        &format!("{streaming} --action actions.json --input first.png --name stream --json"),
    ));
    assert_eq!(
        (&told[0]["frames"], &told[0]["steps"], &told[0]["streaming"]),
        (&14.into(), &4.into(), &true.into())
    );
    let mut changed = actions;
    changed[6] = [0.5; 7];
    std::fs::write(path.join("changed.json"), json!(changed).to_string()).unwrap();
    succeeds(
        path,
        &format!("{streaming} --action changed.json --input first.png --name changed"),
    );
    for index in 0..=4 {
        assert!(frame("stream", index) == frame("changed", index), "frame {index}");
    }
    assert!(frame("stream", 5) != frame("changed", 5), "the actions change nothing");

    // The older class sees all four actions of its chunks for every frame alike.
    let four = "--chunk-size 4 --action actions.json --input first.png";
    succeeds(path, &format!("{generate} {four} --name released"));
    succeeds(path, &format!("{generate} {four} --name older --whole-chunk"));
    assert!(frame("released", 1) != frame("older", 1), "the class changes nothing");
    let five = format!("{generate} {four} --name five --whole-chunk").replace("--chunk-size 4", "--chunk-size 5");
    refused(path, &five, &["28 numbers", "5 actions"]);

    let named = "--model predict2.5-2b/robot/action-cond";
    refused(
        path,
        &format!("{streaming} {named} {written} --overwrite"),
        &["does not hold"],
    );
    refused(
        path,
        &format!("{generate} --action actions.json --input first.png --name ../a"),
        &["../a", "without `/`"],
    );
    refused(path, &format!("{generate} --action actions.json"), &["--input"]);
    let other = "--model predict2.5-2b/post-trained --overwrite";
    refused(
        path,
        &format!("{generate} {written} {other}"),
        &["does not hold", "predict2.5-2b/post-trained"],
    );
    let gone = format!("{generate} --action gone.json --input first.png");
    refused(path, &gone, &["gone.json", "check that it exists"]);
    refused(path, &format!("{generate} {written} --prompt cube"), &["--prompt"]);
    std::fs::write(path.join("short.json"), "[[0.1, 0.2]]").unwrap();
    let short = format!("{generate} --action short.json --input first.png --name short");
    refused(path, &short, &["short.json", "7 values", "has 2"]);
}

#[test]
fn a_random_checkpoint_plays_one_frame_per_action() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    recording(path, "7", 14);
    std::fs::write(path.join("params.json"), SMALL).unwrap();
    let rollout = "rollout --checkpoint tiny --annotation bridge/annotation/7.json --params params.json --out out";
    let first = lines(&succeeds(path, &format!("{rollout} --steps 1 --json"))).remove(0);
    assert_eq!(
        (&first["frames"], &first["chunks"], &first["predicted_frames"]),
        (&14.into(), &2.into(), &13.into())
    );
    assert!(
        first["seconds_per_chunk"].as_f64() > Some(0.0) && first["skipped"] == false,
        "{first}"
    );
    // Random weights have no quality.
    assert!(
        first["psnr_against_recording_db"].is_null() && first["settings"]["random_weights"] == true,
        "{first}"
    );
    let video = path.join(first["predicted_video"].as_str().unwrap());
    let predicted = VideoReader::open(&video).unwrap();
    assert_eq!((predicted.height(), predicted.width(), predicted.count()), (32, 48, 14));
    let both = VideoReader::open(path.join(first["side_by_side"].as_str().unwrap())).unwrap();
    assert!(both.width() > 96 && both.count() == 14);

    // What is there is not made again, and not taken for something else.
    let before = std::fs::read(&video).unwrap();
    let again = lines(&succeeds(path, &format!("{rollout} --steps 1 --json"))).remove(0);
    assert_eq!(
        (&again["skipped"], &again["seconds_per_chunk"]),
        (&true.into(), &first["seconds_per_chunk"])
    );
    refused(path, &format!("{rollout} --steps 2"), &["num_steps", "--overwrite"]);
    std::fs::create_dir(path.join("bridge/other")).unwrap();
    std::fs::copy(path.join("bridge/annotation/7.json"), path.join("bridge/other/7.json")).unwrap();
    let same_name = rollout.replace("annotation/7.json", "other/7.json");
    refused(path, &format!("{same_name} --steps 1"), &["other/7.json", "--out"]);
    let anew = lines(&succeeds(path, &format!("{rollout} --steps 1 --json --overwrite"))).remove(0);
    assert_eq!(anew["skipped"], false);
    assert!(
        std::fs::read(&video).unwrap() == before,
        "the same rollout gives the same video"
    );
    let table = succeeds(path, &format!("{rollout} --steps 1 --dtype bf16 --overwrite"));
    assert!(
        table.contains("random weights") && table.contains("7_chunk."),
        "{table}"
    );
    let public = rollout.replace("--out out", "--out public --seam public --steps 1 --json");
    assert_eq!(lines(&succeeds(path, &public))[0]["frames"], 25);
}

#[test]
fn a_random_checkpoint_is_recognized_and_never_takes_the_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    for (file, words) in [
        (
            "tiny/robot/action-cond/random-tiny_ema_bf16.pt",
            ["PyTorch", " 0 missing, 0 unused"],
        ),
        ("tiny/tokenizer.pth", ["PyTorch", " 0 missing, 0 unused"]),
    ] {
        let text = succeeds(path, &format!("inspect {file}"));
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let mark = std::fs::read_to_string(path.join("tiny/RANDOM_WEIGHTS.txt")).unwrap();
    assert!(mark.contains("random"), "{mark}");
    // Another seed replaces random weights, but nothing else is ever replaced.
    checkpoint(path);
    std::fs::create_dir(path.join("real")).unwrap();
    std::fs::write(path.join("real/tokenizer.pth"), "trained").unwrap();
    refused(
        path,
        "init-checkpoint --preset action-cond-tiny --out real",
        &["real", "choose another"],
    );
    assert_eq!(
        std::fs::read_to_string(path.join("real/tokenizer.pth")).unwrap(),
        "trained"
    );
}

#[test]
fn a_real_recording_has_a_frame_for_every_state() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("WORLDLOOP_DATA").map_or_else(beside, PathBuf::from);
    if !data.join("bridge").is_dir() || !ffmpeg_is_installed() {
        eprintln!("SKIPPED: this test needs recordings of a robot (WORLDLOOP_DATA) and the program ffmpeg");
        return;
    }
    let bridge = std::fs::canonicalize(data.join("bridge")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    std::fs::create_dir_all(path.join("bridge/annotation")).unwrap();
    let text = std::fs::read_to_string(bridge.join("annotation/0.json")).unwrap();
    let mut cut: Value = serde_json::from_str(&text).unwrap();
    for key in ["state", "continuous_gripper_state"] {
        cut[key].as_array_mut().unwrap().truncate(14);
    }
    cut["videos"] = json!([bridge.join("videos/0/rgb.mp4")]);
    write_annotation(path, "cut", &cut);
    let params = bridge.join("inference_params.json");
    let rollout = format!(
        "rollout --checkpoint tiny --annotation bridge/annotation/cut.json --params {} --out out --steps 1 --json",
        params.display()
    );
    let found = lines(&succeeds(path, &rollout)).remove(0);
    assert_eq!(
        (&found["frames"], &found["chunks"], &found["actions"]),
        (&14.into(), &2.into(), &13.into())
    );
    assert_eq!(
        (&found["settings"]["height"], &found["settings"]["width"]),
        (&256.into(), &320.into())
    );
    let video = VideoReader::open(path.join("out/cut_chunk.mp4")).unwrap();
    assert_eq!((video.frame_rate_hz(), video.count()), (Some(20.0), 14));
}

#[test]
fn mistakes_in_recordings_are_told_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    recording(path, "good", 5);
    let video = "videos/test/good.gif";
    let mut mismatch = annotation(5, video);
    mismatch["continuous_gripper_state"].as_array_mut().unwrap().pop();
    write_annotation(path, "mismatch", &mismatch);
    write_annotation(path, "gone", &annotation(5, "videos/test/gone.mp4"));
    write_annotation(path, "one", &annotation(1, video));
    write_annotation(path, "long", &annotation(9, video));
    let nan = annotation(5, video).to_string().replacen("0.3", "NaN", 1);
    std::fs::write(path.join("bridge/annotation/nan.json"), nan).unwrap();
    std::fs::write(path.join("small.json"), SMALL).unwrap();
    std::fs::write(path.join("typo.json"), r#"{"guidence": 0}"#).unwrap();
    std::fs::write(path.join("odd.json"), r#"{"resolution": "30,48"}"#).unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text_only = repository.join("tests/fixtures/dit/nvidia_names").display().to_string();
    let world = repository
        .join("sdk/assets/embedded/world.safetensors")
        .display()
        .to_string();
    let cases: [(&str, &str, &str, &[&str]); 11] = [
        ("gone", "small", "tiny", &["videos/test/gone.mp4", "not found"]),
        ("one", "small", "tiny", &["at least 2"]),
        ("nan", "small", "tiny", &["nan.json", "must be finite"]),
        ("mismatch", "small", "tiny", &["5 rows of `state`", "4 values"]),
        ("long", "small", "tiny", &["5 frames", "9 states"]),
        ("nowhere", "small", "tiny", &["nowhere.json", "exists"]),
        ("good", "typo", "tiny", &["guidence"]),
        ("good", "odd", "tiny", &["the height is 30", "multiple of 16"]),
        ("good", "small", "nothing", &["nothing", "exists"]),
        ("good", "small", &text_only, &["not conditioned on actions"]),
        (
            "good",
            "small",
            &world,
            &["no action-conditioned transformer", "a world of Worldloop"],
        ),
    ];
    for (recording, params, checkpoint, words) in cases {
        let arguments = format!(
            "rollout --checkpoint {checkpoint} --annotation bridge/annotation/{recording}.json --params {params}.json --out out"
        );
        refused(path, &arguments, words);
        let output = worldloop(path, &arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), message.lines().count()),
            (Some(1), 1),
            "{message}"
        );
    }
    assert!(!path.join("out").exists(), "nothing was written");
    refused(path, "rollout --checkpoint tiny --out out", &["--annotation"]);
}

#[test]
fn a_killed_rollout_goes_on_with_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    for name in ["0", "1", "2"] {
        recording(path, name, 14);
    }
    std::fs::write(path.join("params.json"), SMALL).unwrap();
    let rollout =
        "rollout --checkpoint tiny --annotation bridge/annotation --params params.json --out out --steps 9 --json";
    let mut child = command(path, rollout)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&mut child, || path.join("out/0.json").is_file());
    // A kill that no process can catch; it may already have ended.
    let _ = child.kill();
    child.wait().unwrap();
    let done = |name: &str| path.join(format!("out/{name}.json")).is_file();
    let before: Vec<bool> = ["0", "1", "2"].into_iter().map(done).collect();
    let rows = lines(&succeeds(path, rollout));
    let skipped: Vec<bool> = rows.iter().map(|row| row["skipped"] == true).collect();
    assert!(before[0] && skipped == before, "{before:?}: {skipped:?}");
    for row in rows {
        let video = path.join(row["predicted_video"].as_str().unwrap());
        assert_eq!(VideoReader::open(video).unwrap().count(), 14);
    }
    // A damaged recording does not cost those after it.
    std::fs::write(path.join("bridge/annotation/15.json"), "{").unwrap();
    recording(path, "2", 14);
    let anew = format!("{rollout} --overwrite").replace("--steps 9", "--steps 1");
    let output = worldloop(path, &anew);
    let (told, message) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!((output.status.code(), lines(&told).len()), (Some(1), 3), "{message}");
    assert!(
        message.contains("15.json` was not played") && message.contains("1 of 4"),
        "{message}"
    );
}
