//! Objects of request files key by key, where views have keys of their own.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::MultiviewError;
use crate::generation::error::GenerationError;
use crate::generation::request_file::{RequestObject, parse_error};

/// Keys of the Transfer models' requests: control videos, and videos in chunks.
const TRANSFER_KEYS: [&str; 8] = [
    "control_path",
    "control_weight",
    "hdmap_bbox",
    "enable_autoregressive",
    "num_chunks",
    "chunk_size",
    "chunk_overlap",
    "num_conditional_frames_per_view",
];

/// Keys that a sample of several views shares with one of a single camera.
pub(super) const SHARED_KEYS: [&str; 9] = [
    "name",
    "prompt",
    "prompt_path",
    "negative_prompt",
    "seed",
    "guidance",
    "resolution",
    "num_output_frames",
    "num_steps",
];

/// An object of a request file whose keys are taken one by one.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    pub(super) path: &'a Path,
    pub(super) place: String,
    object: Map<String, Value>,
}

impl<'a> Keys<'a> {
    /// Takes an object that may have the shared keys and `own` ones.
    pub(super) fn new(path: &'a Path, object: RequestObject, own: &[&'static str]) -> Result<Self, GenerationError> {
        let RequestObject { place, value } = object;
        let keys = Self {
            path,
            object: serde_json::from_value(value).map_err(|source| parse_error(path, &place, source))?,
            place,
        };
        keys.check([SHARED_KEYS.as_slice(), own].concat())?;
        Ok(keys)
    }

    /// Refuses keys that are not known, those of Transfer models with a sentence of their own.
    fn check(&self, known: Vec<&'static str>) -> Result<(), MultiviewError> {
        let Some(key) = self.object.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        let (path, place, key) = (self.path.to_owned(), self.place.clone(), key.clone());
        if TRANSFER_KEYS.contains(&key.as_str()) {
            return Err(MultiviewError::TransferKey { path, place, key });
        }
        Err(MultiviewError::UnknownKey {
            path,
            place,
            key,
            known,
        })
    }

    /// Returns the value of a key, which is not taken.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key)
    }

    /// Takes the value of a key.
    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, GenerationError> {
        let Some(value) = self.object.remove(key) else {
            return Ok(None);
        };
        let place = format!("{}, `{key}`", self.place);
        let parsed = serde_json::from_value(value).map_err(|source| parse_error(self.path, &place, source));
        parsed.map(Some)
    }

    /// Takes the object behind a key, which may have the keys `known`.
    pub(super) fn take_object(&mut self, key: &str, known: &[&'static str]) -> Result<Option<Self>, GenerationError> {
        let Some(object) = self.take(key)? else {
            return Ok(None);
        };
        let inner = Self {
            path: self.path,
            place: format!("{}, `{key}`", self.place),
            object,
        };
        inner.check(known.to_vec())?;
        Ok(Some(inner))
    }

    /// Takes what is left.
    pub(super) fn rest<T: DeserializeOwned>(self) -> Result<T, GenerationError> {
        let place = self.place;
        serde_json::from_value(self.object.into()).map_err(|source| parse_error(self.path, &place, source))
    }
}
