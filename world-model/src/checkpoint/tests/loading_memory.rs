//! How much memory loading takes.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{DType, Device};

use super::allocation::peak_of;
use super::{Network, values};
use crate::checkpoint::{CheckpointSource, CheckpointWriter, KeyMap, SaveDtype, load_as};

/// Equal layers without bias.
#[derive(Module, Debug)]
struct Stack {
    layers: Vec<Linear>,
}

impl Stack {
    fn new(count: usize, width: usize) -> Self {
        let layer = || LinearConfig::new(width, width).with_bias(false).init(&Device::flex());
        Self {
            layers: (0..count).map(|_| layer()).collect(),
        }
    }
}

/// Writes bfloat16 tensors of pseudorandom bytes without holding more than one of them.
fn write_stack(path: &std::path::Path, count: usize, width: usize) {
    use std::io::Write;
    let bytes = 2 * width * width;
    let entry = |index: usize| {
        let (start, end) = (index * bytes, (index + 1) * bytes);
        format!(
            r#""layers.{index}.weight":{{"dtype":"BF16","shape":[{width},{width}],"data_offsets":[{start},{end}]}}"#
        )
    };
    let header = format!("{{{}}}", (0..count).map(entry).collect::<Vec<_>>().join(","));
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    let mut state = 1u64;
    for _ in 0..count {
        let mut values = Vec::with_capacity(bytes);
        while values.len() < bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Between 1 and 2 in magnitude: the exponent is fixed, sign and mantissa are random.
            let random = (state >> 48) as u16;
            values.extend(((random & 0x807f) | 0x3f80).to_le_bytes());
        }
        file.write_all(&values).unwrap();
    }
}

/// Loads a file of equal layers in bfloat16 and returns the peak beyond the model and the size of one layer.
fn peak_beyond_the_model(count: usize, width: usize) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stack.safetensors");
    write_stack(&path, count, width);
    let layer = 2 * width * width;
    let (stack, peak) = peak_of(|| {
        let source = CheckpointSource::open(&path).unwrap();
        let mut stack = Stack::new(count, width);
        load_as(&mut stack, &source, &KeyMap::identity(), DType::BF16).unwrap();
        stack
    });
    assert_eq!(stack.layers[0].weight.dtype(), DType::BF16);
    (peak.saturating_sub(count * layer), layer)
}

#[test]
fn loading_takes_the_model_and_a_few_copies_of_one_tensor() {
    let (beyond, layer) = peak_beyond_the_model(12, 256);
    // The bytes of a tensor, its values, its values turned; and the names.
    assert!(
        beyond <= 3 * layer + (64 << 10),
        "{beyond} bytes beyond the model, layers of {layer}"
    );
}

#[test]
#[ignore = "writes 210 MB: cargo test --release -p worldloop-cli -p worldloop-world-model -- --ignored loading_210_mb"]
fn loading_210_mb_takes_the_model_and_a_few_copies_of_one_tensor() {
    let (beyond, layer) = peak_beyond_the_model(25, 2048);
    println!("{beyond} bytes beyond the model, layers of {layer}");
    assert!(
        beyond <= 3 * layer + (64 << 10),
        "{beyond} bytes beyond the model, layers of {layer}"
    );
}

#[test]
fn weights_are_rounded_once_and_turned_as_those_in_float32() {
    let network = Network::new(3, 2);
    for saved in [SaveDtype::F32, SaveDtype::F16, SaveDtype::Bf16] {
        let bytes = CheckpointWriter::new(saved)
            .with_module("", &network, &KeyMap::identity())
            .to_bytes();
        let source = CheckpointSource::from_bytes("weights", bytes).unwrap();
        let mut exact = Network::new(3, 2);
        load_as(&mut exact, &source, &KeyMap::identity(), DType::F32).unwrap();
        for dtype in [DType::F16, DType::BF16] {
            let mut rounded = Network::new(3, 2);
            let report = load_as(&mut rounded, &source, &KeyMap::identity(), dtype).unwrap();
            assert_eq!(report.loaded.len(), 6);
            assert_eq!(rounded.input.weight.dtype(), dtype);
            for (exact, rounded) in exact.layers().zip(rounded.layers()) {
                let expected = values(exact.weight.val().cast(dtype).cast(DType::F32));
                assert_eq!(values(rounded.weight.val().cast(DType::F32)), expected);
            }
        }
    }
}

#[test]
#[should_panic(expected = "not as I32")]
fn integers_are_no_type_for_weights() {
    let source = CheckpointSource::from_bytes("none", b"\x02\0\0\0\0\0\0\0{}".to_vec()).unwrap();
    let _ = load_as(&mut Network::new(3, 0), &source, &KeyMap::identity(), DType::I32);
}
