//! The safetensors container: an eight-byte length, a JSON header, the tensors.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::safetensors::tensor::Metadata;

use super::blob::Blob;
use super::distinct;
use super::error::CheckpointError;
use super::source::{Origin, StoredTensor};

/// Bytes of the header's length.
const LENGTH_BYTES: u64 = 8;

/// Largest header accepted; the format itself has the same limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Tensors and string metadata of one safetensors blob.
pub(super) type Contents = (BTreeMap<String, StoredTensor>, BTreeMap<String, String>);

/// Parses the header and checks it against the blob's length; tensors stay unread.
pub(super) fn parse(blob: &Arc<Blob>, location: &str) -> Result<Contents, CheckpointError> {
    let read = |start, len| {
        blob.read(start, len).map_err(|source| CheckpointError::Read {
            location: location.to_string(),
            source,
        })
    };
    let wrong_length = |expected| CheckpointError::WrongLength {
        location: location.to_string(),
        expected,
        found: blob.len(),
    };

    if blob.len() < LENGTH_BYTES {
        return Err(wrong_length(LENGTH_BYTES));
    }
    let mut length = [0; LENGTH_BYTES as usize];
    length.copy_from_slice(&read(0, LENGTH_BYTES as usize)?);
    let header_bytes = u64::from_le_bytes(length);
    let data_start = header_bytes.saturating_add(LENGTH_BYTES);
    if header_bytes > MAX_HEADER_BYTES || data_start > blob.len() {
        return Err(wrong_length(data_start));
    }

    let header = read(LENGTH_BYTES, header_bytes as usize)?;
    // Parsing checks that the tensors tile the data without gaps or overlaps and that shapes match byte counts.
    let parsed = distinct::check(&header).and_then(|()| serde_json::from_slice(&header));
    let header: Metadata = parsed.map_err(|source| CheckpointError::Header {
        location: location.to_string(),
        source,
    })?;
    let expected = data_start.saturating_add(header.data_len() as u64);
    if expected != blob.len() {
        return Err(wrong_length(expected));
    }

    let tensors = header.tensors().into_iter().map(|(key, info)| {
        let (start, end) = info.data_offsets;
        let origin = Origin::Blob {
            blob: Arc::clone(blob),
            start: data_start + start as u64,
            len: end - start,
        };
        (
            key,
            StoredTensor {
                dtype: info.dtype.into(),
                shape: info.shape.clone(),
                origin,
            },
        )
    });
    let metadata = header
        .metadata()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()));
    Ok((tensors.collect(), metadata.collect()))
}
