//! What `generate` promises about several views.

use std::path::Path;

use image::imageops;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{frames, picture, pictures, raw, refused, succeeds, tiny};

/// Arguments of every call for views of a drive.
const DRIVE: &str = "generate --checkpoint drive --resolution 32,48 --frames 5 --steps 1 --format png --out out";

/// Arguments of every call for the cameras of a robot.
const ROBOT: &str = "generate --checkpoint robot --prompt-embedding robot/push_the_cube.safetensors --resolution 32,48 \
                     --frames 5 --steps 1 --format png --out out";

/// A folder with a network for views of a drive and four pictures.
fn drive_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_multiview_checkpoint(&folder.path().join("drive"));
    for index in 0..4 {
        let path = folder.path().join(format!("{index}.png"));
        picture(index, 60, 30).save(path).unwrap();
    }
    folder
}

/// Generates a request, which needs no name.
fn drive(folder: &Path, name: &str, mut request: Value) -> Value {
    request["name"] = name.into();
    std::fs::write(folder.join("drive.json"), request.to_string()).unwrap();
    let line = succeeds(folder, &format!("{DRIVE} --request drive.json --json"));
    serde_json::from_str(&line).unwrap()
}

fn view(folder: &Path, name: &str) -> Vec<Vec<u8>> {
    raw(&frames(&folder.join("out"), name))
}

#[test]
fn a_drive_becomes_a_video_of_each_view_and_a_grid_of_all() {
    let folder = drive_folder();
    let path = folder.path();
    let request = json!({
        "prompt": "drive through the rain", "rear": { "input_path": "1.png" }, "front_wide": { "input_path": "0.png" },
        "front_tele": { "video_path": "2.png" },
    });
    let told = drive(path, "a", request.clone());
    assert_eq!(told["views"], json!(["front_wide", "rear", "front_tele"]));
    assert_eq!(
        (&told["frames"], &told["steps"], &told["skipped"]),
        (&5.into(), &1.into(), &false.into())
    );
    let files = ["a_front_wide", "a_rear", "a_front_tele", "a_grid"].map(|name| format!("out/{name}-frames"));
    assert_eq!(told["files"], json!(files));
    let grid = pictures(&path.join("out"), "a_grid");
    assert_eq!(grid.len(), 5);
    for (name, (left, top)) in [("front_wide", (0, 0)), ("rear", (48, 0)), ("front_tele", (0, 32))] {
        let video = frames(&path.join("out"), &format!("a_{name}"));
        assert_eq!(video.len(), 5, "{name}");
        for (sheet, frame) in grid.iter().zip(&video) {
            assert_eq!(sheet.dimensions(), (96, 64));
            assert_eq!(
                imageops::crop_imm(sheet, left, top, 48, 32).to_image(),
                *frame,
                "{name}"
            );
        }
    }
    assert_eq!(drive(path, "a", request.clone())["skipped"], true);
    // A view that is not there is made again, and with the same seed it is the same.
    let before = view(path, "a_rear");
    std::fs::remove_dir_all(path.join("out/a_rear-frames")).unwrap();
    assert_eq!(drive(path, "a", request)["skipped"], false);
    assert_eq!(view(path, "a_rear"), before);
}

#[test]
fn what_a_view_starts_from_and_which_camera_it_is_decide_its_video() {
    let folder = drive_folder();
    let path = folder.path();
    let request = |rear: &str| json!({ "prompt": "drive through the rain", "front_wide": { "input_path": "0.png" }, rear: { "input_path": "1.png" } });
    let captions = json!(["drive through the rain", "drive through the rain"]);
    drive(path, "rain", request("rear"));
    drive(path, "left", request("rear_left"));
    for (name, key, value) in [
        ("seed", "seed", json!(1)),
        ("picture", "rear", json!({ "input_path": "2.png" })),
        ("captions", "prompt", captions),
        ("unguided", "guidance", json!(1)),
        ("text", "num_conditional_frames", json!(0)),
    ] {
        let mut other = request("rear");
        other[key] = value;
        drive(path, name, other);
        assert_ne!(view(path, "rain_rear"), view(path, &format!("{name}_rear")), "{name}");
    }
    assert_ne!(view(path, "rain_rear"), view(path, "left_rear_left"));
    // Views see each other: the picture of one changes the other.
    assert_ne!(view(path, "rain_front_wide"), view(path, "picture_front_wide"));
}

#[test]
fn five_frames_of_every_view_can_be_given() {
    let folder = drive_folder();
    let path = folder.path();
    for view in ["front", "rear"] {
        std::fs::create_dir(path.join(view)).unwrap();
        for index in 0..5 {
            let file = path.join(format!("{view}/{index}.png"));
            picture(index, 48, 32).save(file).unwrap();
        }
    }
    let request = json!({
        "name": "video", "prompt": "drive through the rain", "num_conditional_frames": 5,
        "front_wide": { "input_path": "front" }, "rear": { "input_path": "rear" },
    });
    std::fs::write(path.join("drive.json"), request.to_string()).unwrap();
    let told = succeeds(
        path,
        &format!("{DRIVE} --request drive.json --json --frames 9").replacen("--frames 5 ", "", 1),
    );
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["inference_type"], &told["frames"]),
        (&"video2world".into(), &9.into())
    );
    let request = request.to_string().replace(
        "\"rear\":{\"input_path\":\"rear\"}",
        "\"rear\":{\"input_path\":\"0.png\"}",
    );
    std::fs::write(path.join("short.json"), request).unwrap();
    let short = format!("{DRIVE} --request short.json --overwrite --frames 9").replacen("--frames 5 ", "", 1);
    refused(path, &short, &["0.png", "1 frames", "at least 5"]);
}

#[test]
fn mistakes_about_a_drive_are_told_before_any_work() {
    let folder = drive_folder();
    let path = folder.path();
    let write = |name: &str, request: Value| std::fs::write(path.join(name), request.to_string()).unwrap();
    let front = json!({ "input_path": "0.png" });
    write("view.json", json!({ "name": "a", "prompt": "p", "front_left": front }));
    write(
        "control.json",
        json!({ "name": "a", "prompt": "p", "front_wide": front, "control_path": "c.mp4" }),
    );
    write(
        "gone.json",
        json!({ "name": "a", "prompt": "p", "front_wide": { "input_path": "gone.png" } }),
    );
    write("text.json", json!({ "name": "a", "prompt": "p", "front_wide": front }));
    let right = json!({ "name": "a", "prompt": "drive through the rain", "front_wide": front });
    let request = |name: &str| format!("{DRIVE} --request {name}");
    refused(path, &request("view.json"), &["front_left", "front_wide, cross_right"]);
    refused(path, &request("control.json"), &["control_path", "Transfer"]);
    refused(path, &request("gone.json"), &["gone.png"]);
    // A GIF knows its frame rate, a folder of pictures does not.
    let tiny = "generate --checkpoint drive --resolution 32,48 --frames 5 --steps 1 --format gif --fps 10";
    write("right.json", right);
    succeeds(path, &format!("{tiny} --request right.json --out gif"));
    write(
        "rate.json",
        json!({ "name": "a", "prompt": "p", "fps": 4, "front_wide": { "input_path": "gif/a_front_wide.gif" } }),
    );
    refused(
        path,
        &request("rate.json"),
        &["a_front_wide.gif", "10 frames per second", "the 4"],
    );
    refused(path, &request("text.json"), &["\"p\"", "drive through the rain"]);
    refused(
        path,
        &request("right.json --autoregressive"),
        &["in chunks", "--autoregressive"],
    );
    refused(path, &request("right.json --input 0.png"), &["--input", "each view"]);
    refused(path, &request("right.json --numerics diffusers"), &["diffusers"]);
    refused(path, DRIVE, &["--request FILE", "front_wide"]);
    // A request for one camera is none for several, and the other way round.
    tiny::write_checkpoint(&path.join("tiny"));
    let one = "generate --checkpoint tiny --resolution 32,48 --frames 5 --out out --request right.json";
    refused(path, one, &["front_wide"]);
    assert!(!path.join("out").exists(), "nothing is made of a mistake");
}

/// A folder with a network for three cameras of a robot, their pictures, and their poses.
pub(super) fn robot_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    tiny::write_agibot_checkpoint(&path.join("robot"));
    for part in ["in/base/input_images", "in/base/cameras"] {
        std::fs::create_dir_all(path.join(part)).unwrap();
    }
    for (index, camera) in (0..).zip(["head", "hand_0", "hand_1"]) {
        let file = path.join(format!("in/base/input_images/0_{camera}.png"));
        picture(index, 60, 40).save(file).unwrap();
        write_poses(path, camera, index as f32);
    }
    folder
}

/// Writes the poses and intrinsics of a camera that moves to the right.
fn write_poses(folder: &Path, camera: &str, start: f32) {
    let pose = |frame: u8| format!("1 0 0 {} 0 1 0 0.5 0 0 1 -2\n", start + 0.25 * f32::from(frame));
    let poses: String = (0..24).map(pose).collect();
    let cameras = folder.join("in/base/cameras");
    std::fs::write(cameras.join(format!("0_extrinsic_{camera}.txt")), poses).unwrap();
    let intrinsics = "600.5 600.5 384 216\n".repeat(24);
    std::fs::write(cameras.join(format!("0_intrinsic_{camera}.txt")), intrinsics).unwrap();
}

#[test]
fn the_cameras_of_a_robot_become_videos_and_a_stack() {
    let folder = robot_folder();
    let path = folder.path();
    let line = succeeds(path, &format!("{ROBOT} --input in --name a --json"));
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&told["seed"], &told["inference_type"]),
        (&1.into(), &"image2world".into())
    );
    let stack = pictures(&path.join("out"), "a_stack");
    assert_eq!(stack.len(), 5);
    for (row, camera) in (0..).zip(["head", "hand_0", "hand_1"]) {
        let video = frames(&path.join("out"), &format!("a_{camera}"));
        for (sheet, frame) in stack.iter().zip(&video) {
            assert_eq!(sheet.dimensions(), (48, 96));
            assert_eq!(
                imageops::crop_imm(sheet, 0, 32 * row, 48, 32).to_image(),
                *frame,
                "{camera}"
            );
        }
    }
    // A request file says the same, and so does `base` itself.
    let request = json!({ "name": "b", "prompt": "push the cube", "input_root": "in/base", "index": 0 });
    std::fs::write(path.join("robot.json"), request.to_string()).unwrap();
    let robot = ROBOT.replace("--prompt-embedding robot/push_the_cube.safetensors", "");
    succeeds(path, &format!("{robot} --request robot.json"));
    assert_eq!(view(path, "a_hand_1"), view(path, "b_hand_1"));
}

#[test]
fn pictures_and_poses_of_a_robot_decide_the_videos() {
    let folder = robot_folder();
    let path = folder.path();
    let make = |name: &str, rest: &str| succeeds(path, &format!("{ROBOT} --input in --name {name} {rest}"));
    make("a", "");
    make("seed", "--seed 2");
    write_poses(path, "hand_1", 3.0);
    make("pose", "");
    write_poses(path, "hand_1", 2.0);
    make("again", "");
    picture(5, 60, 40)
        .save(path.join("in/base/input_images/0_hand_1.png"))
        .unwrap();
    make("picture", "");
    let [a, again, seed, pose, picture] =
        ["a", "again", "seed", "pose", "picture"].map(|name| view(path, &format!("{name}_hand_1")));
    assert_eq!(a, again);
    for (name, other) in [("seed", seed), ("pose", pose), ("picture", picture)] {
        assert_ne!(a, other, "{name}");
    }
}

#[test]
fn mistakes_about_the_cameras_of_a_robot_are_told_before_any_work() {
    let folder = robot_folder();
    let path = folder.path();
    let robot = format!("{ROBOT} --input in");
    refused(path, ROBOT, &["input_root", "--input DIR"]);
    refused(
        path,
        &robot.replace("--frames 5", "--frames 97"),
        &["0_extrinsic_head.txt", "24 rows", "25 are needed"],
    );
    let file = path.join("in/base/cameras/0_intrinsic_hand_1.txt");
    std::fs::write(&file, "600 600 384\n").unwrap();
    refused(
        path,
        &robot,
        &["0_intrinsic_hand_1.txt", "line 1", "3 numbers", "expected 4"],
    );
    std::fs::write(&file, "600 600 384 216\n600 wide 384 216\n").unwrap();
    refused(path, &robot, &["0_intrinsic_hand_1.txt", "line 2", "`wide`"]);
    write_poses(path, "hand_1", 0.0);
    std::fs::write(
        path.join("in/base/cameras/0_extrinsic_head.txt"),
        "2 0 0 0 0 1 0 0 0 0 1 0\n".repeat(2),
    )
    .unwrap();
    refused(path, &robot, &["0_extrinsic_head.txt", "determinant 2"]);
    std::fs::remove_file(path.join("in/base/input_images/0_head.png")).unwrap();
    refused(path, &robot, &["0_head.png"]);
    assert!(!path.join("out").exists(), "nothing is made of a mistake");
}
