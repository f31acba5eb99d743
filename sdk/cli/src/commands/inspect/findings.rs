//! What is found out about a checkpoint without reading a tensor.

use std::collections::BTreeMap;
use std::path::Path;

use worldloop::world_model::catalog::{RecognizeError, Recognized, compare_with_closest, recognize};
use worldloop::world_model::checkpoint::{CheckpointSource, LoadReport, StoredDtype};

/// What was found out.
pub(super) struct Findings {
    /// What the tensors are, or why that is not known.
    pub(super) recognized: Result<Recognized, RecognizeError>,
    /// What became of each key; those that can't be loaded for their type are not among the loaded ones.
    pub(super) report: Option<LoadReport>,
    /// The released model that the keys were compared with, where their own sizes could not be told.
    pub(super) compared_with: Option<&'static str>,
    /// Keys that the network needs, of a type that weights can't have.
    pub(super) unloadable: Vec<(String, StoredDtype)>,
    /// Tensors of each type.
    pub(super) dtypes: BTreeMap<StoredDtype, usize>,
    /// Bytes of all tensors.
    pub(super) bytes: u64,
    /// Where configs are.
    pub(super) configs: Vec<String>,
}

impl Findings {
    /// Looks at names, shapes and types.
    pub(super) fn of(source: &CheckpointSource, path: &Path) -> anyhow::Result<Self> {
        let device = worldloop::device::select("flex")?;
        let recognized = recognize(source);
        let (mut report, mut compared_with) = (None, None);
        match &recognized {
            Ok(recognized) => report = recognized.compare(source, &device)?,
            Err(error) if error.is_damage() => {
                if let Some((model, closest)) = compare_with_closest(source, &device) {
                    (report, compared_with) = (Some(closest), Some(model.name));
                }
            }
            Err(_) => {}
        }
        let unloadable = match (&recognized, &mut report) {
            (_, Some(report)) => take_unloadable(source, &mut report.loaded),
            (Ok(Recognized::TextEmbedding(_)), None) => {
                take_unloadable(source, &mut source.keys().map(str::to_owned).collect())
            }
            _ => Vec::new(),
        };
        let mut dtypes = BTreeMap::new();
        for dtype in source.keys().filter_map(|key| source.dtype(key)) {
            *dtypes.entry(dtype).or_insert(0) += 1;
        }
        Ok(Self {
            recognized,
            report,
            compared_with,
            unloadable,
            dtypes,
            bytes: source.keys().filter_map(|key| source.byte_len(key)).sum(),
            configs: configs(source, path),
        })
    }

    /// Returns whether this is a network that can't be loaded as it is.
    pub(super) fn is_damaged(&self) -> bool {
        let is_incomplete = self.report.as_ref().is_some_and(|report| !report.is_complete());
        let is_impossible = self.recognized.as_ref().is_err_and(RecognizeError::is_damage);
        is_impossible || is_incomplete || !self.unloadable.is_empty()
    }
}

/// Moves those of the keys out of a list that are of a type that weights can't have.
fn take_unloadable(source: &CheckpointSource, keys: &mut Vec<String>) -> Vec<(String, StoredDtype)> {
    let mut taken = Vec::new();
    keys.retain(|key| match source.dtype(key) {
        Some(dtype) if !dtype.is_weight() => {
            taken.push((key.clone(), dtype));
            false
        }
        _ => true,
    });
    taken
}

fn configs(source: &CheckpointSource, path: &Path) -> Vec<String> {
    let mut configs: Vec<String> = source
        .metadata()
        .iter()
        .filter(|(_, text)| text.trim_start().starts_with('{'))
        .map(|(key, _)| format!("`{key}` in the metadata"))
        .collect();
    let beside = if path.is_dir() {
        path.join("config.json")
    } else {
        path.with_file_name("config.json")
    };
    if beside.is_file() {
        configs.push(beside.display().to_string());
    }
    configs
}
