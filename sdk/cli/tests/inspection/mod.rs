//! What `inspect` says about folders in which something is wrong.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::{refused, succeeds, worldloop};

const TRANSFORMER: &str = "tiny/robot/action-cond/random-tiny_ema_bf16.pt";

fn checkpoint(folder: &Path) {
    succeeds(folder, "init-checkpoint --preset action-cond-tiny --out tiny");
}

/// Inspects a folder of which some files can't be loaded; returns what is said of each file.
fn damaged(folder: &Path, names: &[&str]) -> Vec<Value> {
    let output: Output = worldloop(folder, "inspect tiny --json");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(names.iter().all(|name| message.contains(name)), "{message}");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("an object"));
    let files: Vec<Value> = lines.collect();
    for file in &files {
        let path = file["path"].as_str().expect("a path");
        let is_named = names.iter().any(|name| path.ends_with(name));
        assert_eq!(file["damaged"], json!(is_named), "{file}");
    }
    files
}

fn shorten(path: &Path) {
    let bytes = std::fs::read(path).expect("readable");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("writable");
}

/// Writes a safetensors file whose tensors hold zeros of two bytes.
fn write_safetensors(path: &Path, tensors: &[(&str, &str, &[usize])]) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (key, dtype, shape) in tensors {
        let size = if dtype.starts_with("F8") { 1 } else { 2 };
        let start = end;
        end += size * shape.iter().product::<usize>();
        header.insert(
            (*key).to_owned(),
            json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] }),
        );
    }
    let header = Value::Object(header).to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + end, 0);
    std::fs::write(path, bytes).expect("writable");
}

#[test]
fn every_file_of_a_folder_is_told_and_a_damaged_one_makes_the_command_fail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    shorten(&path.join(TRANSFORMER));
    let files = damaged(path, &["random-tiny_ema_bf16.pt"]);
    assert_eq!(files.len(), 3, "{files:?}");

    checkpoint(path);
    shorten(&path.join("tiny/tokenizer.pth"));
    assert_eq!(damaged(path, &["tokenizer.pth"]).len(), 3);
    let output = worldloop(path, "inspect tiny");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("diffusion transformer") && text.contains("text embedding") && text.contains("damaged"),
        "{text}"
    );
}

#[test]
fn files_of_an_unknown_kind_are_told_and_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    write_safetensors(
        &path.join("tiny/other.safetensors"),
        &[("head\u{1b}[31m.weight", "BF16", &[2])],
    );
    let text = succeeds(path, "inspect tiny --tensors");
    assert!(text.contains("other.safetensors") && text.contains("unknown"), "{text}");
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[31m"), "{text}");
}

#[test]
fn types_that_weights_cannot_have_are_named_and_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    let described = succeeds(path, &format!("inspect {TRANSFORMER} --tensors --json"));
    let described: Value = serde_json::from_str(&described).unwrap();
    let shapes = described["shapes"].as_object().unwrap();
    let sizes = |shape: &Value| -> Vec<usize> {
        let sizes = shape.as_array().unwrap().iter();
        sizes.map(|size| size.as_u64().unwrap() as usize).collect()
    };
    let stored: Vec<(&str, &str, Vec<usize>)> = shapes
        .iter()
        .map(|(key, tensor)| {
            let dtype = match key.as_str() {
                "net.blocks.0.mlp.layer1.weight" => "F8_E4M3",
                "net.blocks.1.mlp.layer1.weight" => "I16",
                _ => "BF16",
            };
            (key.as_str(), dtype, sizes(&tensor["shape"]))
        })
        .collect();
    let stored: Vec<_> = stored
        .iter()
        .map(|(key, dtype, shape)| (*key, *dtype, shape.as_slice()))
        .collect();
    std::fs::remove_file(path.join(TRANSFORMER)).unwrap();
    write_safetensors(&path.join("tiny/packed.safetensors"), &stored);
    let files = damaged(path, &["packed.safetensors"]);
    let packed = files
        .iter()
        .find(|file| file["path"].as_str().unwrap().ends_with("packed.safetensors"));
    let packed = packed.unwrap();
    assert_eq!(
        packed["keys"]["unloadable"],
        json!([
            { "key": "net.blocks.0.mlp.layer1.weight", "dtype": "F8_E4M3" },
            { "key": "net.blocks.1.mlp.layer1.weight", "dtype": "I16" },
        ])
    );
    assert_eq!(
        (&packed["dtypes"]["F8_E4M3"], &packed["dtypes"]["I16"]),
        (&json!(1), &json!(1))
    );
    refused(path, "inspect tiny/packed.safetensors", &["packed.safetensors"]);
    let output = worldloop(path, "inspect tiny/packed.safetensors");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("2 of a type that can't be loaded"), "{text}");
}

#[test]
fn pieces_of_training_are_told_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    checkpoint(path);
    std::fs::remove_file(path.join(TRANSFORMER)).unwrap();
    let model = path.join("tiny/iter_000010/model");
    std::fs::create_dir_all(&model).unwrap();
    std::fs::write(model.join(".metadata"), "\u{80}").unwrap();
    std::fs::write(model.join("__0_0.distcp"), "PK\u{3}\u{4}").unwrap();
    let files = damaged(path, &["iter_000010/model"]);
    let pieces = files.iter().find_map(|file| file["error"].as_str()).unwrap();
    assert!(pieces.contains("convert_distcp_to_pt.py"), "{pieces}");
    let generate = "generate --checkpoint tiny --prompt push --out out";
    refused(path, generate, &["convert_distcp_to_pt.py"]);
}
