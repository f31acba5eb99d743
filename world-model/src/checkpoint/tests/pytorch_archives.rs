use std::io::Write;

use crate::checkpoint::{CheckpointError, CheckpointFormat, CheckpointSource};

/// Ones, as they are stored.
pub(super) fn ones() -> Vec<u8> {
    [1.0f32; 6].iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The pickle of a dictionary with one tensor, and a value that is no tensor.
pub(super) fn pickle(other: &[u8]) -> Vec<u8> {
    let tensor = [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".as_slice(),
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        b"K\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat();
    [
        b"\x80\x02}(",
        &text("net.weight")[..],
        &tensor,
        &text("net._extra_state"),
        other,
        b"u.",
    ]
    .concat()
}

/// A file of `torch.save` with one tensor of ones, and a value that is no tensor.
pub(super) fn archive(other: &[u8]) -> Vec<u8> {
    zip(&[
        ("archive/data.pkl", &pickle(other)),
        ("archive/version", b"3\n"),
        ("archive/data/0", &ones()),
    ])
}

/// The same as PyTorch before 1.6 saved it: pickles one after the other, and the tensor with its length.
pub(super) fn legacy(other: &[u8]) -> Vec<u8> {
    [
        LEGACY_START,
        &text("little_endian"),
        b"\x88u.",
        &pickle(other),
        b"\x80\x02](",
        &text("0"),
        b"e.",
        &6u64.to_le_bytes(),
        &ones(),
    ]
    .concat()
}

/// Magic number, version, and the start of what is said about the machine.
const LEGACY_START: &[u8] = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}(";

/// An `io.BytesIO` object, as files of older engines have for extra states.
pub(super) const BYTES_IO: &[u8] = b"c_io\nBytesIO\n)\x81(C\x01xK\x00Ntb";

fn text(value: &str) -> Vec<u8> {
    [b"X".as_slice(), &(value.len() as u32).to_le_bytes(), value.as_bytes()].concat()
}

/// Builds a ZIP file without compression; a checksum of 0 means that there is none.
pub(super) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let offset = file.len() as u32;
        let sizes = [content.len() as u32, content.len() as u32]
            .map(u32::to_le_bytes)
            .concat();
        // Version, flags, method, time, date, checksum; then sizes and lengths of name and extra field.
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &sizes,
            &(name.len() as u16).to_le_bytes(),
            &[0; 2],
        ]
        .concat();
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
        directory.extend(
            [
                b"PK\x01\x02\x14\x00",
                &common[..],
                &[0; 10],
                &offset.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (count, start) = (entries.len() as u16, file.len() as u32);
    let counts = [count, count].map(u16::to_le_bytes).concat();
    let end = [
        &(directory.len() as u32).to_le_bytes()[..],
        &start.to_le_bytes(),
        &[0; 2],
    ]
    .concat();
    [&file[..], &directory, b"PK\x05\x06\x00\x00\x00\x00", &counts, &end].concat()
}

fn open(bytes: &[u8]) -> Result<CheckpointSource, CheckpointError> {
    let mut file = tempfile::Builder::new().suffix(".pt").tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let source = CheckpointSource::open(file.path())?;
    // Tensors are read only now; a file may break there too.
    let keys: Vec<String> = source.keys().map(str::to_string).collect();
    keys.iter().try_for_each(|key| source.read(key).map(drop))?;
    Ok(source)
}

#[test]
fn tensors_are_read_and_other_entries_listed() {
    for file in [archive(BYTES_IO), legacy(BYTES_IO)] {
        let source = open(&file).unwrap();
        assert_eq!(source.format(), CheckpointFormat::Pytorch);
        assert_eq!(source.keys().collect::<Vec<_>>(), ["net.weight"]);
        assert_eq!(source.other_keys(), ["net._extra_state"]);
        assert_eq!(source.shape("net.weight").unwrap(), [2, 3]);
        assert_eq!(source.read("net.weight").unwrap(), [1.0; 6]);
    }
}

#[test]
fn objects_that_are_no_data_are_refused_by_name() {
    // What `os.system("true")` looks like in a pickle; reading it must not run it.
    let call = [b"cposix\nsystem\n".as_slice(), &text("true"), b"\x85R"].concat();
    for bytes in [archive(&call), [b"\x80\x02".as_slice(), &call, b"."].concat()] {
        let error = open(&bytes).unwrap_err();
        assert!(
            matches!(&error, CheckpointError::ForbiddenObject { class, .. } if class == "posix.system"),
            "{error}"
        );
        assert!(error.to_string().contains("nothing is ever executed"), "{error}");
    }
}

#[test]
fn what_training_leaves_beside_the_weights_is_listed() {
    let scalar = [
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(".as_slice(),
        &text("f4"),
        b"tRC\0tR",
    ]
    .concat();
    let options = [b"cargparse\nNamespace\n)\x81}".as_slice(), &text("lr"), b"K\x01sb"].concat();
    let random = b"\x8a\x09\0\0\0\0\0\0\0\0\x01";
    for other in [
        &scalar[..],
        &options,
        random,
        b"ctorch\nbfloat16\n",
        b"ctorch\nSize\n(K\x02K\x03t\x85R",
        b"c__builtin__\nset\n](K\x01e\x85R",
    ] {
        let source = open(&archive(other)).unwrap();
        assert_eq!(source.keys().collect::<Vec<_>>(), ["net.weight"]);
        assert!(source.other_keys()[0].starts_with("net._extra_state"));
    }
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let whole = archive(BYTES_IO);
    for length in 0..whole.len() {
        assert!(
            open(&whole[..length]).is_err(),
            "a file cut to {length} of {} bytes was read",
            whole.len()
        );
    }
}

#[test]
fn an_archive_with_any_byte_changed_never_panics() {
    let whole = archive(BYTES_IO);
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 0xff;
        // Some bytes mean nothing, so that the file may still be read; it is enough that this returns.
        drop(open(&bytes));
    }
}

#[test]
fn a_storage_shorter_than_its_tensor_is_refused() {
    let whole = archive(BYTES_IO);
    let claim = whole.windows(4).position(|window| window == b"K\x06tQ").unwrap();
    let mut bytes = whole;
    bytes[claim + 1] = 200;
    let shape = bytes.windows(4).position(|window| window == b"K\x02K\x03").unwrap();
    bytes[shape + 1] = 60;
    assert!(open(&bytes).is_err());
}
