//! One golden case: its description, config and tensors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::array::{Array, ArrayError};
use crate::checks::Tolerance;

/// A golden case, read from its folder.
#[derive(Debug)]
pub struct Case {
    /// Family and name, such as `dit/text2world`.
    pub id: String,
    /// The case's folder.
    pub folder: PathBuf,
    /// `case.json`.
    pub description: Value,
    /// `config.json`.
    pub config: Value,
    arrays: BTreeMap<String, Array>,
}

/// Why a golden case could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{path} is not JSON: {source}")]
    Json {
        /// The file.
        path: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The tensors could not be read.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// A field of the description or config is missing or of another type.
    #[error("case {id} has no usable field `{field}`")]
    Field {
        /// The case.
        id: String,
        /// The field.
        field: String,
    },
    /// A tensor is missing.
    #[error("case {id} has no tensor `{name}`")]
    Tensor {
        /// The case.
        id: String,
        /// The tensor.
        name: String,
    },
}

impl Case {
    /// Reads a case from its folder; `id` is its family and name.
    ///
    /// # Errors
    /// [`CaseError::Read`], [`CaseError::Json`] and [`CaseError::Array`].
    pub fn read(id: &str, folder: &Path) -> Result<Self, CaseError> {
        Ok(Self {
            id: id.to_string(),
            folder: folder.to_path_buf(),
            description: read_json(&folder.join("case.json"))?,
            config: read_json(&folder.join("config.json"))?,
            arrays: Array::read_all(&folder.join("io.safetensors"))?,
        })
    }

    /// Returns a tensor by its full name, such as `in.x`.
    ///
    /// # Errors
    /// [`CaseError::Tensor`] if there is none.
    pub fn array(&self, name: &str) -> Result<&Array, CaseError> {
        self.arrays.get(name).ok_or_else(|| CaseError::Tensor {
            id: self.id.clone(),
            name: name.to_string(),
        })
    }

    /// Returns whether the case has a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// Returns the rest of the name of every tensor that starts with `start`, sorted.
    pub fn names_after<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        self.arrays.keys().filter_map(move |name| name.strip_prefix(start))
    }

    /// Returns a field that must be there, as whatever type is wanted.
    ///
    /// # Errors
    /// [`CaseError::Field`] if it is missing or of another type.
    pub fn field<T: DeserializeOwned>(&self, json: &Value, name: &str) -> Result<T, CaseError> {
        let value = json
            .get(name)
            .cloned()
            .and_then(|value| serde_json::from_value(value).ok());
        value.ok_or_else(|| CaseError::Field {
            id: self.id.clone(),
            field: name.to_string(),
        })
    }

    /// Returns the file that holds the case's weights: beside it, or where `case.json` points.
    ///
    /// `role` names the model where a case has several.
    ///
    /// # Errors
    /// [`CaseError::Field`] if there are no weights.
    pub fn weights(&self, role: &str) -> Result<PathBuf, CaseError> {
        let beside = ["weights.safetensors", "weights.pt"].map(|name| self.folder.join(name));
        if let Some(path) = beside.into_iter().find(|path| path.is_file()) {
            return Ok(path);
        }
        let weights = self.description.get("weights");
        let elsewhere = weights.and_then(|weights| weights.as_str().or_else(|| weights.get(role)?.as_str()));
        let missing = || CaseError::Field {
            id: self.id.clone(),
            field: format!("weights.{role}"),
        };
        elsewhere.map(|path| self.folder.join(path)).ok_or_else(missing)
    }

    /// Returns the tolerance of a tensor: its own, or the case's.
    ///
    /// # Errors
    /// [`CaseError::Field`] if neither is stated.
    pub fn tolerance(&self, name: &str) -> Result<Tolerance, CaseError> {
        let own = self
            .description
            .get("tolerance_by_tensor")
            .and_then(|all| all.get(name));
        let stated = own.or_else(|| self.description.get("tolerance"));
        let bound = |field: &str| stated?.get(field)?.as_f64();
        // The reference families allow outputs of blocks ten times the tolerance of the network's output.
        let factor = if own.is_none() && name.starts_with("dbg.block.") {
            10.0
        } else {
            1.0
        };
        match (bound("max_abs"), bound("mean_abs")) {
            (Some(max_abs), Some(mean_abs)) => Ok(Tolerance {
                max_abs: factor * max_abs,
                mean_abs: factor * mean_abs,
            }),
            _ => Err(CaseError::Field {
                id: self.id.clone(),
                field: "tolerance".to_string(),
            }),
        }
    }
}

fn read_json(path: &Path) -> Result<Value, CaseError> {
    let shown = || path.display().to_string();
    let text = std::fs::read(path).map_err(|source| CaseError::Read { path: shown(), source })?;
    serde_json::from_slice(&text).map_err(|source| CaseError::Json { path: shown(), source })
}
