//! Any bytes at all: an answer or an error, no panic, and no more memory than the file explains.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::Network;
use super::allocation::peak_of;
use super::mutations::{Mutation, mutated, mutations};
use super::pytorch_archives::{BYTES_IO, archive, legacy};
use super::safetensors_files::whole;
use crate::catalog::recognize;
use crate::checkpoint::{CheckpointSource, CheckpointWriter, KeyMap, SaveDtype, adapter_scale, merge_adapter};
use crate::hub::{HubLocation, HubSettings};
use crate::pipeline::Predict;
use crate::pipeline::tiny_world;
use crate::text_encoder::{TextEmbedding, TextEncoderConfig, with_config_file};

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

/// An adapter for the first layer of the network.
fn adapter() -> Vec<u8> {
    let factor = |shape: [usize; 2]| Tensor::<2>::full(shape, 0.5, &Device::flex());
    CheckpointWriter::new(SaveDtype::F32)
        .with_tensor("net.input.lora_A.weight", &factor([2, 3]))
        .with_tensor("net.input.lora_B.weight", &factor([4, 2]))
        .with_tensor("net.input.alpha", &Tensor::<1>::full([1], 2.0, &Device::flex()))
        .to_bytes()
}

fn merged(bytes: Vec<u8>, scale: f64) -> Result<(), TestCaseError> {
    let len = bytes.len();
    let mut network = Network::new(3, 1);
    let before = network.values();
    let merged = within_bounds(len, || {
        let source = CheckpointSource::from_bytes("adapter", bytes).ok()?;
        merge_adapter(&mut network, &source, &KeyMap::identity(), scale).ok()
    })?;
    let after = network.values();
    prop_assert!(
        after.iter().all(|value| value.is_finite()),
        "weights that are no numbers"
    );
    prop_assert_eq!(merged.is_none(), after == before, "an error left another network");
    Ok(())
}

/// Writes a file into a folder of its own, and uses that; an error has to name the file.
fn used_in_folder<R, E: std::fmt::Display>(
    name: &str,
    bytes: &[u8],
    use_folder: impl FnOnce(&Path) -> Result<R, E>,
) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let error = within_bounds(bytes.len(), || {
        use_folder(folder.path()).err().map(|error| error.to_string())
    })?;
    prop_assert!(error.as_ref().is_none_or(|error| error.contains(name)), "{error:?}");
    Ok(())
}

/// Locates the shards of an index that is in the cache of the Hub.
fn located(index: &[u8]) -> Result<(), TestCaseError> {
    const COMMIT: &str = "15a82a2e0123456789abcdef0123456789abcdef";
    let cache = tempfile::tempdir().unwrap();
    let snapshot = cache.path().join("models--some--weights/snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    for (name, content) in [("model.safetensors.index.json", index), ("1.safetensors", b"")] {
        fs::write(snapshot.join(name), content).unwrap();
    }
    let settings = HubSettings {
        endpoint: "http://127.0.0.1:1".to_owned(),
        token: None,
        cache: cache.path().to_path_buf(),
        is_offline: true,
    };
    let location = HubLocation::new("some/weights", COMMIT, "model.safetensors.index.json").unwrap();
    let located = within_bounds(index.len(), || {
        settings.locate_all(&location, |_, _| ControlFlow::Continue(()))
    })?;
    for path in located.into_iter().flatten() {
        let inside = path.strip_prefix(&snapshot);
        prop_assert!(inside.is_ok_and(|path| path.components().count() == 1), "{path:?}");
    }
    Ok(())
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
    fn changed_older_files_are_read_or_refused(mutations in mutations()) {
        opened(&mutated(&legacy(BYTES_IO), &mutations), ".pt")?;
        opened(&mutated(b"\x80\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0b](K\x02C\x01xNG\0\0\0\0\0\0\0\0eu.", &mutations), ".pt")?;
    }

    #[test]
    fn any_tar_archive_is_refused_for_what_it_is(mut bytes in prop::collection::vec(any::<u8>(), 512..2048), start in prop::sample::select(vec![&b"pickle\0"[..], b"\x80\x02x"])) {
        bytes[..start.len()].copy_from_slice(start);
        bytes[8] = 0;
        bytes[257..262].copy_from_slice(b"ustar");
        let file = tempfile::Builder::new().suffix(".pt").tempfile().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        let errors = within_bounds(bytes.len(), || use_everything(file.path()))?;
        prop_assert!(errors[0].contains("is a TAR archive"), "{}", errors[0]);
    }

    #[test]
    fn changed_adapters_are_merged_whole_or_not_at_all(mutations in mutations(), scale in prop_oneof![Just(1.0), any::<f64>()]) {
        merged(mutated(&adapter(), &mutations), scale)?;
        merged(adapter(), scale)?;
    }

    #[test]
    fn changed_config_files_are_read_or_refused(mutations in mutations()) {
        let config = br#"{"num_attention_heads":4,"rope_theta":5e5,"text_config":{"num_attention_heads":4,"num_key_value_heads":2,"rms_norm_eps":1e-6,"rope_theta":1000000.0}}"#;
        used_in_folder("config.json", &mutated(config, &mutations), |folder| with_config_file(TextEncoderConfig::tiny(), folder))?;
        let config = br#"{"peft_type":"LORA","r":32,"lora_alpha":64,"use_rslora":false,"rank_pattern":{},"alpha_pattern":{}}"#;
        used_in_folder("adapter_config.json", &mutated(config, &mutations), |folder| adapter_scale(folder))?;
    }

    #[test]
    fn shards_in_the_cache_of_the_hub_stay_in_their_folder(
        mutations in mutations(),
        shard in "(\\.\\./){0,2}/?[a-c1]{0,2}[/\\\\.]{0,3}1?\\.safetensors",
    ) {
        let index = serde_json::json!({ "weight_map": { "a": "1.safetensors", "b": shard } }).to_string();
        located(index.as_bytes())?;
        located(&mutated(index.as_bytes(), &mutations))?;
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
            &b"ctorch._utils\n_rebuild_tensor_v2\n"[..], b"cos\nsystem\n", b"U\x01a", b"ctorch\nBFloat16Storage\n", b"ccollections\nOrderedDict\n",
            b"U\x07storage", b"U\x010", b"U\x03cpu", b"X\xff\xff\xff\x7f", b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", b"J\xff\xff\xff\x7f",
            b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
        ]).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}
