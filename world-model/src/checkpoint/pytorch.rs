//! PyTorch files: tensors are found by a pickle reader that runs no code, everything else is named and left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;

use pytorch_reader::{PickleValue, PytorchError, PytorchReader};

use super::error::CheckpointError;
use super::source::{Origin, StoredTensor};
use super::{pickle_classes, pytorch_claims};

/// Bytes that the names of all entries may take for each byte of the file. Names repeat those of what they are in.
const NAMES_PER_BYTE: u64 = 32;

/// Bytes that the names of all entries may take in the smallest file.
const FREE_NAMES: u64 = 256 << 10;

/// Tensors, and keys of entries that are not tensors.
pub(super) type Contents = (BTreeMap<String, StoredTensor>, Vec<String>);

/// Parses the pickle of a `.pt` or `.pth` file; tensors stay unread.
pub(super) fn parse(path: &Path, location: &str) -> Result<Contents, CheckpointError> {
    let failed = |source: PytorchError| CheckpointError::Pytorch {
        location: location.to_string(),
        source,
    };

    let claims = pytorch_claims::check(path, location)?;
    // The tensor reader leaves out what is not a tensor without a word; a first pass over the pickle names it.
    let root = PytorchReader::read_pickle_data(path, None).map_err(failed)?;
    // What the reader does not understand is its to tell; but it must not go on where nobody checked.
    if !claims.is_followed {
        let problem = "its pickle can't be followed to its end".to_string();
        return Err(failed(PytorchError::InvalidFormat(problem)));
    }
    let names = entries(&root, claims.len, location)?;
    drop(root);

    let reader = PytorchReader::new(path).map_err(failed)?;
    let found = reader.into_tensors();
    for (key, tensor) in found.iter().collect::<BTreeMap<_, _>>() {
        pytorch_claims::check_tensor(key, tensor, claims.len, location)?;
    }
    let tensors: BTreeMap<String, StoredTensor> = found
        .into_iter()
        .map(|(key, tensor)| {
            let shape = tensor.shape().to_vec();
            let dtype = tensor.dtype().into();
            let origin = Origin::Pytorch(tensor);
            (key, StoredTensor { dtype, shape, origin })
        })
        .collect();
    let others = names.into_iter().filter(|key| !tensors.contains_key(key)).collect();
    Ok((tensors, others))
}

/// Names every entry, and refuses those that are no data or have the name of another.
fn entries(root: &PickleValue, file_len: u64, location: &str) -> Result<BTreeSet<String>, CheckpointError> {
    let allowed = FREE_NAMES + NAMES_PER_BYTE * file_len;
    let mut claimed: u64 = 0;
    visit(root, &mut String::new(), &mut |key, _| {
        claimed = claimed.saturating_add(key.len() as u64);
        if claimed > allowed {
            return Err(CheckpointError::Oversized {
                location: location.to_string(),
                what: "the names of its entries".to_string(),
                claimed,
                available: allowed,
            });
        }
        Ok(())
    })?;

    let mut names = BTreeSet::new();
    visit(root, &mut String::new(), &mut |key, value| {
        if let PickleValue::Unsupported(class) = value
            && !is_harmless(class)
        {
            return Err(CheckpointError::ForbiddenObject {
                location: location.to_string(),
                place: format!("at `{key}`"),
                class: class.clone(),
            });
        }
        if !names.insert(key.to_string()) {
            return Err(CheckpointError::RepeatedKey {
                location: location.to_string(),
                key: key.to_string(),
            });
        }
        Ok(())
    })?;
    Ok(names)
}

fn is_harmless(class: &str) -> bool {
    // The reader calls an int too wide for it `int`; it has no module.
    class == "int"
        || class
            .rsplit_once('.')
            .is_some_and(|(module, name)| pickle_classes::is_expected(module, name))
}

/// Calls `leaf` for every value that is not a container, with the name that the tensor reader gives it: that of what it is
/// in, which `prefix` is, and its own.
fn visit(
    value: &PickleValue,
    prefix: &mut String,
    leaf: &mut impl FnMut(&str, &PickleValue) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    match value {
        PickleValue::Dict(entries) => {
            // In order, so that of several problems the same one is told each time.
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            visit_all(sorted.into_iter(), prefix, leaf)
        }
        PickleValue::List(entries) => visit_all(entries.iter().enumerate(), prefix, leaf),
        PickleValue::None
        | PickleValue::Bool(_)
        | PickleValue::Int(_)
        | PickleValue::Float(_)
        | PickleValue::String(_)
        | PickleValue::Bytes(_)
        | PickleValue::Unsupported(_) => leaf(prefix, value),
    }
}

fn visit_all<'a>(
    entries: impl Iterator<Item = (impl Display, &'a PickleValue)>,
    prefix: &mut String,
    leaf: &mut impl FnMut(&str, &PickleValue) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
    let len = prefix.len();
    for (name, entry) in entries {
        let is_container = matches!(entry, PickleValue::Dict(_) | PickleValue::List(_));
        let point = if is_container { "." } else { "" };
        prefix.push_str(&format!("{name}{point}"));
        visit(entry, prefix, leaf)?;
        prefix.truncate(len);
    }
    Ok(())
}
