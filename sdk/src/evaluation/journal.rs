//! `episodes.jsonl`: one line per finished episode, and what a resumed run reads first.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use worldloop_envs::ActionChunk;

use super::error::EvaluationError;
use crate::rollout::{EpisodeRequest, PlayedEpisode};

/// Name of the journal in an output folder.
pub const JOURNAL_FILE: &str = "episodes.jsonl";

/// One finished episode; with its seed and actions it can be played again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpisodeRecord {
    /// World it was played in: `physics` or `learned`.
    pub world: String,
    /// Fingerprint of the world model, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Task name.
    pub task: String,
    /// Name of the policy.
    pub policy: String,
    /// Seed of the env and of the policy.
    pub seed: u64,
    /// Whether the task was solved.
    pub success: bool,
    /// Number of steps.
    pub steps: usize,
    /// Sum of the rewards.
    #[serde(rename = "return")]
    pub episode_return: f64,
    /// Largest progress that any state reached, in `[0, 1]`, if the env tells.
    #[serde(default)]
    pub best_progress: Option<f64>,
    /// Wall-clock time, shared with the episodes that ran beside it.
    pub wall_secs: f64,
    /// The task in words.
    pub instruction: String,
    /// The actions in order.
    pub actions: ActionChunk,
}

impl EpisodeRecord {
    /// Summarizes an episode that was played in `world`, with the fingerprint of its model if it has one.
    pub fn new(world: &str, model: Option<&str>, played: &PlayedEpisode) -> Self {
        Self {
            world: world.to_owned(),
            model: model.map(str::to_owned),
            task: played.episode.task.clone(),
            policy: played.request.policy.clone(),
            seed: played.request.seed,
            success: played.success(),
            steps: played.episode.steps.len(),
            episode_return: played.episode.episode_return(),
            best_progress: played.best_progress(),
            wall_secs: played.wall_secs,
            instruction: played.episode.first_observation.instruction.clone(),
            actions: played.actions(),
        }
    }

    /// Returns what was asked for.
    pub fn request(&self) -> EpisodeRequest {
        EpisodeRequest {
            policy: self.policy.clone(),
            seed: self.seed,
        }
    }
}

/// The finished episodes of an output folder, in memory and on disk.
///
/// Each episode is written, whole, as it ends. A line that was torn by a crash or a full disk is dropped by the next run.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    records: Vec<EpisodeRecord>,
}

impl Journal {
    /// Starts a journal in a folder, which is made if needed; what an earlier run left there is overwritten.
    ///
    /// # Errors
    /// [`EvaluationError::Write`].
    pub fn overwrite(folder: &Path) -> Result<Self, EvaluationError> {
        let path = path_in(folder)?;
        let file = File::create(&path).map_err(|source| write_error(&path, source))?;
        Ok(Self {
            path,
            file,
            records: Vec::new(),
        })
    }

    /// Starts a journal in a folder that has none with episodes.
    ///
    /// # Errors
    /// [`EvaluationError::AlreadyStarted`] if it has, [`EvaluationError::Write`] and [`EvaluationError::Read`].
    pub fn create(folder: &Path) -> Result<Self, EvaluationError> {
        let journal = Self::resume(folder)?;
        if journal.records.is_empty() {
            return Ok(journal);
        }
        Err(EvaluationError::AlreadyStarted {
            path: journal.path,
            found: journal.records.len(),
        })
    }

    /// Opens the journal of a folder, or starts one if there is none.
    ///
    /// # Errors
    /// [`EvaluationError::Journal`] for a damaged line that is not the last, [`EvaluationError::Write`] and
    /// [`EvaluationError::Read`].
    pub fn resume(folder: &Path) -> Result<Self, EvaluationError> {
        let path = path_in(folder)?;
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(EvaluationError::Read { path, source }),
        };
        let (records, intact) = parse(&path, &bytes)?;
        let open = || {
            let file = OpenOptions::new().append(true).create(true).open(&path)?;
            if intact < bytes.len() {
                file.set_len(intact as u64)?;
            }
            Ok(file)
        };
        let file = open().map_err(|source| write_error(&path, source))?;
        Ok(Self { path, file, records })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns all finished episodes, in the order in which they ended.
    pub fn records(&self) -> &[EpisodeRecord] {
        &self.records
    }

    /// Adds a finished episode, on disk first.
    ///
    /// # Errors
    /// [`EvaluationError::Write`].
    pub fn append(&mut self, record: EpisodeRecord) -> Result<(), EvaluationError> {
        let write = |file: &mut File| {
            let mut line = serde_json::to_vec(&record)?;
            line.push(b'\n');
            let before = file.metadata()?.len();
            // A torn line must not stay in front of later ones.
            file.write_all(&line).inspect_err(|_| drop(file.set_len(before)))
        };
        write(&mut self.file).map_err(|source| write_error(&self.path, source))?;
        self.records.push(record);
        Ok(())
    }

    /// Returns which episodes of a task are finished in a world.
    pub fn finished(&self, world: &str, task: &str) -> BTreeSet<EpisodeRequest> {
        let here = self
            .records
            .iter()
            .filter(|record| record.world == world && record.task == task);
        here.map(EpisodeRecord::request).collect()
    }

    /// Checks that all episodes in learned worlds were played with this model.
    ///
    /// # Errors
    /// [`EvaluationError::AnotherModel`].
    pub fn check_model(&self, fingerprint: &str) -> Result<(), EvaluationError> {
        let other = self
            .records
            .iter()
            .filter_map(|record| record.model.as_deref())
            .find(|found| *found != fingerprint);
        other.map_or(Ok(()), |found| {
            Err(EvaluationError::AnotherModel {
                path: self.path.clone(),
                expected: fingerprint.to_owned(),
                found: found.to_owned(),
            })
        })
    }
}

fn path_in(folder: &Path) -> Result<PathBuf, EvaluationError> {
    fs::create_dir_all(folder).map_err(|source| write_error(folder, source))?;
    Ok(folder.join(JOURNAL_FILE))
}

fn write_error(path: &Path, source: std::io::Error) -> EvaluationError {
    EvaluationError::Write {
        path: path.to_path_buf(),
        source,
    }
}

/// Reads all whole lines; returns the episodes and the length of the intact part in bytes.
fn parse(path: &Path, bytes: &[u8]) -> Result<(Vec<EpisodeRecord>, usize), EvaluationError> {
    let mut records = Vec::new();
    let mut intact = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    for (index, line) in lines {
        let last = intact + line.len() == bytes.len();
        match serde_json::from_slice(line) {
            // Without its line break a line may be the beginning of a longer one.
            Ok(record) if line.ends_with(b"\n") => records.push(record),
            Ok(_) => break,
            Err(_) if last => break,
            Err(source) => {
                return Err(EvaluationError::Journal {
                    path: path.to_path_buf(),
                    line: index + 1,
                    source,
                });
            }
        }
        intact += line.len();
    }
    Ok((records, intact))
}

#[cfg(test)]
mod tests {
    use worldloop_envs::Action;

    use super::*;

    fn record(seed: u64) -> EpisodeRecord {
        EpisodeRecord {
            world: "physics".into(),
            model: None,
            task: "reach".into(),
            policy: "random".into(),
            seed,
            success: seed.is_multiple_of(2),
            steps: 1,
            episode_return: 0.1,
            best_progress: Some(0.3),
            wall_secs: 0.5,
            instruction: "reach the red ball".into(),
            actions: ActionChunk(vec![Action(vec![0.1, -1.0 / 3.0])]),
        }
    }

    #[test]
    fn a_resumed_journal_has_every_finished_episode() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path()).unwrap();
        journal.append(record(1)).unwrap();
        journal.append(record(2)).unwrap();
        drop(journal);
        let mut journal = Journal::resume(folder.path()).unwrap();
        assert_eq!(journal.records(), [record(1), record(2)]);
        journal.append(record(3)).unwrap();
        assert_eq!(Journal::resume(folder.path()).unwrap().records().len(), 3);
        let seeds: Vec<u64> = journal
            .finished("physics", "reach")
            .iter()
            .map(|request| request.seed)
            .collect();
        assert_eq!(seeds, [1, 2, 3]);
        assert!(journal.finished("learned", "reach").is_empty());
    }

    #[test]
    fn a_torn_last_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path()).unwrap();
        journal.append(record(1)).unwrap();
        let path = journal.path().to_path_buf();
        let whole = fs::read(&path).unwrap();
        for cut in [1, whole.len() / 2, whole.len() - 1] {
            let torn = [whole.as_slice(), &whole[..cut]].concat();
            fs::write(&path, torn).unwrap();
            let mut journal = Journal::resume(folder.path()).unwrap();
            assert_eq!(journal.records(), [record(1)], "cut after {cut} bytes");
            journal.append(record(2)).unwrap();
            assert_eq!(
                Journal::resume(folder.path()).unwrap().records(),
                [record(1), record(2)]
            );
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(JOURNAL_FILE), "{\"world\": 3}\n{}\n").unwrap();
        let error = Journal::resume(folder.path()).unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains(JOURNAL_FILE), "{error}");
    }

    #[test]
    fn episodes_are_never_overwritten_unasked() {
        let folder = tempfile::tempdir().unwrap();
        Journal::create(folder.path()).unwrap().append(record(1)).unwrap();
        assert!(matches!(
            Journal::create(folder.path()),
            Err(EvaluationError::AlreadyStarted { found: 1, .. })
        ));
        assert!(Journal::overwrite(folder.path()).unwrap().records().is_empty());
    }

    #[test]
    fn episodes_of_another_model_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path()).unwrap();
        journal
            .append(EpisodeRecord {
                world: "learned".into(),
                model: Some("aa".into()),
                ..record(1)
            })
            .unwrap();
        assert!(journal.check_model("aa").is_ok());
        let error = journal.check_model("bb").unwrap_err().to_string();
        assert!(error.contains("aa") && error.contains("bb"), "{error}");
    }
}
