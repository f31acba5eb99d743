//! The folder of one training: config, state, metrics, pictures.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::read_config;
use crate::error::TrainingError;
use crate::resume::write_atomically;

/// The folder of one training.
///
/// It holds `config.json`, `state.safetensors` (what `--resume` needs), `NAME.safetensors` (the averaged weights),
/// `metrics.jsonl`, `loss.png` and `validation-STEP.png`.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder for a new training and writes its config.
    ///
    /// # Errors
    /// [`TrainingError::AlreadyThere`] if it holds a training, [`TrainingError::Write`] if it can't be written.
    pub fn create<C: Serialize>(path: impl AsRef<Path>, config: &C) -> Result<Self, TrainingError> {
        let folder = Self {
            path: path.as_ref().to_path_buf(),
        };
        if folder.state().exists() {
            return Err(TrainingError::AlreadyThere { path: folder.path });
        }
        std::fs::create_dir_all(&folder.path).map_err(|source| TrainingError::Write {
            path: folder.path.clone(),
            source,
        })?;
        folder.write_config(config)?;
        folder.keep_metrics_before(0)?;
        Ok(folder)
    }

    /// Opens the folder of a training that was started before.
    ///
    /// # Errors
    /// [`TrainingError::NothingToResume`] if there is no saved state.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TrainingError> {
        let folder = Self {
            path: path.as_ref().to_path_buf(),
        };
        if folder.state().exists() {
            Ok(folder)
        } else {
            Err(TrainingError::NothingToResume { path: folder.path })
        }
    }

    /// Returns the folder's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the config that the training was started with.
    ///
    /// # Errors
    /// [`TrainingError::Read`] or [`TrainingError::Json`].
    pub fn read_config<C: DeserializeOwned>(&self) -> Result<C, TrainingError> {
        read_config(self.path.join("config.json"))
    }

    /// Replaces the config, for a longer schedule for example.
    ///
    /// # Errors
    /// [`TrainingError::Write`] if it can't be written.
    pub fn write_config<C: Serialize>(&self, config: &C) -> Result<(), TrainingError> {
        let path = self.path.join("config.json");
        let text = serde_json::to_vec_pretty(config).map_err(|source| TrainingError::Json {
            path: path.clone(),
            what: "training config",
            source,
        })?;
        write_atomically(&path, &text)
    }

    /// Returns the path of the averaged weights of a network.
    pub fn weights(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.safetensors"))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path.join("state.safetensors")
    }

    pub(crate) fn validation(&self, step: u64) -> PathBuf {
        self.path.join(format!("validation-{step:06}.png"))
    }

    pub(crate) fn loss_curve(&self) -> PathBuf {
        self.path.join("loss.png")
    }

    fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Adds one line to the metrics.
    pub(crate) fn log(&self, line: &Map<String, Value>) -> Result<(), TrainingError> {
        let path = self.metrics();
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            let text = serde_json::to_string(line)?;
            file.write_all(format!("{text}\n").as_bytes())
        };
        write().map_err(|source| TrainingError::Write {
            path: path.clone(),
            source,
        })
    }

    /// Drops lines of steps that the saved state has not seen, and a line broken off by a kill.
    pub(crate) fn keep_metrics_before(&self, step: u64) -> Result<(), TrainingError> {
        let lines: Vec<String> = self
            .read_metrics()?
            .into_iter()
            .filter(|line| {
                line.get("step")
                    .and_then(Value::as_u64)
                    .is_some_and(|found| found <= step && step > 0)
            })
            .filter_map(|line| serde_json::to_string(&line).ok())
            .map(|line| line + "\n")
            .collect();
        write_atomically(&self.metrics(), lines.concat().as_bytes())
    }

    /// Reads the metrics, earliest first.
    ///
    /// # Errors
    /// [`TrainingError::Read`] if the file is there but can't be read.
    pub fn read_metrics(&self) -> Result<Vec<Map<String, Value>>, TrainingError> {
        let path = self.metrics();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(TrainingError::Read { path, source }),
        };
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }
}
