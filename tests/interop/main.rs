//! What other programs make of our files and numbers: numpy, Pillow, safetensors, CPython's pickle, Hugging Face's cache.
//!
//! The tests install these packages into a virtual environment below the target folder, so they are left out unless asked
//! for: `cargo test --release -p worldloop-tests --test interop -- --ignored`.

#![expect(clippy::unwrap_used, reason = "tests, where a failure may panic")]

mod peer;

use std::collections::BTreeMap;
use std::path::Path;

use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use worldloop::data::resize_lanczos;
use worldloop::device;
use worldloop::evaluation::report::side_by_side_gif;
use worldloop::world_model::checkpoint::{CheckpointSource, CheckpointWriter, KeyMap, SaveDtype};
use worldloop::world_model::diffusion::NumpyRandom;
use worldloop::world_model::dit::DitConfig;
use worldloop::world_model::hub::{HubLocation, HubSettings};
use worldloop::world_model::pipeline::RandomCheckpoint;

use self::peer::{PACKAGES, ask};

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([x * 37 + y * 11, x * x + 3 * y, y * 29 + x * y].map(|value| (value % 256) as u8))
    })
}

/// Shape and sum of each tensor, as a peer reports them.
fn assert_same_tensors(found: &Value, path: &Path) {
    let source = CheckpointSource::open(path).unwrap();
    let ours: BTreeMap<&str, (Vec<usize>, f64)> = source
        .keys()
        .map(|key| {
            let values = source.read(key).unwrap();
            let sum = values.iter().map(|value| f64::from(*value)).sum();
            (key, (source.shape(key).unwrap().to_vec(), sum))
        })
        .collect();
    let theirs = found.as_object().unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (key, (shape, sum)) in ours {
        assert_eq!(theirs[key]["shape"], json!(shape), "{key}");
        let other = theirs[key]["sum"].as_f64().unwrap();
        assert!(
            (other - sum).abs() <= 1e-9 * (1.0 + sum.abs()),
            "{key}: {other} is not {sum}"
        );
    }
}

#[test]
#[ignore = "installs Python packages"]
fn noise_is_that_of_numpy_to_the_bit() {
    for seed in [0_u32, 7, 12, u32::MAX] {
        let theirs = ask("noise.py", &[&seed.to_string(), "2001"]);
        let ours = NumpyRandom::new(seed).standard_normals(2001);
        let bits: Vec<u32> = ours.iter().map(|value| value.to_bits()).collect();
        assert!(theirs == json!(bits), "seed {seed}");
    }
}

#[test]
#[ignore = "installs Python packages"]
fn frames_are_resized_as_pillow_does_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before.png", "after.png"].map(|name| folder.path().join(name));
    for ((width, height), (new_width, new_height)) in [
        ((64, 48), (32, 24)),
        ((61, 47), (80, 33)),
        ((10, 7), (96, 64)),
        ((320, 256), (64, 64)),
    ] {
        picture(width, height).save(&before).unwrap();
        let size = [new_width, new_height].map(|side: u32| side.to_string());
        ask(
            "resize.py",
            &[before.to_str().unwrap(), after.to_str().unwrap(), &size[0], &size[1]],
        );
        let theirs = image::open(&after).unwrap().into_rgb8();
        let ours = resize_lanczos(&picture(width, height), new_width, new_height);
        assert!(ours == theirs, "{width}x{height} to {new_width}x{new_height}");
    }
}

#[test]
#[ignore = "installs Python packages"]
fn animations_open_in_pillow_and_rest_on_their_last_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("animation.gif");
    let frames: Vec<RgbImage> = (0..5)
        .map(|index| RgbImage::from_pixel(24, 16, Rgb([index * 50; 3])))
        .collect();
    std::fs::write(&path, side_by_side_gif(&frames, &[], 5.0, 2).unwrap().bytes).unwrap();
    let found = ask("animation.py", &[path.to_str().unwrap()]);
    let brightness: Vec<u64> = (0..5).map(|index| index * 50).collect();
    assert_eq!(
        found,
        json!({ "size": [48, 32], "milliseconds": [200, 200, 200, 200, 1200], "brightness": brightness })
    );
}

#[test]
#[ignore = "installs Python packages"]
fn checkpoints_open_in_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let network = DitConfig::tiny().init(&device::select("flex").unwrap());
    for dtype in [SaveDtype::F32, SaveDtype::F16] {
        let writer = CheckpointWriter::new(dtype).with_module("net.", &network, &KeyMap::dit_nvidia());
        writer.save(&path).unwrap();
        assert_same_tensors(&ask("safetensors_file.py", &[path.to_str().unwrap()]), &path);
    }
}

#[test]
#[ignore = "installs Python packages"]
fn pytorch_files_open_with_the_pickle_of_python() {
    let folder = tempfile::tempdir().unwrap();
    let written = RandomCheckpoint::action_cond_tiny().write(folder.path(), 1, &device::select("flex").unwrap());
    let files: Vec<_> = written
        .unwrap()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "pt" || ending == "pth"))
        .collect();
    assert_eq!(files.len(), 2, "transformer and VAE");
    for path in files {
        assert_same_tensors(&ask("pytorch_file.py", &[path.to_str().unwrap()]), &path);
    }
}

#[test]
#[ignore = "installs Python packages"]
fn what_hugging_face_fetched_is_found() {
    let cache = tempfile::tempdir().unwrap();
    let found = ask("cache.py", &[cache.path().to_str().unwrap()]);
    let settings = HubSettings {
        endpoint: "http://127.0.0.1:1".to_owned(),
        token: None,
        cache: cache.path().to_path_buf(),
        is_offline: true,
    };
    for revision in ["main", found["commit"].as_str().unwrap()] {
        let location = HubLocation::new("nvidia/Cosmos-Predict2.5-2B", revision, "base/model.pt").unwrap();
        let path = settings.cached(&location).expect("it is in the cache");
        assert_eq!(std::fs::read(path).unwrap(), b"some weights", "{PACKAGES:?}");
    }
}
