//! Episodes to disk and back, and what damaged files lead to.

use std::collections::BTreeMap;
use std::path::Path;

use image::{Rgb, RgbImage};

use super::*;

fn info() -> DatasetInfo {
    let action = |name: &str| ActionInfo {
        name: name.into(),
        unit: "m".into(),
        low: -1.0,
        high: 1.0,
        scale: 0.05,
    };
    DatasetInfo {
        version: FORMAT_VERSION,
        cameras: vec![CameraInfo {
            name: "third_person".into(),
            width: 6,
            height: 4,
        }],
        actions: vec![action("delta_x"), action("delta_y")],
        proprioception: vec![action("x")],
        action_frame: "gripper".into(),
        frame_rate_hz: 5.0,
    }
}

fn episode(steps: usize) -> Episode {
    let frame = |index: usize| RgbImage::from_fn(6, 4, |x, y| Rgb([(7 * index) as u8, x as u8, (40 * y) as u8]));
    Episode {
        info: EpisodeInfo {
            seed: 3,
            task: "reach".into(),
            instruction: "reach the red block".into(),
            policy: "expert".into(),
            env: "physics/reach".into(),
            success: true,
        },
        frames: BTreeMap::from([("third_person".to_string(), (0..=steps).map(frame).collect())]),
        actions: (0..steps).map(|step| vec![0.1 * step as f32, 1.0 / 3.0]).collect(),
        proprioception: (0..=steps).map(|step| vec![0.05 * step as f32]).collect(),
        rewards: vec![0.25; steps],
        successes: (0..=steps).map(|step| step == steps).collect(),
        progress: (0..=steps).map(|step| step as f32 / steps as f32).collect(),
    }
}

fn recorded(folder: &Path) -> Dataset {
    let mut writer = EpisodeWriter::open(folder, info()).expect("a writable folder");
    writer.write(0, &episode(5)).expect("written");
    writer.write(7, &episode(2)).expect("written");
    Dataset::open(folder).expect("a dataset")
}

#[test]
fn what_was_written_is_read_bit_for_bit() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = recorded(folder.path());
    assert_eq!(dataset.indices(), [0, 7]);
    assert_eq!(dataset.load_all().expect("readable"), [episode(5), episode(2)]);
    assert_eq!(dataset.info(), &info());
}

#[test]
fn recording_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    let writer = EpisodeWriter::open(folder.path(), info()).expect("the same dataset");
    assert!(writer.contains(7) && !writer.contains(1));
    assert_eq!((writer.len(), writer.next_index()), (2, 8));
}

#[test]
fn half_an_episode_does_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    std::fs::remove_file(folder.path().join("episode-000007.json")).expect("removed");
    assert_eq!(Dataset::open(folder.path()).expect("a dataset").indices(), [0]);
}

#[test]
fn another_description_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    let other = DatasetInfo {
        frame_rate_hz: 10.0,
        ..info()
    };
    let error = EpisodeWriter::open(folder.path(), other).expect_err("another rate");
    assert!(error.to_string().contains("frame_rate_hz"), "{error}");
}

#[test]
fn an_unknown_key_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    let path = folder.path().join("dataset.json");
    let text = std::fs::read_to_string(&path)
        .expect("readable")
        .replacen('{', "{\"colour\":1,", 1);
    std::fs::write(&path, text).expect("written");
    let error = Dataset::open(folder.path()).expect_err("an unknown key").to_string();
    assert!(error.contains("colour") && error.contains("dataset.json"), "{error}");
}

#[test]
fn a_missing_key_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = recorded(folder.path());
    let path = folder.path().join("episode-000000.json");
    let text = std::fs::read_to_string(&path)
        .expect("readable")
        .replace("\"rewards\"", "\"reward\"");
    std::fs::write(&path, text).expect("written");
    let error = dataset.load(0).expect_err("no rewards").to_string();
    assert!(
        error.contains("reward") && error.contains("episode-000000.json"),
        "{error}"
    );
}

#[test]
fn a_truncated_strip_is_an_error_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let dataset = recorded(folder.path());
    let path = folder.path().join("episode-000000.third_person.png");
    let bytes = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let error = dataset.load(0).expect_err("half a strip");
    assert!(matches!(error, DatasetError::Image { .. }), "{error}");
    assert!(error.to_string().contains("third_person.png"), "{error}");
}

#[test]
fn an_episode_with_a_frame_too_few_is_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = EpisodeWriter::open(folder.path(), info()).expect("a writable folder");
    let mut short = episode(3);
    short.frames.get_mut("third_person").expect("the camera").pop();
    let error = writer.write(0, &short).expect_err("a frame is missing");
    assert!(
        matches!(
            error,
            DatasetError::Count {
                expected: 4,
                found: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(Dataset::open(folder.path()).expect("a dataset").is_empty());
}

#[test]
fn actions_that_are_not_numbers_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = EpisodeWriter::open(folder.path(), info()).expect("a writable folder");
    let mut broken = episode(3);
    broken.actions[2][1] = f32::NAN;
    let error = writer.write(0, &broken).expect_err("NaN");
    assert!(matches!(error, DatasetError::NotFinite { step: 2, .. }), "{error}");
}

#[test]
fn an_empty_folder_says_how_to_record() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Dataset::open(folder.path()).expect_err("nothing there").to_string();
    assert!(error.contains("worldloop record"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("taken");
    std::fs::write(&file, b"a file, no folder").expect("written");
    let error = EpisodeWriter::open(file.join("dataset"), info()).expect_err("below a file");
    assert!(
        matches!(error, DatasetError::Write { .. }) && error.to_string().contains("taken"),
        "{error}"
    );
}

#[test]
fn statistics_are_those_of_the_values() {
    let statistics = action_statistics([&episode(3)]);
    assert!((statistics[0].mean - 0.1).abs() < 1e-6 && (statistics[0].std - 0.081_649_66).abs() < 1e-6);
    assert_eq!((statistics[0].min, statistics[0].max), (0.0, 0.2));
    assert!(statistics[1].std < 1e-6);
}
