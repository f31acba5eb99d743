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

/// Checks the directory of an archive and the pickles of any file, and returns the length of the file.
pub(super) fn check(path: &Path, location: &str) -> Result<u64, CheckpointError> {
    let read_error = |source| CheckpointError::Read {
        location: location.to_string(),
        source,
    };
    let file = File::open(path).map_err(read_error)?;
    let len = file.metadata().map_err(read_error)?.len();
    let mut file = BufReader::new(file);
    if file.fill_buf().map_err(read_error)?.starts_with(b"PK") {
        check_archive(file, len, location)?;
    } else {
        for _ in 0..LEGACY_PICKLES {
            if check_pickle(&mut file, location)? == Walk::Unreadable {
                break;
            }
        }
    }
    Ok(len)
}

fn check_archive(file: BufReader<File>, len: u64, location: &str) -> Result<(), CheckpointError> {
    let failed = |source: PytorchError| CheckpointError::Pytorch {
        location: location.to_string(),
        source,
    };
    let mut archive = ZipArchive::new(file).map_err(|error| failed(error.into()))?;
    if archive.has_duplicate_names() {
        let problem = "two entries of the archive have the same name";
        return Err(failed(PytorchError::InvalidFormat(problem.to_string())));
    }
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
            check_pickle(&mut BufReader::new(entry.take(size)), location)?;
        }
    }
    Ok(())
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
