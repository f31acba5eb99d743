//! What a PyTorch file claims to hold, checked before the reader sees it and anything of that size is allocated.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use pytorch_reader::PytorchError;
use zip::{ZipArchive, ZipReadOptions};

use super::error::CheckpointError;
use super::pickle_walk::{self, Refusal, Walk};

/// Largest pickle of a ZIP archive; those of released weights take two hundred kilobytes.
const MAX_PICKLE_BYTES: u64 = 32 << 20;

/// Pickles at the start of a file of PyTorch before 1.6: magic number, protocol, system, tensors, storages.
const LEGACY_PICKLES: usize = 5;

/// The magic number of such a file, in binary and in text, and within how many bytes it stands.
const MAGIC_NUMBER: [&[u8]; 2] = [b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", b"119547037146038801333356"];
const MAGIC_WITHIN: usize = 64;

/// What is known of a file before the reader sees it.
pub(super) struct Claims {
    /// Bytes of the file.
    pub(super) len: u64,
    /// Whether every pickle that the reader will parse was followed to its end.
    pub(super) is_followed: bool,
}

/// Checks the directory of an archive and the pickles of any file.
pub(super) fn check(path: &Path, location: &str) -> Result<Claims, CheckpointError> {
    let read_error = |source| CheckpointError::Read {
        location: location.to_string(),
        source,
    };
    let file = File::open(path).map_err(read_error)?;
    let len = file.metadata().map_err(read_error)?.len();
    let mut file = BufReader::new(file);
    let start = file.fill_buf().map_err(read_error)?;
    if start.starts_with(b"PK") {
        let is_followed = check_archive(file, len, location)?;
        return Ok(Claims { len, is_followed });
    }
    let needed = if is_legacy(start) { LEGACY_PICKLES } else { 1 };
    let mut followed = 0;
    while followed < LEGACY_PICKLES && check_pickle(&mut file, location)? == Walk::Whole {
        followed += 1;
    }
    let is_followed = followed >= needed;
    Ok(Claims { len, is_followed })
}

/// Returns whether a file starts with the magic number of PyTorch before 1.6, in any of its encodings.
fn is_legacy(start: &[u8]) -> bool {
    let start = &start[..start.len().min(MAGIC_WITHIN)];
    let has = |magic: &[u8]| start.windows(magic.len()).any(|bytes| bytes == magic);
    MAGIC_NUMBER.iter().any(|magic| has(magic))
}

/// Returns whether every pickle was followed to its end.
fn check_archive(file: BufReader<File>, len: u64, location: &str) -> Result<bool, CheckpointError> {
    let failed = |source: PytorchError| CheckpointError::Pytorch {
        location: location.to_string(),
        source,
    };
    let mut archive = ZipArchive::new(file).map_err(|error| failed(error.into()))?;
    if archive.has_duplicate_names() {
        let problem = "two entries of the archive have the same name";
        return Err(failed(PytorchError::InvalidFormat(problem.to_string())));
    }
    let mut is_followed = true;
    for index in 0..archive.len() {
        // Checksums are checked by the reader, which knows that 0 stands for none.
        let options = ZipReadOptions::new().ignore_crc32(true);
        let raw = archive.by_index_raw(index).map_err(|error| failed(error.into()))?;
        let (size, name) = (raw.size(), String::from_utf8_lossy(raw.name_raw()).into_owned());
        drop(raw);
        let is_pickle = name == "data.pkl" || name.ends_with("/data.pkl");
        let available = if is_pickle { len.min(MAX_PICKLE_BYTES) } else { len };
        if size > available {
            return Err(CheckpointError::Oversized {
                location: location.to_string(),
                what: format!("entry `{name}`"),
                claimed: size,
                available,
            });
        }
        if is_pickle {
            let entry = archive.by_index_with_options(index, options);
            let entry = entry.map_err(|error| failed(error.into()))?;
            let walk = check_pickle(&mut BufReader::new(entry.take(size)), location)?;
            is_followed &= walk == Walk::Whole;
        }
    }
    Ok(is_followed)
}

fn check_pickle(pickle: &mut impl BufRead, location: &str) -> Result<Walk, CheckpointError> {
    let location = || location.to_string();
    pickle_walk::check(pickle).map_err(|refusal| match refusal {
        Refusal::TooManyCopies { copied, allowed } => CheckpointError::Oversized {
            location: location(),
            what: "copies within its pickle".to_string(),
            claimed: copied,
            available: allowed,
        },
        Refusal::Class { class, place } => CheckpointError::ForbiddenObject {
            location: location(),
            place,
            class,
        },
        Refusal::RepeatedKey(key) => CheckpointError::RepeatedKey {
            location: location(),
            key,
        },
    })
}

/// Refuses a tensor that takes more bytes than its file has: one number repeated by its strides, or a compressed one.
pub(super) fn check_tensor(
    key: &str,
    tensor: &pytorch_reader::Tensor,
    available: u64,
    location: &str,
) -> Result<(), CheckpointError> {
    let claimed = tensor.byte_len() as u64;
    if claimed <= available {
        return Ok(());
    }
    Err(CheckpointError::Oversized {
        location: location.to_string(),
        what: format!("tensor `{key}`"),
        claimed,
        available,
    })
}
