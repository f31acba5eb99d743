//! PyTorch files: tensors are found by a pickle reader that runs no code, everything else is named and left out.

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::{PickleValue, PytorchError, PytorchReader};

use super::error::CheckpointError;
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

    let reader = PytorchReader::new(path).map_err(failed)?;
    let tensors: BTreeMap<String, StoredTensor> = reader
        .into_tensors()
        .into_iter()
        .map(|(key, tensor)| {
            let shape = tensor.shape().to_vec();
            (
                key,
                StoredTensor {
                    dtype: tensor.dtype().into(),
                    shape,
                    origin: Origin::Pytorch(tensor),
                },
            )
        })
        .collect();

    // The reader leaves out what is not a tensor without a word; a second pass over the pickle names it.
    let root = PytorchReader::read_pickle_data(path, None).map_err(failed)?;
    let mut others = Vec::new();
    visit(&root, "", &mut |key, value| {
        if tensors.contains_key(key) {
            return Ok(());
        }
        if let PickleValue::Unsupported(class) = value
            && !is_harmless(class)
        {
            return Err(CheckpointError::ForbiddenObject {
                location: location.to_string(),
                key: key.to_string(),
                class: class.clone(),
            });
        }
        others.push(key.to_string());
        Ok(())
    })?;
    others.sort();
    Ok((tensors, others))
}

fn is_harmless(class: &str) -> bool {
    // The reader calls an int too wide for it `int`; it has no package.
    class == "int"
        || class
            .split_once('.')
            .is_some_and(|(package, _)| HARMLESS_PACKAGES.contains(&package))
}

/// Calls `leaf` for every value that is not a container, with its dotted path.
fn visit(
    value: &PickleValue,
    path: &str,
    leaf: &mut impl FnMut(&str, &PickleValue) -> Result<(), CheckpointError>,
) -> Result<(), CheckpointError> {
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
                .try_for_each(|(name, entry)| visit(entry, &join(name), leaf))
        }
        PickleValue::List(entries) => entries
            .iter()
            .enumerate()
            .try_for_each(|(index, entry)| visit(entry, &join(&index.to_string()), leaf)),
        PickleValue::None
        | PickleValue::Bool(_)
        | PickleValue::Int(_)
        | PickleValue::Float(_)
        | PickleValue::String(_)
        | PickleValue::Bytes(_)
        | PickleValue::Unsupported(_) => leaf(path, value),
    }
}
