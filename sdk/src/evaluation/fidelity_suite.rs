//! Recordings to measure fidelity on, and a figure that is kept.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::EvaluationError;
use super::fidelity::{Fidelity, FidelitySettings, measure_fidelity};
use crate::rollout::{EpisodeRequest, LearnedParts, PlayedEpisode, PolicyFactory, RolloutEvent, RolloutRunner, World};

/// Name of the file that keeps the result.
pub const FIDELITY_FILE: &str = "fidelity.json";

/// Which episodes of the simulator the world model has to predict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FidelitySuite {
    /// Tasks; the episodes are spread over them.
    pub tasks: Vec<String>,
    /// Policies that act in the simulator; the episodes are spread over them.
    pub policies: Vec<String>,
    /// Number of episodes in all.
    pub episodes: usize,
    /// Seed of the first episode.
    pub first_seed: u64,
    /// Chunks to predict.
    pub chunks: usize,
}

/// The kept result with what it is the result of.
#[derive(Serialize, Deserialize)]
struct Kept {
    suite: FidelitySuite,
    model: String,
    fidelity: Fidelity,
}

impl FidelitySuite {
    /// Measures, or reads what an earlier run measured in this folder; `None` if the observer breaks.
    ///
    /// The observer is told how many episodes are done, of twice their number: each is played and then predicted.
    ///
    /// # Errors
    /// [`EvaluationError`] of the rollouts, the model, or of writing.
    pub fn run(
        &self,
        parts: &LearnedParts,
        policies: &PolicyFactory<'_>,
        folder: &Path,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Fidelity>, EvaluationError> {
        for (what, found) in [
            ("the list of tasks", self.tasks.len()),
            ("the list of policies", self.policies.len()),
        ] {
            if found == 0 {
                return Err(EvaluationError::Fidelity {
                    what,
                    expected: "at least one".into(),
                    found: "empty".into(),
                });
            }
        }
        let path = folder.join(FIDELITY_FILE);
        let kept = fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept.suite == *self && kept.model == parts.fingerprint) {
            return Ok(Some(kept.fidelity));
        }
        let Some(episodes) = self.play(parts, policies, observer)? else {
            return Ok(None);
        };
        let settings = FidelitySettings {
            chunks: self.chunks,
            ..FidelitySettings::default()
        };
        let measured = measure_fidelity(&*parts.model, &episodes, settings, &mut |done| {
            observer(episodes.len() + done)
        })?;
        let Some(fidelity) = measured else { return Ok(None) };
        let kept = Kept {
            suite: self.clone(),
            model: parts.fingerprint.clone(),
            fidelity: fidelity.clone(),
        };
        let write = || fs::write(&path, serde_json::to_vec_pretty(&kept)?);
        write().map_err(|source| EvaluationError::Write {
            path: path.clone(),
            source,
        })?;
        Ok(Some(fidelity))
    }

    /// Plays the episodes in the simulator.
    fn play(
        &self,
        parts: &LearnedParts,
        policies: &PolicyFactory<'_>,
        observer: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Vec<PlayedEpisode>>, EvaluationError> {
        let world = World::Physics {
            image_size: parts.model.spec().width as u32,
        };
        let mut played = Vec::new();
        for (index, task) in self.tasks.iter().enumerate() {
            let requests: Vec<_> = (index..self.episodes)
                .step_by(self.tasks.len())
                .map(|index| self.request(index))
                .collect();
            if requests.is_empty() {
                continue;
            }
            let mut stopped = false;
            RolloutRunner::new(world.batch(task, requests.len().min(8))?).run(&requests, policies, |event| {
                if let RolloutEvent::Finished(episode) = event {
                    played.push(*episode);
                    stopped |= observer(played.len()).is_break();
                }
                Ok::<_, EvaluationError>(if stopped {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
            if stopped {
                return Ok(None);
            }
        }
        // The order of finishing is the same each time, but the order of seeds is easier to follow.
        played.sort_by_key(|episode| episode.request.seed);
        Ok(Some(played))
    }

    fn request(&self, index: usize) -> EpisodeRequest {
        let policy = self.policies[index / self.tasks.len() % self.policies.len()].clone();
        EpisodeRequest {
            policy,
            seed: self.first_seed.wrapping_add(index as u64),
        }
    }
}
