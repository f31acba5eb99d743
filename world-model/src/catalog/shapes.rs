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
    shapes: BTreeMap<String, &'a [usize]>,
}

impl<'a> Shapes<'a> {
    /// Collects the shapes under the names that `key_map` gives them; `network` stands for them in messages.
    pub(super) fn new(source: &'a CheckpointSource, key_map: &KeyMap, network: &'static str) -> Self {
        let shapes = source.keys().filter_map(|key| {
            let shape = source.shape(key)?;
            Some((key_map.to_module(key)?, shape))
        });
        Self {
            location: source.location(),
            network,
            shapes: shapes.collect(),
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
        let numbers: BTreeSet<usize> = self
            .shapes
            .keys()
            .filter_map(|name| name.strip_prefix(start)?.split('.').next()?.parse().ok())
            .collect();
        match (0..numbers.len()).find(|number| !numbers.contains(number)) {
            Some(gap) => Err(self.missing(&format!("{start}{gap}"))),
            None => Ok(numbers.len()),
        }
    }

    pub(super) fn unexpected(&self, tensor: &str, expected: &'static str) -> RecognizeError {
        RecognizeError::Shape {
            location: self.location(),
            network: self.network,
            tensor: tensor.to_string(),
            expected,
            found: self.shapes.get(tensor).map(|shape| shape.to_vec()).unwrap_or_default(),
        }
    }

    fn missing(&self, tensor: &str) -> RecognizeError {
        RecognizeError::Missing {
            location: self.location(),
            network: self.network,
            tensor: tensor.to_string(),
        }
    }
}
