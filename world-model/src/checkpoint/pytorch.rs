//! PyTorch files: tensors are found by a pickle reader that runs no code, everything else is named and left out.

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::{PickleValue, PytorchError, PytorchReader};

use super::error::CheckpointError;
use super::pytorch_claims;
use super::source::{Origin, StoredTensor};

/// Packages whose objects may sit beside the weights; their values are never interpreted.
const HARMLESS_PACKAGES: [&str; 5] = ["torch", "numpy", "collections", "_io", "io"];

/// Tensors, and keys of entries that are not tensors.
pub(super) type Contents = (BTreeMap<String, StoredTensor>, Vec<String>);

/// Parses the pickle of a `.pt` or `.pth` file; tensors stay unread.
pub(super) fn parse(path: &Path, location: &str) -> Result<Contents, CheckpointError> {
    let failed = |source: PytorchError| CheckpointError::Pytorch {
        location: location.to_string(),
        source,
    };

    let file_len = pytorch_claims::check(path, location)?;
    // The tensor reader leaves out what is not a tensor without a word; a first pass over the pickle names it.
    let root = PytorchReader::read_pickle_data(path, None).map_err(failed)?;
    let mut entries = Vec::new();
    visit(&root, "", &mut |key, value| {
        entries.push((key.to_string(), class_of(value)))
    });
    let forbidden = |(_, class): &&(String, Option<String>)| class.as_ref().is_some_and(|class| !is_harmless(class));
    if let Some((key, Some(class))) = entries.iter().find(forbidden) {
        return Err(CheckpointError::ForbiddenObject {
            location: location.to_string(),
            key: key.clone(),
            class: class.clone(),
        });
    }

    let reader = PytorchReader::new(path).map_err(failed)?;
    let found = reader.into_tensors();
    for (key, tensor) in found.iter().collect::<BTreeMap<_, _>>() {
        pytorch_claims::check_tensor(key, tensor, file_len, location)?;
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
    let mut others: Vec<String> = entries.into_iter().map(|(key, _)| key).collect();
    others.retain(|key| !tensors.contains_key(key));
    others.sort();
    Ok((tensors, others))
}

/// Returns the Python type of a value that is more than plain data.
fn class_of(value: &PickleValue) -> Option<String> {
    match value {
        PickleValue::Unsupported(class) => Some(class.clone()),
        PickleValue::None
        | PickleValue::Bool(_)
        | PickleValue::Int(_)
        | PickleValue::Float(_)
        | PickleValue::String(_)
        | PickleValue::List(_)
        | PickleValue::Dict(_)
        | PickleValue::Bytes(_) => None,
    }
}

fn is_harmless(class: &str) -> bool {
    // The reader calls an int too wide for it `int`; it has no package.
    class == "int"
        || class
            .split_once('.')
            .is_some_and(|(package, _)| HARMLESS_PACKAGES.contains(&package))
}

/// Calls `leaf` for every value that is not a container, with its dotted path.
fn visit(value: &PickleValue, path: &str, leaf: &mut impl FnMut(&str, &PickleValue)) {
    let join = |name: &str| {
        if path.is_empty() {
            name.to_string()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        PickleValue::Dict(entries) => {
            let sorted: BTreeMap<_, _> = entries.iter().collect();
            sorted
                .into_iter()
                .for_each(|(name, entry)| visit(entry, &join(name), leaf));
        }
        PickleValue::List(entries) => {
            let numbered = entries.iter().enumerate();
            numbered.for_each(|(index, entry)| visit(entry, &join(&index.to_string()), leaf));
        }
        PickleValue::None
        | PickleValue::Bool(_)
        | PickleValue::Int(_)
        | PickleValue::Float(_)
        | PickleValue::String(_)
        | PickleValue::Bytes(_)
        | PickleValue::Unsupported(_) => leaf(path, value),
    }
}
