//! The network as a whole.

use burn::tensor::{DType, Device, Int, Tensor};

use super::{TextEncoder, TextEncoderConfig, checkpoint_fingerprint};
use crate::checkpoint::{CheckpointSource, CheckpointWriter, KeyMap, SaveDtype};

fn ids(values: [i64; 6]) -> Tensor<2, Int> {
    Tensor::from_data([values], &Device::flex())
}

/// The file that a checkpoint with this prefix would be.
fn file(encoder: &TextEncoder, prefix: &str) -> CheckpointSource {
    let bytes = CheckpointWriter::new(SaveDtype::F32)
        .with_module(prefix, encoder, &KeyMap::identity())
        .to_bytes();
    CheckpointSource::from_bytes("memory", bytes).expect("just written")
}

#[test]
fn every_layer_gives_its_share_of_the_embedding() {
    let config = TextEncoderConfig::tiny();
    let encoder = config.init(&Device::flex());
    let states = encoder.hidden_states(ids([1, 2, 3, 4, 5, 6]));
    assert_eq!(states.len(), config.num_hidden_layers + 1);
    let embedding = encoder.forward(ids([1, 2, 3, 4, 5, 6]));
    assert_eq!(embedding.dims(), [1, 6, config.embedding_channels()]);
}

#[test]
fn later_tokens_do_not_change_earlier_ones() {
    let encoder = TextEncoderConfig::tiny().init(&Device::flex());
    let start = |values| encoder.forward(ids(values)).narrow(1, 0, 4);
    let distance: f32 = (start([1, 2, 3, 4, 5, 6]) - start([1, 2, 3, 4, 250, 9]))
        .abs()
        .max()
        .into_scalar();
    assert!(distance < 1e-6, "{distance}");
}

#[test]
fn the_order_of_tokens_matters() {
    let encoder = TextEncoderConfig::tiny().init(&Device::flex());
    let last = |values| encoder.forward(ids(values)).narrow(1, 5, 1);
    let distance: f32 = (last([1, 2, 3, 4, 5, 6]) - last([2, 1, 3, 4, 5, 6]))
        .abs()
        .max()
        .into_scalar();
    assert!(distance > 1e-3, "{distance}");
}

#[test]
fn every_naming_scheme_loads_the_same_network() {
    let device = Device::flex();
    let config = TextEncoderConfig::tiny();
    let encoder = config.init(&device);
    for prefix in ["", "model.", "model.language_model."] {
        let source = file(&encoder, prefix);
        let (loaded, _) = TextEncoder::load(&config, &source, DType::F32, &device).expect("complete");
        assert_eq!(loaded.fingerprint(), encoder.fingerprint(), "{prefix}");
    }
}

#[test]
fn bfloat16_weights_stay_near_float32() {
    let device = Device::flex();
    let config = TextEncoderConfig::tiny();
    let encoder = config.init(&device);
    let source = file(&encoder, "model.");
    let (half, _) = TextEncoder::load(&config, &source, DType::BF16, &device).expect("complete");
    assert_eq!(half.dtype(), DType::BF16);
    let embedding = half.forward(ids([1, 2, 3, 4, 5, 6]));
    assert_eq!(embedding.dtype(), DType::BF16);
    let exact = encoder.forward(ids([1, 2, 3, 4, 5, 6]));
    // Values have deviation 1; bfloat16 keeps eight bits of each.
    let distance: f32 = (embedding.cast(DType::F32) - exact).abs().mean().into_scalar();
    assert!(distance > 0.0 && distance < 0.02, "{distance}");
}

#[test]
fn other_weights_have_another_fingerprint() {
    let device = Device::flex();
    let encoder = TextEncoderConfig::tiny().init(&device);
    let mut other = encoder.clone();
    let bias = other.layers[1].self_attn.k_proj.bias.take().expect("keys have a bias");
    other.layers[1].self_attn.k_proj.bias = Some(bias.map(|bias| bias + 1e-3));
    assert_eq!(encoder.clone().fingerprint(), encoder.fingerprint());
    assert_ne!(other.fingerprint(), encoder.fingerprint());
}

#[test]
fn progress_is_told_after_every_layer() {
    let encoder = TextEncoderConfig::tiny().init(&Device::flex());
    let mut told = Vec::new();
    encoder.forward_by_layer(ids([1, 2, 3, 4, 5, 6]), |layer| told.push(layer));
    assert_eq!(told, [1, 2]);
}

#[test]
fn a_checkpoint_has_the_name_of_its_weights() {
    let encoder = TextEncoderConfig::tiny().init(&Device::flex());
    let name = |encoder: &TextEncoder| checkpoint_fingerprint(&file(encoder, "model.")).expect("readable");
    assert_eq!(name(&encoder), name(&encoder));
    assert_eq!(name(&encoder).len(), 16);
    let mut other = encoder.clone();
    let bias = other.layers[0]
        .self_attn
        .q_proj
        .bias
        .take()
        .expect("queries have a bias");
    other.layers[0].self_attn.q_proj.bias = Some(bias.map(|bias| bias + 1e-3));
    assert_ne!(name(&encoder), name(&other));
}
