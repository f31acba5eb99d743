use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::checkpoint::{
    AdapterError, CheckpointSource, CheckpointWriter, KeyMap, SaveDtype, adapter_scale, merge_adapter,
};

#[derive(Module, Debug)]
struct Network {
    first: Linear,
    second: Linear,
}

fn network(device: &Device) -> Network {
    Network {
        first: LinearConfig::new(3, 2).init(device),
        second: LinearConfig::new(2, 4).init(device),
    }
}

fn adapter(entries: &[(&str, [usize; 2], f32)]) -> CheckpointSource {
    let device = Device::flex();
    let writer = entries
        .iter()
        .fold(CheckpointWriter::new(SaveDtype::F32), |writer, (key, shape, value)| {
            writer.with_tensor(*key, &Tensor::<2>::full(*shape, *value, &device))
        });
    CheckpointSource::from_bytes("the adapter", writer.to_bytes()).expect("just written")
}

fn refused(entries: &[(&str, [usize; 2], f32)]) -> String {
    let mut network = network(&Device::flex());
    merge_adapter(&mut network, &adapter(entries), &KeyMap::identity(), 1.0)
        .expect_err("the adapter is wrong")
        .to_string()
}

#[test]
fn the_product_of_the_factors_is_added_turned() {
    let device = Device::flex();
    let before = network(&device);
    let mut after = before.clone();
    let source = adapter(&[
        ("base_model.model.first.lora_A.default.weight", [1, 3], 2.0),
        ("base_model.model.first.lora_B.default.weight", [2, 1], 3.0),
    ]);
    assert_eq!(
        merge_adapter(&mut after, &source, &KeyMap::identity(), 0.5).expect("it fits"),
        1
    );
    let difference = after.first.weight.val() - before.first.weight.val();
    difference.into_data().assert_approx_eq::<f32>(
        &Tensor::<2>::full([3, 2], 3.0, &device).into_data(),
        burn::tensor::Tolerance::absolute(1e-5),
    );
    assert_eq!(
        after.second.weight.val().into_data(),
        before.second.weight.val().into_data()
    );
}

#[test]
fn an_adapter_that_changes_nothing_is_refused() {
    let message = refused(&[
        ("first.lora_A.weight", [1, 3], 2.0),
        ("first.lora_B.weight", [2, 1], 0.0),
    ]);
    assert!(message.contains("changes none of the 1 layers"), "{message}");
}

#[test]
fn what_does_not_fit_is_named() {
    let message = refused(&[("first.weight", [1, 3], 2.0)]);
    assert!(message.contains("not a low-rank adapter"), "{message}");
    let message = refused(&[("first.lora_A.weight", [1, 3], 2.0)]);
    assert!(
        message.contains("first.lora_A.weight") && message.contains("lora_B"),
        "{message}"
    );
    let message = refused(&[
        ("third.lora_A.weight", [1, 3], 2.0),
        ("third.lora_B.weight", [2, 1], 1.0),
    ]);
    assert!(
        message.contains("third.lora_A.weight") && message.contains("no linear layer"),
        "{message}"
    );
    let message = refused(&[
        ("first.lora_A.weight", [1, 9], 2.0),
        ("first.lora_B.weight", [2, 1], 1.0),
    ]);
    assert!(message.contains("[1, 9]") && message.contains("[2, 3]"), "{message}");
}

const PAIR: [(&str, [usize; 2], f32); 2] = [
    ("first.lora_A.weight", [1, 3], 2.0),
    ("first.lora_B.weight", [2, 1], 1.0),
];

/// Returns the error about a file with one good pair of factors, of rank 1, and other tensors.
fn refused_beside_a_pair(others: &[(&str, [usize; 2], f32)]) -> String {
    refused(&[&PAIR[..], others].concat())
}

fn error_with_scale(entries: &[(&str, [usize; 2], f32)], scale: f64) -> Option<AdapterError> {
    let mut network = network(&Device::flex());
    merge_adapter(&mut network, &adapter(entries), &KeyMap::identity(), scale).err()
}

#[test]
fn a_tensor_outside_of_every_pair_is_refused() {
    for key in [
        "first.lora_magnitude_vector",
        "first.lora_B.bias",
        "second.weight",
        "second.alpha",
    ] {
        let message = refused_beside_a_pair(&[(key, [1, 2], 1.0)]);
        assert!(
            message.contains(key) && message.contains("belongs to no pair") && message.contains("DoRA"),
            "{message}"
        );
    }
}

#[test]
fn two_pairs_for_one_layer_are_refused() {
    for (down, up) in [
        (
            "base_model.model.first.lora_A.weight",
            "base_model.model.first.lora_B.weight",
        ),
        ("first.lora_A.default.weight", "first.lora_B.default.weight"),
    ] {
        let message = refused_beside_a_pair(&[(down, [1, 3], 5.0), (up, [2, 1], 1.0)]);
        assert!(
            message.contains("are for the same layer") && message.contains(down) && message.contains("`first.lora_A"),
            "{message}"
        );
    }
}

#[test]
fn an_alpha_in_the_file_has_to_be_the_one_that_is_asked_for() {
    let entries = [&PAIR[..], &[("first.alpha", [1, 1], 8.0)]].concat();
    assert!(error_with_scale(&entries, 8.0).is_none());
    let message = error_with_scale(&entries, 1.0).expect("a scale of 8").to_string();
    assert!(
        message.contains("`first.alpha`") && message.contains("a scale of 8, expected 1"),
        "{message}"
    );
    let message = refused_beside_a_pair(&[("first.alpha", [1, 2], 1.0)]);
    assert!(message.contains("not one number"), "{message}");
}

#[test]
fn a_scale_that_is_not_finite_is_refused() {
    for scale in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = error_with_scale(&PAIR, scale).expect("no scale");
        assert!(matches!(error, AdapterError::Scale { .. }), "{error}");
    }
    let message = error_with_scale(&PAIR, 1e300).expect("infinite weights").to_string();
    assert!(
        message.contains("the sum of `first.weight`") && message.contains("smaller scale"),
        "{message}"
    );
}

#[test]
fn factors_that_are_not_finite_are_refused() {
    for value in [f32::NAN, f32::INFINITY] {
        let message = refused(&[PAIR[0], ("first.lora_B.weight", [2, 1], value)]);
        assert!(
            message.contains("`first.lora_B.weight`") && message.contains("not finite"),
            "{message}"
        );
    }
}

#[test]
fn the_scale_stands_in_the_config_beside_the_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adapter_model.safetensors");
    assert_eq!(adapter_scale(&file).unwrap(), None);
    let written = |config: &str| {
        std::fs::write(folder.path().join("adapter_config.json"), config).unwrap();
        adapter_scale(&file)
    };
    let config = r#"{"peft_type":"LORA","r":4,"lora_alpha":64,"rank_pattern":{},"use_dora":false}"#;
    assert_eq!(written(config).unwrap(), Some(16.0));
    assert_eq!(adapter_scale(folder.path()).unwrap(), Some(16.0));
    assert_eq!(
        written(r#"{"r":4,"lora_alpha":64,"use_rslora":true}"#).unwrap(),
        Some(32.0)
    );
    for (config, problem) in [
        ("{", "EOF"),
        (r#"{"r":-1,"lora_alpha":1}"#, "invalid value"),
        (r#"{"r":0,"lora_alpha":1}"#, "a rank of 0"),
        (
            r#"{"r":1,"lora_alpha":1,"alpha_pattern":{"first":2}}"#,
            "a scale of their own",
        ),
    ] {
        let message = written(config).unwrap_err().to_string();
        assert!(
            message.contains("adapter_config.json") && message.contains(problem),
            "{message}"
        );
    }
}
