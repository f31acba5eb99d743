use super::Network;
use crate::checkpoint::{CheckpointError, CheckpointSource, CheckpointWriter, KeyMap, SaveDtype};

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn open(bytes: Vec<u8>) -> Result<CheckpointSource, CheckpointError> {
    CheckpointSource::from_bytes("weights.safetensors", bytes)
}

pub(super) fn whole() -> Vec<u8> {
    CheckpointWriter::new(SaveDtype::F32)
        .with_module("", &Network::new(3, 1), &KeyMap::identity())
        .to_bytes()
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let whole = whole();
    for length in 0..whole.len() {
        let error = open(whole[..length].to_vec()).expect_err("a cut file was opened");
        assert!(error.to_string().contains("weights.safetensors"), "{error}");
    }
}

#[test]
fn a_cut_file_says_how_much_is_missing() {
    let whole = whole();
    let error = open(whole[..whole.len() - 10].to_vec()).unwrap_err();
    let expected = whole.len() as u64;
    assert!(
        matches!(error, CheckpointError::WrongLength { expected: e, found, .. } if e == expected && found == e - 10)
    );
}

#[test]
fn a_header_longer_than_the_file_is_refused_before_it_is_read() {
    for length in [u64::MAX, 1 << 40, 100] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        assert!(matches!(open(bytes).unwrap_err(), CheckpointError::WrongLength { .. }));
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let headers = [
        ("not JSON", "{\"a\":"),
        (
            "bytes do not fit the shape",
            r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
        ),
        (
            "the end lies before the start",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
        ),
        ("a hole", r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#),
        (
            "an overlap",
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        ),
        (
            "a shape that overflows",
            r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#,
        ),
        (
            "an unknown element type",
            r#"{"a":{"dtype":"Q3","shape":[2],"data_offsets":[0,8]}}"#,
        ),
    ];
    for (problem, header) in headers {
        let error = open(file(header, &[0; 8])).expect_err(problem);
        assert!(matches!(error, CheckpointError::Header { .. }), "{problem}: {error}");
    }
}

#[test]
fn integers_are_listed_and_cannot_be_read_as_weights() {
    let header = r#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let source = open(file(header, &[0; 8])).unwrap();
    assert_eq!(source.keys().collect::<Vec<_>>(), ["a"]);
    assert!(matches!(
        source.read("a").unwrap_err(),
        CheckpointError::ElementType { .. }
    ));
}

#[test]
fn a_missing_tensor_names_some_that_are_there() {
    let error = open(whole()).unwrap().read("nope").unwrap_err();
    assert!(error.to_string().contains("blocks.0.bias"), "{error}");
}

#[test]
fn a_file_of_another_kind_is_not_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.bin");
    std::fs::write(&path, "GIF89a is no checkpoint").unwrap();
    let error = CheckpointSource::open(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::UnknownFormat { .. }), "{error}");
    let error = CheckpointSource::open(folder.path().join("missing.pt")).unwrap_err();
    assert!(matches!(error, CheckpointError::Read { .. }), "{error}");
}

#[test]
fn files_and_memory_give_the_same_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::write(&path, whole()).unwrap();
    let (disk, memory) = (CheckpointSource::open(&path).unwrap(), open(whole()).unwrap());
    for key in memory.keys() {
        assert_eq!(disk.shape(key), memory.shape(key));
        assert_eq!(disk.dtype(key), memory.dtype(key));
        assert_eq!(disk.read(key).unwrap().len(), memory.read(key).unwrap().len());
    }
}
