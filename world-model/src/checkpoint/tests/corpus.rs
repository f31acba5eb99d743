//! Files made by hand, each with one lie in it, under `corpus`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::allocation::peak_of;
use crate::checkpoint::{CheckpointError, CheckpointSource};

/// Memory for buffers and messages, beside that for what the file holds.
const FREE: usize = 256 << 10;

/// What the error says about each file or folder.
const EXPECTED: &[(&str, &str)] = &[
    ("call_by_instance.pt", "`os.system` near `true`"),
    ("call_by_strings.pt", "`os.system` near `b`"),
    ("call_in_the_arguments_of_another.pt", "`os.system` near `b`"),
    ("call_in_the_state_of_a_dictionary.pt", "`os.system` near `b`"),
    ("call_that_is_dropped.pt", "`os.system` at byte 13 of its pickle"),
    ("calls_eval_in_a_plain_pickle.pt", "`__builtin__.eval`"),
    ("calls_io_open.pt", "`_io.open`"),
    ("calls_numpy_runstring.pt", "`numpy.testing._private.utils.runstring`"),
    ("calls_os_system.pt", "`posix.system`"),
    ("calls_torch_hub_load.pt", "`torch.hub.load`"),
    (
        "checksum_wrong.pt",
        "Invalid checksum; the file is damaged: fetch it again",
    ),
    ("complex_numbers.pt", "ComplexFloatStorage"),
    ("copies_of_copies.pt", "copies within its pickle"),
    ("deep_nesting.safetensors", "recursion limit"),
    ("dtype_of_another_size.safetensors", "invalid safetensors header"),
    ("elements_2_to_the_60.safetensors", "overflow"),
    ("empty.safetensors", "describes 8 bytes, found 0"),
    ("git_lfs_pointer.safetensors", "pointer of Git LFS"),
    ("header_cut.safetensors", "EOF while parsing"),
    (
        "header_length_gigantic.safetensors",
        "describes 1152921504606846984 bytes",
    ),
    ("index_names_a_tensor_twice", "`a` occurs twice"),
    ("index_nested_deeply", "recursion limit"),
    ("index_not_utf8", "invalid unicode"),
    ("integers_for_weights.pt", "element type I32"),
    ("integers_for_weights.safetensors", "element type I64"),
    ("key_as_number_and_text.pt", "two entries `1`"),
    ("key_not_utf8.pt", "utf-8"),
    ("key_repeated_for_every_entry.pt", "bytes for the names of its entries"),
    ("key_twice.pt", "two entries `net.weight`"),
    ("keys_of_one_path.pt", "two entries `net.weight`"),
    ("metadata_named_twice.safetensors", "`config` occurs twice"),
    ("negative_shape.safetensors", "invalid value"),
    ("no_checkpoint.safetensors", "describes"),
    ("not_a_dictionary.pt", "Expected a dictionary"),
    ("not_utf8_key.safetensors", "invalid unicode"),
    ("offset_beyond_the_file.safetensors", "is truncated or corrupt"),
    ("offsets_backwards.safetensors", "invalid safetensors header"),
    ("offsets_leave_a_hole.safetensors", "invalid safetensors header"),
    ("offsets_overlap.safetensors", "invalid safetensors header"),
    (
        "one_number_repeated_by_strides.pt",
        "claims 4294967296 bytes for tensor `net.weight`",
    ),
    ("other_byte_order.pt", "Big-endian"),
    ("pickle_negative_shape.pt", "non-negative"),
    ("pickle_nested_deeply.pt", "nesting exceeds"),
    ("pickle_shape_product_overflow.pt", "overflows"),
    ("shape_product_overflow.safetensors", "overflow"),
    ("shard_cut", "is truncated or corrupt"),
    ("shard_missing", "`2.safetensors`, which is not there"),
    ("shard_outside_the_folder", "not a file name in the same folder"),
    ("shard_without_its_tensor", "does not hold it"),
    ("shards_hold_a_tensor_twice", "holds it too"),
    ("storage_missing.pt", "not found in archive"),
    ("storage_of_another_module.pt", "`os.FloatStorage` near `storage`"),
    ("storage_of_another_type.pt", "DoubleStorageX"),
    ("storage_shorter_than_its_tensor.pt", "only 6 are available"),
    ("string_longer_than_memory.pt", "expected 4611686018427387904 bytes"),
    ("string_longer_than_the_file.pt", "expected 2147483647 bytes"),
    ("tar_of_copies.pt", "is a TAR archive"),
    ("tar_of_weights.pt", "is a TAR archive"),
    ("tar_sparse_entry.pt", "is a TAR archive"),
    ("tensor_beyond_its_storage.pt", "needs 11 elements"),
    ("tensor_named_twice.safetensors", "`a` occurs twice"),
    ("unknown_dtype.safetensors", "unknown variant"),
    ("web_page.pt", "is a web page"),
    ("zip_bomb_for_a_storage.pt", "claims 4194304 bytes"),
    ("zip_cut.pt", "zip archive"),
    (
        "zip_entry_gigantic.pt",
        "claims 4294967280 bytes for entry `archive/data/0`",
    ),
    ("zip_entry_named_twice.pt", "same name"),
    (
        "zip_pickle_gigantic.pt",
        "claims 2147483647 bytes for entry `archive/data.pkl`",
    ),
    ("zip_without_pickle.pt", "No data.pkl"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/checkpoint/tests/corpus")
}

/// Opens a checkpoint and reads all of it.
fn read_all(path: &Path) -> Result<(), CheckpointError> {
    let source = CheckpointSource::open(path)?;
    let keys: Vec<String> = source.keys().map(str::to_string).collect();
    keys.iter().try_for_each(|key| source.read(key).map(drop))
}

fn size(path: &Path) -> usize {
    let files = std::fs::read_dir(path).map_or_else(
        |_| vec![path.to_path_buf()],
        |entries| entries.map(|entry| entry.unwrap().path()).collect(),
    );
    files.iter().map(|file| file.metadata().unwrap().len() as usize).sum()
}

#[test]
fn every_lie_is_named_with_its_file_and_costs_no_memory() {
    let mut wrong = Vec::new();
    for (name, problem) in EXPECTED {
        let path = folder().join(name);
        let (result, peak) = peak_of(|| read_all(&path));
        match result {
            Err(error) => {
                let message = error.to_string();
                if !message.contains(name) || !message.contains(problem) {
                    wrong.push(format!("{name}: {message}"));
                }
            }
            Ok(()) => wrong.push(format!("{name} was read")),
        }
        // Parsed pickles take up to a hundred times their length.
        let allowed = FREE + 100 * size(&path);
        if peak > allowed {
            wrong.push(format!("{name}: {peak} bytes of memory, {allowed} are explained"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_of_the_corpus_is_expected() {
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    let expected: BTreeSet<String> = EXPECTED.iter().map(|(name, _)| (*name).to_string()).collect();
    assert_eq!(there, expected);
}
