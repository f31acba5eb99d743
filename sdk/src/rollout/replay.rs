//! Recorded actions played again.

use worldloop_envs::vector::{EnvBatch, EpisodeStart};
use worldloop_envs::{ActionChunk, EnvError, Observation, ResetOptions, Step};

/// What came of fixed actions.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// What was seen before the first action.
    pub first_observation: Observation,
    /// One answer per action; fewer where the episode ended early.
    pub steps: Vec<Step>,
}

impl Replayed {
    /// Returns all observations, the first one included.
    pub fn observations(&self) -> impl Iterator<Item = &Observation> {
        std::iter::once(&self.first_observation).chain(self.steps.iter().map(|step| &step.observation))
    }

    fn is_over(&self, actions: &ActionChunk) -> bool {
        self.steps.len() >= actions.len() || self.steps.last().is_some_and(Step::is_last)
    }
}

/// Plays fixed actions from given seeds.
///
/// `chunk_length` actions are handed over at a time; with that of the world model, each costs one model call.
///
/// # Errors
/// Those of the batch; [`EnvError::BatchSize`] if there are more episodes than envs.
pub fn replay(
    batch: &mut dyn EnvBatch,
    episodes: &[(u64, ActionChunk)],
    chunk_length: usize,
) -> Result<Vec<Replayed>, EnvError> {
    let num_envs = batch.num_envs();
    let count = |what, found| EnvError::BatchSize {
        what,
        expected: num_envs,
        found,
    };
    if episodes.len() > num_envs {
        return Err(count("episodes to replay", episodes.len()));
    }
    let start = |seed: u64| EpisodeStart {
        seed: Some(seed),
        options: ResetOptions::default(),
    };
    let starts: Vec<_> = (0..num_envs)
        .map(|index| episodes.get(index).map(|(seed, _)| start(*seed)))
        .collect();
    let firsts = batch.reset(&starts)?.into_iter().flatten();
    let mut replayed: Vec<Replayed> = firsts
        .map(|(first_observation, _)| Replayed {
            first_observation,
            steps: Vec::new(),
        })
        .collect();
    if replayed.len() != episodes.len() {
        return Err(count("first observations", replayed.len()));
    }
    loop {
        let next = |index: usize| match (episodes.get(index), replayed.get(index)) {
            (Some((_, actions)), Some(played)) if !played.is_over(actions) => {
                let rest = actions.0.iter().skip(played.steps.len());
                rest.take(chunk_length.max(1)).cloned().collect()
            }
            _ => ActionChunk::default(),
        };
        let chunks: Vec<ActionChunk> = (0..num_envs).map(next).collect();
        if chunks.iter().all(ActionChunk::is_empty) {
            return Ok(replayed);
        }
        let answers = batch.step_chunk(&chunks)?;
        if answers.iter().all(Vec::is_empty) {
            return Err(count("episodes that advanced", 0));
        }
        for (played, steps) in replayed.iter_mut().zip(answers) {
            played.steps.extend(steps);
        }
    }
}
