//! Shapes of a checkpoint under the names of this library.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RecognizeError;
use crate::checkpoint::{CheckpointSource, KeyMap};

/// Largest size that is believed; released networks stay below a quarter of a million.
const MAX_SIZE: usize = 1 << 24;

/// Shapes of the tensors that a network would be loaded from.
#[derive(Debug)]
pub(super) struct Shapes<'a> {
    location: &'a str,
    network: &'static str,
    names: StoredNames<'a>,
    shapes: BTreeMap<String, &'a [usize]>,
}

/// Names as a file has them, with the prefix that a key map drops.
#[derive(Debug)]
pub(super) struct StoredNames<'a> {
    key_map: KeyMap,
    prefix: &'a str,
}

impl<'a> StoredNames<'a> {
    pub(super) fn new(source: &'a CheckpointSource, key_map: KeyMap) -> Self {
        let prefix = |key: &'a str| key.strip_suffix(&key_map.to_stored(&key_map.to_module(key)?));
        let prefix = source.keys().find_map(prefix).unwrap_or_default();
        Self { key_map, prefix }
    }

    /// Returns the key that a tensor of this library would have in the file.
    pub(super) fn of(&self, tensor: &str) -> String {
        self.with_prefix(&self.key_map.to_stored(tensor))
    }

    /// Completes a key that lacks the prefix.
    pub(super) fn with_prefix(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

impl<'a> Shapes<'a> {
    /// Collects the shapes under the names that `key_map` gives them; `network` stands for them in messages.
    pub(super) fn new(source: &'a CheckpointSource, key_map: KeyMap, network: &'static str) -> Self {
        let shapes = source.keys().filter_map(|key| {
            let shape = source.shape(key)?;
            Some((key_map.to_module(key)?, shape))
        });
        Self {
            location: source.location(),
            network,
            shapes: shapes.collect(),
            names: StoredNames::new(source, key_map),
        }
    }

    pub(super) fn location(&self) -> String {
        self.location.to_string()
    }

    pub(super) fn has(&self, tensor: &str) -> bool {
        self.shapes.contains_key(tensor)
    }

    /// Returns the sizes of a tensor that has to be there.
    pub(super) fn sizes<const D: usize>(&self, tensor: &str) -> Result<[usize; D], RecognizeError> {
        let shape = self.shapes.get(tensor).ok_or_else(|| self.missing(tensor))?;
        let is_believable = shape.iter().all(|size| (1..=MAX_SIZE).contains(size));
        match <[usize; D]>::try_from(*shape) {
            Ok(sizes) if is_believable => Ok(sizes),
            _ => Err(self.unexpected(tensor, "another number of positive sizes")),
        }
    }

    /// Returns the sizes of a tensor that all parts of a list have alike, such as `blocks.` and `.mlp.layer1.weight`: one part
    /// without it does not hide what the network is.
    pub(super) fn sizes_in_any<const D: usize>(&self, list: &str, tensor: &str) -> Result<[usize; D], RecognizeError> {
        let is_there = |part: &usize| self.has(&format!("{list}{part}{tensor}"));
        let part = self.numbers(list).into_iter().find(is_there).unwrap_or(0);
        self.sizes(&format!("{list}{part}{tensor}"))
    }

    /// Returns the sizes of a tensor that may be absent.
    pub(super) fn optional<const D: usize>(&self, tensor: &str) -> Result<Option<[usize; D]>, RecognizeError> {
        if self.has(tensor) {
            self.sizes(tensor).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Counts the parts whose names start with `start` and a number, which have to be numbered from 0 without a gap.
    pub(super) fn count(&self, start: &str) -> Result<usize, RecognizeError> {
        let numbers = self.numbers(start);
        match (0..numbers.len()).find(|number| !numbers.contains(number)) {
            Some(gap) => Err(self.missing(&format!("{start}{gap}"))),
            None => Ok(numbers.len()),
        }
    }

    fn numbers(&self, start: &str) -> BTreeSet<usize> {
        let number = |name: &String| name.strip_prefix(start)?.split('.').next()?.parse().ok();
        self.shapes.keys().filter_map(number).collect()
    }

    pub(super) fn unexpected(&self, tensor: &str, expected: &'static str) -> RecognizeError {
        RecognizeError::Shape {
            location: self.location(),
            network: self.network,
            tensor: self.names.of(tensor),
            expected,
            found: self.shapes.get(tensor).map(|shape| shape.to_vec()).unwrap_or_default(),
        }
    }

    fn missing(&self, tensor: &str) -> RecognizeError {
        RecognizeError::Missing {
            location: self.location(),
            network: self.network,
            tensor: self.names.of(tensor),
        }
    }
}
