use super::{Network, values};
use crate::checkpoint::{
    CheckpointError, CheckpointSource, CheckpointWriter, KeyMap, SaveDtype, load_into, load_matching,
};

fn saved(network: &Network, dtype: SaveDtype) -> CheckpointSource {
    let bytes = CheckpointWriter::new(dtype)
        .with_module("", network, &KeyMap::identity())
        .to_bytes();
    CheckpointSource::from_bytes("weights", bytes).unwrap()
}

#[test]
fn what_is_saved_is_what_is_loaded() {
    let network = Network::new(3, 2);
    let mut restored = Network::new(3, 2);
    let report = load_into(&mut restored, &saved(&network, SaveDtype::F32), &KeyMap::identity()).unwrap();
    assert_eq!(restored.values(), network.values());
    assert_eq!(report.loaded.len(), 6);
    assert!(report.is_complete());
}

#[test]
fn linear_weights_are_stored_as_output_by_input() {
    let network = Network::new(3, 0);
    let source = saved(&network, SaveDtype::F32);
    assert_eq!(source.shape("input.weight").unwrap(), [4, 3]);
    let stored = source.read("input.weight").unwrap();
    let weight = values(network.input.weight.val());
    assert_eq!(stored[1], weight[4]);
}

#[test]
fn half_precision_files_round_once() {
    let network = Network::new(3, 1);
    for (dtype, relative) in [(SaveDtype::Bf16, 1.0 / 256.0), (SaveDtype::F16, 1.0 / 2048.0)] {
        let mut restored = Network::new(3, 1);
        load_into(&mut restored, &saved(&network, dtype), &KeyMap::identity()).unwrap();
        for (restored, original) in restored.values().into_iter().zip(network.values()) {
            assert!(
                (restored - original).abs() <= original.abs() * relative,
                "{dtype:?}: {original} became {restored}"
            );
        }
    }
}

#[test]
fn a_failed_load_changes_nothing() {
    let source = saved(&Network::new(3, 1), SaveDtype::F32);
    let mut network = Network::new(3, 2);
    let before = network.values();
    let error = load_into(&mut network, &source, &KeyMap::identity()).unwrap_err();
    assert_eq!(network.values(), before);
    let message = error.to_string();
    assert!(
        message.contains("2 missing") && message.contains("blocks.1.weight"),
        "{message}"
    );
}

#[test]
fn tensors_left_over_are_an_error() {
    let source = saved(&Network::new(3, 2), SaveDtype::F32);
    let error = load_into(&mut Network::new(3, 1), &source, &KeyMap::identity()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("2 unused") && message.contains("blocks.1.bias"),
        "{message}"
    );
}

#[test]
fn other_sizes_name_both_shapes() {
    let source = saved(&Network::new(3, 0), SaveDtype::F32);
    let error = load_into(&mut Network::new(5, 0), &source, &KeyMap::identity()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("input.weight (expected [6, 5], found [4, 3])"),
        "{message}"
    );
    assert!(
        message.contains("load it with the config that belongs to this checkpoint"),
        "{message}"
    );
}

#[test]
fn another_architecture_is_recognised() {
    let map = KeyMap::identity();
    let bytes = CheckpointWriter::new(SaveDtype::F32)
        .with_module("vae.", &Network::new(3, 1), &map)
        .to_bytes();
    let source = CheckpointSource::from_bytes("weights", bytes).unwrap();
    let error = load_into(&mut Network::new(3, 1), &source, &map).unwrap_err();
    assert!(
        error.to_string().contains("checkpoint of another architecture"),
        "{error}"
    );
}

#[test]
fn one_file_can_hold_several_models() {
    let (first, second) = (Network::new(3, 1), Network::new(2, 0));
    let map = KeyMap::identity();
    let writer = CheckpointWriter::new(SaveDtype::F32).with_module("first.", &first, &map);
    let bytes = writer
        .with_module("second.", &second, &map)
        .with_metadata("config", "{}")
        .to_bytes();
    let source = CheckpointSource::from_bytes("weights", bytes).unwrap();
    let mut restored = Network::new(2, 0);
    load_into(&mut restored, &source, &KeyMap::identity().with_scope("second.")).unwrap();
    assert_eq!(restored.values(), second.values());
    assert_eq!(source.metadata()["config"], "{}");
}

#[test]
fn matching_parameters_can_be_loaded_alone() {
    let source = saved(&Network::new(3, 1), SaveDtype::F32);
    let mut network = Network::new(3, 2);
    let report = load_matching(&mut network, &source, &KeyMap::identity()).unwrap();
    assert_eq!((report.loaded.len(), report.missing.len()), (4, 2));
}

#[test]
fn equal_weights_give_equal_bytes() {
    let network = Network::new(3, 2);
    let bytes = || {
        let writer = CheckpointWriter::new(SaveDtype::F16).with_module("", &network, &KeyMap::identity());
        ["b", "a", "c"]
            .into_iter()
            .fold(writer, |writer, key| writer.with_metadata(key, "value"))
            .to_bytes()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_folder_that_is_not_there_cannot_be_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/weights.safetensors");
    let error = CheckpointWriter::new(SaveDtype::F32).save(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Write { .. }), "{error}");
    assert!(error.to_string().contains("missing/weights.safetensors"), "{error}");
}

#[test]
fn saving_leaves_no_partial_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let writer = CheckpointWriter::new(SaveDtype::F32).with_module("", &Network::new(2, 1), &KeyMap::identity());
    writer.save(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(std::fs::read(&path).unwrap(), writer.to_bytes());
}
