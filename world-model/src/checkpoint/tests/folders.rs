use std::fs;

use super::Network;
use crate::checkpoint::{
    CheckpointError, CheckpointFormat, CheckpointSource, CheckpointWriter, KeyMap, SaveDtype, load_into,
};

/// Writes a network in two shards and returns its index as JSON.
fn write_shards(folder: &std::path::Path, network: &Network) -> String {
    let map = KeyMap::identity();
    CheckpointWriter::new(SaveDtype::F32)
        .with_module("input.", &network.input, &map)
        .save(folder.join("1.safetensors"))
        .unwrap();
    CheckpointWriter::new(SaveDtype::F32)
        .with_module("blocks.0.", &network.blocks[0], &map)
        .save(folder.join("2.safetensors"))
        .unwrap();
    r#"{"metadata":{},"weight_map":{"input.weight":"1.safetensors","input.bias":"1.safetensors",
        "blocks.0.weight":"2.safetensors","blocks.0.bias":"2.safetensors"}}"#
        .to_string()
}

fn write_index(folder: &std::path::Path, index: &str) {
    fs::write(folder.join("diffusion_pytorch_model.safetensors.index.json"), index).unwrap();
}

#[test]
fn shards_load_as_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let network = Network::new(3, 1);
    let index = write_shards(folder.path(), &network);
    write_index(folder.path(), &index);
    let source = CheckpointSource::open(folder.path()).unwrap();
    assert_eq!(source.format(), CheckpointFormat::Sharded);
    let mut restored = Network::new(3, 1);
    load_into(&mut restored, &source, &KeyMap::identity()).unwrap();
    assert_eq!(restored.values(), network.values());
}

#[test]
fn an_index_cannot_point_outside_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    for shard in ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", ".."] {
        write_index(folder.path(), &format!(r#"{{"weight_map":{{"a":"{shard}"}}}}"#));
        let error = CheckpointSource::open(folder.path()).unwrap_err();
        assert!(
            error.to_string().contains("not a file name in the same folder"),
            "{error}"
        );
    }
}

#[test]
fn a_missing_shard_and_a_missing_tensor_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let index = write_shards(folder.path(), &Network::new(3, 1));
    write_index(folder.path(), &index.replace("2.safetensors", "3.safetensors"));
    let error = CheckpointSource::open(folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("`3.safetensors`, which is not there"),
        "{error}"
    );
    write_index(folder.path(), &index.replace("blocks.0.bias", "blocks.1.bias"));
    let error = CheckpointSource::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("`blocks.1.bias`"), "{error}");
}

#[test]
fn a_broken_index_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_index(folder.path(), r#"{"weight_map": []}"#);
    assert!(matches!(
        CheckpointSource::open(folder.path()).unwrap_err(),
        CheckpointError::ShardIndex { .. }
    ));
}

#[test]
fn a_folder_with_one_model_opens_and_one_with_several_asks() {
    let folder = tempfile::tempdir().unwrap();
    let writer = CheckpointWriter::new(SaveDtype::F32).with_module("", &Network::new(3, 1), &KeyMap::identity());
    writer.save(folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert_eq!(
        CheckpointSource::open(folder.path()).unwrap().format(),
        CheckpointFormat::Safetensors
    );
    writer.save(folder.path().join("other.safetensors")).unwrap();
    let error = CheckpointSource::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("other.safetensors"), "{error}");
}
