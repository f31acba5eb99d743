//! Tiny networks with random weights in the released layouts, and a tokenizer.

use std::path::Path;

use serde_json::{Map, Value, json};
use worldloop::device;
use worldloop::world_model::checkpoint::{CheckpointWriter, KeyMap, SaveDtype};
use worldloop::world_model::pipeline::RandomCheckpoint;
use worldloop::world_model::text_encoder::{TextEmbedding, TextEncoderConfig};

/// Width of the text embeddings.
const WIDTH: usize = 40;

/// Writes a base network with its VAE, and embeddings of a few prompts beside them.
pub(crate) fn write_checkpoint(folder: &Path) {
    let device = device::select("flex").unwrap();
    RandomCheckpoint::base_tiny().write(folder, 3, &device).unwrap();
}

/// Writes an action-conditioned network with its VAE.
pub(crate) fn write_action_checkpoint(folder: &Path) {
    let device = device::select("flex").unwrap();
    RandomCheckpoint::action_cond_tiny().write(folder, 3, &device).unwrap();
}

/// Writes a network for views of a drive with its VAE.
pub(crate) fn write_multiview_checkpoint(folder: &Path) {
    let device = device::select("flex").unwrap();
    RandomCheckpoint::multiview_tiny().write(folder, 3, &device).unwrap();
}

/// Writes a network for the cameras of a robot with its VAE.
pub(crate) fn write_agibot_checkpoint(folder: &Path) {
    let device = device::select("flex").unwrap();
    RandomCheckpoint::agibot_tiny().write(folder, 3, &device).unwrap();
}

/// Writes an embedding of a prompt, the same for the same prompt.
pub(crate) fn write_embedding(path: &Path, prompt: &str) {
    let device = device::select("flex").unwrap();
    device.seed(5);
    let encoder = encoder_config().init(&device);
    let ids: Vec<u32> = prompt.bytes().map(u32::from).chain([319; 4]).collect();
    let embedding = TextEmbedding::encode(&encoder, prompt, &ids).unwrap();
    embedding.save(path, SaveDtype::F32).unwrap();
}

/// Writes an embedding for another network.
pub(crate) fn write_wide_embedding(path: &Path) {
    let encoder = TextEncoderConfig::tiny().init(&device::select("flex").unwrap());
    let embedding = TextEmbedding::encode(&encoder, "push the cube", &[1, 2]).unwrap();
    embedding.save(path, SaveDtype::F32).unwrap();
}

fn encoder_config() -> TextEncoderConfig {
    TextEncoderConfig::new(320, WIDTH / 2, 24, 2, 2, 1)
}

/// Writes a text encoder with its tokenizer; another seed is another checkpoint.
pub(crate) fn write_text_encoder(folder: &Path, seed: u64) {
    let device = device::select("flex").unwrap();
    device.seed(seed);
    std::fs::create_dir_all(folder).unwrap();
    CheckpointWriter::new(SaveDtype::F32)
        .with_module("model.", &encoder_config().init(&device), &KeyMap::identity())
        .save(folder.join("model.safetensors"))
        .unwrap();
    let config = json!({ "model_type": "qwen2_5_vl", "num_attention_heads": 2, "num_key_value_heads": 1 });
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
}

/// Describes a tokenizer that has a token for each byte, and those of the chat.
fn tokenizer() -> Value {
    // Bytes that are no visible characters stand in the alphabet from 256 on.
    let visible = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 255;
    let letters = (0..=255u32).map(|byte| {
        let letter = if visible(byte) {
            byte
        } else {
            next += 1;
            next
        };
        char::from_u32(letter).unwrap().to_string()
    });
    let vocab: Map<String, Value> = letters.zip(0u32..).map(|(letter, id)| (letter, id.into())).collect();
    let special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let added: Vec<Value> = special
        .into_iter()
        .zip(256u32..)
        .map(|(content, id)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true })
        })
        .collect();
    let byte_level =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                   "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [] },
    })
}
