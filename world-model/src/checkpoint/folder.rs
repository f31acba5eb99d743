//! Folders in the diffusers layout: one safetensors file, or shards under an index.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::distinct;
use super::error::CheckpointError;
use super::source::{CheckpointFormat, CheckpointSource};

/// Ending of the file that says which tensor is in which shard.
const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// File that describes a distributed checkpoint of PyTorch; its tensors are in files that end in `.distcp`.
const DISTRIBUTED_METADATA: &str = ".metadata";

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens the one model in a folder.
pub(super) fn open(path: &Path) -> Result<CheckpointSource, CheckpointError> {
    let names = file_names(path)?;
    // Training saves the network into a folder `model` of its own.
    let is_distributed = |folder: &Path| folder.join(DISTRIBUTED_METADATA).is_file();
    let has_part = names.iter().any(|name| is_distributed_part(Path::new(name)));
    if has_part || is_distributed(&path.join("model")) {
        return Err(CheckpointError::Distributed {
            path: path.to_path_buf(),
        });
    }
    let ending = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).collect::<Vec<_>>();
    if let [index] = ending(INDEX_SUFFIX)[..] {
        return open_shards(path, &path.join(index));
    }
    for suffix in [".safetensors", ".pt", ".pth"] {
        match ending(suffix)[..] {
            [] => {}
            [only] => return CheckpointSource::open(path.join(only)),
            _ => break,
        }
    }
    Err(CheckpointError::AmbiguousFolder {
        path: path.to_path_buf(),
        found: names,
    })
}

/// Returns whether a file is one of those that make up a distributed checkpoint of PyTorch.
pub(crate) fn is_distributed_part(path: &Path) -> bool {
    let is_metadata = path.file_name().is_some_and(|name| name == DISTRIBUTED_METADATA);
    is_metadata || path.extension().is_some_and(|extension| extension == "distcp")
}

fn file_names(path: &Path) -> Result<Vec<String>, CheckpointError> {
    let read_error = |source| CheckpointError::Read {
        location: path.display().to_string(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read_error)? {
        names.push(entry.map_err(read_error)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn open_shards(folder: &Path, index_path: &Path) -> Result<CheckpointSource, CheckpointError> {
    let text = std::fs::read(index_path).map_err(|source| CheckpointError::Read {
        location: index_path.display().to_string(),
        source,
    })?;
    let parsed = distinct::check(&text).and_then(|()| serde_json::from_slice(&text));
    let index: Index = parsed.map_err(|source| CheckpointError::ShardIndex {
        path: index_path.to_path_buf(),
        source,
    })?;

    let mut shards: BTreeMap<String, CheckpointSource> = BTreeMap::new();
    let mut tensors = BTreeMap::new();
    for (key, shard) in index.weight_map {
        let problem = |problem| CheckpointError::Shard {
            path: index_path.to_path_buf(),
            key: key.clone(),
            shard: shard.clone(),
            problem,
        };
        if !is_plain_name(&shard) {
            return Err(problem("is not a file name in the same folder"));
        }
        if !shards.contains_key(&shard) {
            let file = folder.join(&shard);
            if !file.is_file() {
                return Err(problem("is not there"));
            }
            shards.insert(shard.clone(), CheckpointSource::open(file)?);
        }
        let source = shards.get_mut(&shard).and_then(|source| source.tensors.remove(&key));
        tensors.insert(key.clone(), source.ok_or_else(|| problem("does not hold it"))?);
    }

    // Tensors that a shard holds without being named in the index are kept, so that loading reports them.
    let mut metadata = BTreeMap::new();
    for (name, shard) in shards {
        for (key, tensor) in shard.tensors {
            if tensors.contains_key(&key) {
                return Err(CheckpointError::Shard {
                    path: index_path.to_path_buf(),
                    key,
                    shard: name,
                    problem: "holds it too, as does the shard that the index names",
                });
            }
            tensors.insert(key, tensor);
        }
        metadata.extend(shard.metadata);
    }
    Ok(CheckpointSource {
        location: folder.display().to_string(),
        format: CheckpointFormat::Sharded,
        tensors,
        others: Vec::new(),
        metadata,
    })
}

/// Returns whether a shard's name stays inside the folder.
fn is_plain_name(name: &str) -> bool {
    let path = PathBuf::from(name);
    let mut components = path.components();
    matches!(
        (components.next(), components.next()),
        (Some(Component::Normal(_)), None)
    )
}
