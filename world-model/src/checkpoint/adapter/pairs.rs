//! The factors of every layer, by their names.

use std::collections::{BTreeMap, BTreeSet};

use super::error::AdapterError;
use crate::checkpoint::key_map::KeyMap;
use crate::checkpoint::source::CheckpointSource;

/// What peft and diffusers put before the names of the network.
const PREFIXES: [&str; 3] = ["base_model.model.", "transformer.", "net."];

/// Endings of the two factors; the name of the adapter, where there is one, is `default`.
const DOWN: [&str; 2] = [".lora_A.weight", ".lora_A.default.weight"];
const UP: [&str; 2] = [".lora_B.weight", ".lora_B.default.weight"];

/// Ending of a number that says how strong the adapter of a layer is: that number over the rank.
const ALPHA: &str = ".alpha";

/// How far a scale may be from alpha over rank, as part of it: numbers are stored in half precision.
const TOLERANCE: f64 = 1e-3;

/// The keys of a layer's two factors, and of its alpha.
pub(super) struct Pair {
    pub(super) down: String,
    pub(super) up: String,
    alpha: Option<String>,
}

impl Pair {
    /// Refuses a scale that is not the one that the file gives.
    pub(super) fn check_alpha(&self, source: &CheckpointSource, scale: f64) -> Result<(), AdapterError> {
        let Some(key) = &self.alpha else { return Ok(()) };
        let rank = source.shape(&self.down).and_then(|shape| shape.first()).copied();
        let is_number = source.shape(key).is_some_and(|shape| shape.iter().all(|len| *len == 1));
        let (Some(rank), true) = (rank, is_number) else {
            return Err(factor(source, key, "is not one number beside two matrices"));
        };
        let values = source.read(key)?;
        let alpha = values.first().copied().map_or(f64::NAN, f64::from);
        let expected = alpha / rank as f64;
        if (expected - scale).abs() <= TOLERANCE * expected.abs() {
            return Ok(());
        }
        Err(AdapterError::Alpha {
            location: source.location().to_string(),
            key: key.clone(),
            alpha,
            rank,
            scale,
        })
    }
}

/// Finds the factors of every layer, under the layer's path in the module; each tensor has to be part of a pair.
pub(super) fn find_pairs(source: &CheckpointSource, key_map: &KeyMap) -> Result<BTreeMap<String, Pair>, AdapterError> {
    let downs = by_layer(source, DOWN)?;
    let mut ups = by_layer(source, UP)?;
    if downs.is_empty() && ups.is_empty() {
        return Err(AdapterError::NotAnAdapter {
            location: source.location().to_string(),
            tensors: source.keys().count(),
        });
    }
    let mut leftover: BTreeSet<&str> = source.keys().collect();
    let mut pairs: BTreeMap<String, Pair> = BTreeMap::new();
    for (layer, down) in downs {
        let up = ups
            .remove(layer)
            .ok_or_else(|| factor(source, down, "has no `lora_B` beside it"))?;
        let parameter =
            parameter(layer, key_map).ok_or_else(|| factor(source, down, "belongs to no layer of the network"))?;
        let alpha = Some(format!("{layer}{ALPHA}")).filter(|key| source.shape(key).is_some());
        for key in [Some(down), Some(up), alpha.as_deref()].into_iter().flatten() {
            leftover.remove(key);
        }
        let pair = Pair {
            down: down.to_string(),
            up: up.to_string(),
            alpha,
        };
        if let Some(first) = pairs.insert(parameter, pair) {
            return Err(twice(source, &first.down, down));
        }
    }
    if let Some((_, up)) = ups.pop_first() {
        return Err(factor(source, up, "has no `lora_A` beside it"));
    }
    match leftover.pop_first() {
        Some(key) => Err(AdapterError::Leftover {
            location: source.location().to_string(),
            key: key.to_string(),
        }),
        None => Ok(pairs),
    }
}

/// Sorts the keys of one factor by the layer that they name.
fn by_layer<'a>(source: &'a CheckpointSource, endings: [&str; 2]) -> Result<BTreeMap<&'a str, &'a str>, AdapterError> {
    let mut keys = BTreeMap::new();
    for key in source.keys() {
        let layer = endings.into_iter().find_map(|ending| key.strip_suffix(ending));
        if let Some(layer) = layer
            && let Some(first) = keys.insert(layer, key)
        {
            return Err(twice(source, first, key));
        }
    }
    Ok(keys)
}

/// Returns the parameter of the module that a layer's factors are for.
fn parameter(layer: &str, key_map: &KeyMap) -> Option<String> {
    let mut name = layer;
    for prefix in PREFIXES {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    key_map.to_module(&format!("{name}.weight"))
}

fn twice(source: &CheckpointSource, first: &str, second: &str) -> AdapterError {
    AdapterError::Twice {
        location: source.location().to_string(),
        first: first.to_string(),
        second: second.to_string(),
    }
}

pub(super) fn factor(source: &CheckpointSource, key: &str, problem: &'static str) -> AdapterError {
    AdapterError::Factor {
        location: source.location().to_string(),
        key: key.to_string(),
        problem,
    }
}
