//! Any bytes at all: an answer or an error, no panic, and no more memory than the file explains.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::allocation::peak_of;
use super::mutations::{Mutation, mutated, mutations};
use super::pytorch_archives::{BYTES_IO, archive};
use super::safetensors_files::whole;
use crate::catalog::recognize;
use crate::checkpoint::CheckpointSource;
use crate::pipeline::Predict;
use crate::pipeline::tiny_world;
use crate::text_encoder::TextEmbedding;

/// Memory that a reader may take for each byte of a file: names, shapes and JSON become larger when they are parsed.
const PER_BYTE: usize = 400;

/// Memory that a reader may take for an empty file: buffers, messages, and copies within the smallest pickle.
const FREE: usize = 2 << 20;

/// Opens a file and does everything with it that a user can ask for before a network exists; returns the errors.
fn use_everything(path: &Path) -> Vec<String> {
    let source = match CheckpointSource::open(path) {
        Ok(source) => source,
        Err(error) => return vec![error.to_string()],
    };
    let mut errors = Vec::new();
    for key in source.keys() {
        errors.extend(source.statistics(key).err().map(|error| error.to_string()));
    }
    match recognize(&source) {
        Ok(recognized) => {
            let report = recognized.compare(&source, &Device::flex());
            errors.extend(report.err().map(|error| error.to_string()));
        }
        Err(error) => errors.push(error.to_string()),
    }
    errors
}

/// Fails if the memory that something took is not explained by the size of its file.
fn within_bounds<R>(file_len: usize, run: impl FnOnce() -> R) -> Result<R, TestCaseError> {
    let (result, peak) = peak_of(run);
    prop_assert!(
        peak <= FREE + PER_BYTE * file_len,
        "{peak} bytes of memory for a file of {file_len}"
    );
    Ok(result)
}

fn opened(bytes: &[u8], suffix: &str) -> Result<(), TestCaseError> {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let errors = within_bounds(bytes.len(), || use_everything(file.path()))?;
    let name = file.path().file_name().unwrap().to_string_lossy().into_owned();
    for error in errors {
        prop_assert!(error.contains(&name), "an error that does not name its file: {error}");
    }
    Ok(())
}

fn opened_in_memory(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let len = bytes.len();
    within_bounds(len, || {
        let Ok(source) = CheckpointSource::from_bytes("weights", bytes) else {
            return;
        };
        for key in source.keys() {
            drop(source.read(key));
        }
    })
}

fn opened_as_shards(index: &[u8], shard: &[u8]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    fs::write(folder.path().join("1.safetensors"), shard).unwrap();
    within_bounds(index.len() + shard.len(), || drop(use_everything(folder.path())))
}

/// An embedding of two tokens and four channels.
fn embedding() -> Vec<u8> {
    let header = r#"{"__metadata__":{"prompt":"push","model_fingerprint":"0123"},"text_embedding":{"dtype":"BF16","shape":[2,4],"data_offsets":[0,16]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat()
}

fn opened_as_embedding(bytes: &[u8]) -> Result<(), TestCaseError> {
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile().unwrap();
    fs::write(file.path(), bytes).unwrap();
    within_bounds(bytes.len(), || {
        drop(TextEmbedding::load(file.path(), 4, &Device::flex()));
    })
}

/// A file with the config of a world in its metadata, and one small tensor.
fn world_file(config: &str) -> Vec<u8> {
    let header = serde_json::json!({
        "__metadata__": { "config": config },
        "dit.x_embedder.proj.weight": { "dtype": "F32", "shape": [2], "data_offsets": [0, 8] },
    });
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat()
}

fn loaded_as_world(config: &str) -> Result<(), TestCaseError> {
    let bytes = world_file(config);
    let len = bytes.len();
    let error = within_bounds(len, || {
        let source = CheckpointSource::from_bytes("world", bytes).unwrap();
        drop(recognize(&source).map(|recognized| recognized.compare(&source, &Device::flex())));
        Predict::load(&source, &Device::flex())
            .err()
            .map(|error| error.to_string())
    })?;
    prop_assert!(error.is_some(), "a world of one tensor was loaded");
    Ok(())
}

/// Few cases, so that the tests take seconds; `PROPTEST_CASES` asks for more.
fn bounded() -> Config {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    Config {
        cases: if asked { Config::default().cases } else { 192 },
        // A case that fails belongs into the corpus, by hand.
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(bounded())]

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\x80\x02", b"\x80\x04\x95", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", b"\x10\0\0\0\0\0\0\0{"]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
        suffix in prop::sample::select(vec![".pt", ".safetensors"]),
    ) {
        opened(&[start, &rest].concat(), suffix)?;
    }

    #[test]
    fn any_header_is_refused_without_a_panic(header in "\\{(\"[a-c_]{1,12}\":(\\{\"dtype\":\"(F32|BF16|I8|F4)\",\"shape\":\\[[0-9]{1,20}(,[0-9]{1,20})?\\],\"data_offsets\":\\[[0-9]{1,20},[0-9]{1,20}\\]\\}|[0-9]{1,3}|\"[a-z]{0,4}\"),?){0,4}\\}", data in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        opened_in_memory(bytes)?;
    }

    #[test]
    fn any_pickle_is_refused_without_a_panic(pickle in prop::collection::vec(instruction(), 0..60)) {
        let pickle = pickle.concat();
        opened(&[b"\x80\x02", &pickle[..], b"."].concat(), ".pt")?;
        opened(&super::pytorch_archives::zip(&[("archive/data.pkl", &[&pickle[..], b"."].concat()), ("archive/data/0", &[0; 24])]), ".pt")?;
    }

    #[test]
    fn changed_safetensors_files_are_read_or_refused(mutations in mutations()) {
        opened(&mutated(&whole(), &mutations), ".safetensors")?;
        opened_in_memory(mutated(&whole(), &mutations))?;
    }

    #[test]
    fn changed_archives_are_read_or_refused(mutations in mutations()) {
        opened(&mutated(&archive(BYTES_IO), &mutations), ".pt")?;
    }

    #[test]
    fn changed_shard_indices_are_read_or_refused(
        in_index in mutations(),
        in_shard in prop_oneof![2 => Just(Vec::<Mutation>::new()), 1 => mutations()],
    ) {
        let index = br#"{"metadata":{"total_size":196},"weight_map":{"input.weight":"1.safetensors","input.bias":"1.safetensors"}}"#;
        opened_as_shards(&mutated(index, &in_index), &mutated(&whole(), &in_shard))?;
    }

    #[test]
    fn changed_embeddings_are_read_or_refused(mutations in mutations()) {
        opened_as_embedding(&mutated(&embedding(), &mutations))?;
    }

    #[test]
    fn worlds_with_a_changed_config_are_refused(mutations in mutations()) {
        let config = mutated(tiny_world().as_bytes(), &mutations);
        loaded_as_world(&String::from_utf8_lossy(&config))?;
    }
}

/// Returns one instruction of a pickle, more often one that makes sense in a file of weights.
fn instruction() -> impl Strategy<Value = Vec<u8>> {
    let plain = b"()]}NQRtlduesab021.\x85\x86\x87\x81\x88\x8f\x91\x92\x93\x94";
    prop_oneof![
        4 => prop::sample::select(plain.to_vec()).prop_map(|byte| vec![byte]),
        2 => (prop::sample::select(vec![b'h', b'q', b'K']), 0..4u8).prop_map(|(byte, index)| vec![byte, index]),
        1 => prop::sample::select(vec![
            &b"ctorch._utils\n_rebuild_tensor_v2\n"[..], b"ctorch\nBFloat16Storage\n", b"ccollections\nOrderedDict\n",
            b"U\x07storage", b"U\x010", b"U\x03cpu", b"X\xff\xff\xff\x7f", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"J\xff\xff\xff\x7f",
            b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
        ]).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}
