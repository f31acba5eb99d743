//! Recorded actions played again.

use worldloop_envs::vector::{EnvBatch, EpisodeStart};
use worldloop_envs::{ActionChunk, EnvError, Observation, ResetOptions};

/// Plays fixed actions from given seeds and returns, per episode, the first observation and one per action.
///
/// An episode ends early where its env says so, so there may be fewer observations than actions. `chunk_length` actions
/// are handed over at a time.
///
/// # Errors
/// Those of the batch; [`EnvError::BatchSize`] if there are more episodes than envs.
pub fn replay(
    batch: &mut dyn EnvBatch,
    episodes: &[(u64, ActionChunk)],
    chunk_length: usize,
) -> Result<Vec<Vec<Observation>>, EnvError> {
    let num_envs = batch.num_envs();
    if episodes.len() > num_envs {
        return Err(EnvError::BatchSize {
            what: "episodes to replay",
            expected: num_envs,
            found: episodes.len(),
        });
    }
    let start = |seed: u64| EpisodeStart {
        seed: Some(seed),
        options: ResetOptions::default(),
    };
    let starts: Vec<_> = (0..num_envs)
        .map(|index| episodes.get(index).map(|(seed, _)| start(*seed)))
        .collect();
    let firsts = batch.reset(&starts)?;
    let mut seen: Vec<Vec<Observation>> = firsts
        .into_iter()
        .take(episodes.len())
        .map(|first| first.into_iter().map(|(seen, _)| seen).collect())
        .collect();
    let mut over: Vec<bool> = episodes.iter().map(|(_, actions)| actions.is_empty()).collect();
    while over.contains(&false) {
        let next = |index: usize| {
            let Some((_, actions)) = episodes.get(index).filter(|_| !over[index]) else {
                return ActionChunk::default();
            };
            let rest = actions.0.iter().skip(seen[index].len().saturating_sub(1));
            rest.take(chunk_length.max(1)).cloned().collect()
        };
        let chunks: Vec<ActionChunk> = (0..num_envs).map(next).collect();
        for (index, steps) in batch.step_chunk(&chunks)?.into_iter().enumerate().take(episodes.len()) {
            let ended = steps.is_empty() || steps.last().is_some_and(worldloop_envs::Step::is_last);
            seen[index].extend(steps.into_iter().map(|step| step.observation));
            over[index] |= ended || seen[index].len() > episodes[index].1.len();
        }
    }
    Ok(seen)
}
