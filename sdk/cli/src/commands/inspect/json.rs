//! Findings for programs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use worldloop::world_model::catalog::Recognized;
use worldloop::world_model::checkpoint::{
    CheckpointError, CheckpointSource, LoadReport, StoredDtype, TensorStatistics,
};

use super::{Findings, Statistics, description};

/// Puts everything that was found into one object.
pub(super) fn findings(
    source: &CheckpointSource,
    found: &Findings,
    with_tensors: bool,
    statistics: Option<&Statistics>,
) -> anyhow::Result<Value> {
    let dtypes: BTreeMap<String, usize> = found
        .dtypes
        .iter()
        .map(|(dtype, count)| (dtype.to_string(), *count))
        .collect();
    let (network, config, released) = match &found.recognized {
        Ok(recognized) => (
            json!(description::network(recognized)),
            config_of(recognized)?,
            released_with_sizes_of(recognized),
        ),
        Err(_) => (Value::Null, Value::Null, Value::Null),
    };
    let keys = found.report.as_ref().map(|report| keys_json(report, &found.unloadable));
    let statistics = statistics.map(|statistics| {
        let entries = statistics
            .iter()
            .map(|(key, figures)| (key.clone(), figures_json(figures)));
        entries.collect::<serde_json::Map<_, _>>()
    });
    let shapes = with_tensors.then(|| {
        let entry = |key: &str| {
            let dtype = source.dtype(key).map(|dtype| dtype.to_string());
            (key.to_owned(), json!({ "dtype": dtype, "shape": source.shape(key) }))
        };
        source.keys().map(entry).collect::<serde_json::Map<_, _>>()
    });
    Ok(json!({
        "path": source.location(),
        "format": source.format().name(),
        "tensors": source.keys().count(),
        "other_entries": source.other_keys(),
        "dtypes": dtypes,
        "bytes": found.bytes,
        "configs_found": found.configs,
        "network": network,
        "unknown": found.recognized.as_ref().err().map(ToString::to_string),
        "damaged": found.is_damaged(),
        "config": config,
        "released": released,
        "compared_with": found.compared_with,
        "keys": keys,
        "shapes": shapes,
        "statistics": statistics,
    }))
}

/// Says why a file can't be read.
pub(super) fn unreadable(path: &Path, error: &CheckpointError) -> Value {
    json!({ "path": path.display().to_string(), "damaged": true, "error": error.to_string() })
}

fn keys_json(report: &LoadReport, unloadable: &[(String, StoredDtype)]) -> Value {
    let mismatched = report.mismatched.iter();
    let mismatched: Vec<Value> = mismatched
        .map(|entry| json!({ "key": entry.key, "expected": entry.expected, "found": entry.found }))
        .collect();
    let unloadable: Vec<Value> = unloadable
        .iter()
        .map(|(key, dtype)| json!({ "key": key, "dtype": dtype.to_string() }))
        .collect();
    json!({
        "loaded": report.loaded.len(),
        "missing": report.missing,
        "unused": report.unused,
        "ignored": report.ignored,
        "mismatched": mismatched,
        "unloadable": unloadable,
    })
}

/// Figures that are not finite become `null`.
fn figures_json(figures: &TensorStatistics) -> Value {
    let TensorStatistics {
        count,
        nan,
        mean,
        std,
        min,
        max,
    } = figures;
    json!({ "count": count, "nan": nan, "mean": mean, "std": std, "min": min, "max": max })
}

fn config_of(recognized: &Recognized) -> anyhow::Result<Value> {
    Ok(match recognized {
        Recognized::Transformer(transformer) => serde_json::to_value(&transformer.config)?,
        Recognized::Vae(config) => serde_json::to_value(config)?,
        Recognized::TextEncoder(config) => serde_json::to_value(config)?,
        Recognized::World(config) => serde_json::to_value(config)?,
        Recognized::Judge(config) => serde_json::to_value(config)?,
        _ => Value::Null,
    })
}

fn released_with_sizes_of(recognized: &Recognized) -> Value {
    match recognized {
        Recognized::Transformer(transformer) => {
            let names: Vec<&str> = transformer.released.iter().map(|model| model.name).collect();
            json!(names)
        }
        _ => json!([]),
    }
}
