//! Folders in the released layout, written here, found and loaded again.

use std::path::Path;

use burn::tensor::{DType, Device};

use super::*;
use crate::checkpoint::{CheckpointWriter, KeyMap, SaveDtype};
use crate::dit::{ConditioningConfig, DitConfig};
use crate::world_model::{Frame, PredictionRequest, WorldModel};

fn options() -> ActionRolloutOptions {
    ActionRolloutOptions {
        height: 32,
        width: 48,
        chunk_length: None,
        num_steps: Some(2),
        frame_rate_hz: 3.0,
        feedback: Feedback::Rgb8,
        text: None,
        zero_text: false,
    }
}

fn write_random(folder: &Path, seed: u64) {
    let written = RandomCheckpoint::action_cond_tiny().write(folder, seed, &Device::flex());
    assert!(written.expect("writable").iter().all(|file| file.is_file()));
}

fn predict(path: &Path, dtype: DType) -> Predict {
    let device = Device::flex();
    let folder = CheckpointFolder::open(path).expect("readable");
    let found = folder.action_conditioned().expect("one transformer");
    let checkpoint = ReleasedCheckpoint::load(&folder, found, dtype, &device).expect("complete");
    assert!(checkpoint.is_random && checkpoint.empty_prompt.is_some());
    checkpoint.into_predict(options(), &device).expect("the parts fit")
}

fn first_chunk(model: &Predict) -> Vec<Frame> {
    let pixels: Vec<u8> = (0..32 * 48 * 3).map(|index| (index * 7) as u8).collect();
    let frame = Frame::from_rgb8(32, 48, &pixels).expect("the size fits");
    let state = model.start(vec![vec![frame]], &[], 0).expect("the context fits");
    let actions: Vec<Vec<f32>> = (0..12).map(|step| vec![0.01 * step as f32; 7]).collect();
    let request = PredictionRequest {
        state: &state,
        actions: &actions,
    };
    let mut predictions = model.predict(&[request]).expect("prediction works");
    predictions.remove(0).frames.remove(0)
}

#[test]
fn a_random_checkpoint_is_loaded_as_the_released_one_and_plays_actions() {
    let folder = tempfile::tempdir().expect("a folder");
    write_random(folder.path(), 3);
    let model = predict(folder.path(), DType::F32);
    assert_eq!(
        (model.config().spec.chunk_length, model.config().spec.action_dim()),
        (12, 7)
    );
    assert_eq!(model.config().noise_seed, NoiseSeed::FirstAction);
    let frames = first_chunk(&model);
    assert_eq!(frames.len(), 12);
    // The file of the transformer alone leads to the rest, and says the same.
    let file = folder
        .path()
        .join(RandomCheckpoint::action_cond_tiny().transformer_file);
    assert_eq!(first_chunk(&predict(&file, DType::F32)), frames);
    // In half precision it is about the same.
    let half = first_chunk(&predict(folder.path(), DType::BF16));
    let pairs = frames
        .iter()
        .zip(&half)
        .flat_map(|(a, b)| a.values.iter().zip(&b.values));
    let apart = pairs.map(|(a, b)| (a - b).abs()).sum::<f32>() / (12 * 3 * 32 * 48) as f32;
    assert!(apart > 0.0 && apart < 0.05, "{apart}");
}

#[test]
fn the_same_seed_draws_the_same_checkpoint() {
    let [first, again, other] = [7, 7, 8].map(|seed| {
        let folder = tempfile::tempdir().expect("a folder");
        write_random(folder.path(), seed);
        let file = folder
            .path()
            .join(RandomCheckpoint::action_cond_tiny().transformer_file);
        std::fs::read(file).expect("readable")
    });
    assert!(first == again && first != other);
}

#[test]
fn what_is_missing_or_not_meant_is_named() {
    let device = Device::flex();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let message = |path: &Path| {
        let opened = CheckpointFolder::open(path);
        let made = opened.and_then(|folder| {
            let found = folder.action_conditioned()?.clone();
            let checkpoint = ReleasedCheckpoint::load(&folder, &found, DType::F32, &device)?;
            checkpoint.into_predict(options(), &device)
        });
        made.expect_err("it is refused").to_string()
    };
    let gone = message(&path.join("gone"));
    assert!(gone.contains("gone") && gone.contains("exists"), "{gone}");
    assert!(message(path).contains("no weights at all"), "{}", message(path));

    write_random(path, 1);
    let transformer = path.join(RandomCheckpoint::action_cond_tiny().transformer_file);
    std::fs::copy(&transformer, path.join("second.pt")).expect("copied");
    assert!(
        message(path).contains("more than one action-conditioned"),
        "{}",
        message(path)
    );
    std::fs::remove_file(path.join("second.pt")).expect("removed");
    std::fs::remove_file(path.join("empty_prompt.safetensors")).expect("removed");
    assert!(message(path).contains("--zero-text"), "{}", message(path));
    std::fs::remove_file(path.join("tokenizer.pth")).expect("removed");
    assert!(message(path).contains("no video VAE"), "{}", message(path));

    let text_only = DitConfig::tiny().with_conditioning(ConditioningConfig::new());
    CheckpointWriter::new(SaveDtype::Bf16)
        .with_module("net.", &text_only.init(&device), &KeyMap::dit_nvidia())
        .save_pytorch(&transformer)
        .expect("written");
    assert!(
        message(path).contains("not conditioned on actions"),
        "{}",
        message(path)
    );
    std::fs::write(&transformer, b"PK\x03\x04 broken off").expect("written");
    assert!(message(path).contains("random-tiny"), "{}", message(path));
}

#[test]
fn pieces_of_training_are_told_how_to_convert_unless_a_transformer_lies_beside_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    write_random(path, 1);
    let transformer = path.join(RandomCheckpoint::action_cond_tiny().transformer_file);
    for pieces in ["", "model", "iter_000010/model"] {
        let pieces = path.join(pieces);
        std::fs::create_dir_all(&pieces).expect("writable");
        std::fs::write(pieces.join(".metadata"), b"\x80\x02").expect("written");
        std::fs::write(pieces.join("__0_0.distcp"), b"PK\x03\x04").expect("written");
        let opened = CheckpointFolder::open(path).expect("the converted file is there");
        assert_eq!(opened.transformers().len(), 1);
        assert!(CheckpointFolder::files(path).expect("readable").contains(&pieces));
        std::fs::rename(&transformer, path.join("elsewhere")).expect("moved");
        let message = CheckpointFolder::open(path).expect_err("in pieces").to_string();
        assert!(message.contains("convert_distcp_to_pt.py"), "{message}");
        std::fs::rename(path.join("elsewhere"), &transformer).expect("moved");
        std::fs::remove_file(pieces.join(".metadata")).expect("removed");
        std::fs::remove_file(pieces.join("__0_0.distcp")).expect("removed");
    }
}
