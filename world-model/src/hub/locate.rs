//! Files and sharded models by name: from the cache, or fetched where this program can.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Deserialize;

use super::error::HubError;
use super::location::HubLocation;
use super::settings::HubSettings;

/// Ending of the file that names the shards of a model.
const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// How much of a file is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes that are here.
    pub bytes: u64,
    /// Bytes of the file.
    pub total: u64,
}

/// The part of a shard index that names files.
#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

impl HubSettings {
    /// Returns the path of a file: from the cache, or fetched where the feature `hub` is compiled in.
    ///
    /// `progress` is told how much is here; its break ends the transfer, which later goes on where it stopped.
    ///
    /// # Errors
    /// [`HubError`], one variant for each reason.
    pub fn locate(
        &self,
        location: &HubLocation,
        progress: impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<PathBuf, HubError> {
        if let Some(path) = self.cached(location) {
            return Ok(path);
        }
        if self.is_offline {
            return Err(HubError::Offline {
                location: Box::new(location.clone()),
                cache: self.cache.clone(),
            });
        }
        self.fetch(location, progress)
    }

    /// Returns the paths of a file and, where it is the index of a sharded model, of all shards that it names.
    ///
    /// `progress` is told which file is on its way.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub fn locate_all(
        &self,
        location: &HubLocation,
        mut progress: impl FnMut(&HubLocation, Received) -> ControlFlow<()>,
    ) -> Result<Vec<PathBuf>, HubError> {
        let path = self.locate(location, |received| progress(location, received))?;
        let mut paths = vec![path.clone()];
        if location.file().ends_with(INDEX_SUFFIX) {
            for shard in shards(location, &path)? {
                paths.push(self.locate(&shard, |received| progress(&shard, received))?);
            }
        }
        Ok(paths)
    }

    #[cfg(feature = "hub")]
    fn fetch(
        &self,
        location: &HubLocation,
        progress: impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<PathBuf, HubError> {
        super::download::Hub::new(self.clone()).fetch(location, progress)
    }

    #[cfg(not(feature = "hub"))]
    fn fetch(
        &self,
        location: &HubLocation,
        _progress: impl FnMut(Received) -> ControlFlow<()>,
    ) -> Result<PathBuf, HubError> {
        Err(HubError::NotBuiltIn {
            location: Box::new(location.clone()),
            cache: self.cache.clone(),
        })
    }
}

/// Names the shards of an index, which lie beside it.
fn shards(location: &HubLocation, index: &std::path::Path) -> Result<Vec<HubLocation>, HubError> {
    let unusable = |problem: String| HubError::Answer {
        location: Box::new(location.clone()),
        problem,
    };
    let text = std::fs::read(index).map_err(|error| unusable(error.to_string()))?;
    let index: Index = serde_json::from_slice(&text).map_err(|error| unusable(format!("no shard index, {error}")))?;
    let folder = location.file().rsplit_once('/').map_or("", |(folder, _)| folder);
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    names
        .into_iter()
        .map(|name| {
            let file = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            HubLocation::new(location.repository(), location.revision(), &file)
        })
        .collect()
}
