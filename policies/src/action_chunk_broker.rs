//! Between a policy that returns long chunks and a loop that wants shorter ones.

use std::collections::VecDeque;

use worldloop_envs::{Action, ActionChunk, EnvSpec, Observation};

use crate::error::PolicyError;
use crate::policy::Policy;

/// How chunks are handed on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ChunkExecution {
    /// One action per call; the policy is asked again after `horizon` actions or when its chunk is used up.
    SingleActions {
        /// Actions taken of each chunk, at least 1.
        horizon: usize,
    },
    /// The first `horizon` actions of each chunk at once; the rest is dropped.
    Shortened {
        /// Actions taken of each chunk, at least 1.
        horizon: usize,
    },
    /// One action per call: the weighted mean of what this chunk and the earlier ones say about the present step.
    ///
    /// This is temporal ensembling as in ACT: the weight falls by `exp(-decay)` from each chunk to the next newer one,
    /// so a small decay reacts fast and a large one trusts the oldest chunk.
    Ensembled {
        /// Decay per chunk, at least 0; ACT uses 0.01.
        decay: f32,
    },
}

/// Hands on the chunks of another policy in the pieces that a loop wants.
#[derive(Debug)]
pub struct ActionChunkBroker<P> {
    inner: P,
    execution: ChunkExecution,
    /// Chunks from which actions can still be taken, oldest first; each starts at the present step.
    chunks: VecDeque<VecDeque<Action>>,
    taken: usize,
}

impl<P: Policy> ActionChunkBroker<P> {
    /// Wraps a policy; it keeps its name.
    pub fn new(inner: P, execution: ChunkExecution) -> Self {
        Self {
            inner,
            execution,
            chunks: VecDeque::new(),
            taken: 0,
        }
    }

    /// Asks the policy and refuses an empty answer.
    fn ask(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError> {
        let chunk = self.inner.act(observation)?;
        if chunk.is_empty() {
            let why = "it returned an empty chunk: a policy must return at least one action";
            return Err(PolicyError::NoAction {
                policy: self.inner.name().to_owned(),
                why,
            });
        }
        Ok(chunk)
    }

    fn next_single(&mut self, observation: &Observation, horizon: usize) -> Result<ActionChunk, PolicyError> {
        if self.taken >= horizon.max(1) {
            self.chunks.clear();
        }
        let next = self.chunks.front_mut().and_then(VecDeque::pop_front);
        if let Some(action) = next {
            self.taken += 1;
            return Ok(action.into());
        }
        let mut fresh: VecDeque<Action> = self.ask(observation)?.0.into();
        let action = fresh.pop_front();
        self.chunks = VecDeque::from([fresh]);
        self.taken = 1;
        Ok(action.into_iter().collect())
    }

    fn next_shortened(&mut self, observation: &Observation, horizon: usize) -> Result<ActionChunk, PolicyError> {
        let mut chunk = self.ask(observation)?;
        chunk.0.truncate(horizon.max(1));
        Ok(chunk)
    }

    fn next_ensembled(&mut self, observation: &Observation, decay: f32) -> Result<ActionChunk, PolicyError> {
        let fresh = self.ask(observation)?;
        self.chunks.push_back(fresh.0.into());
        let opinions: Vec<Action> = self.chunks.iter_mut().filter_map(VecDeque::pop_front).collect();
        self.chunks.retain(|chunk| !chunk.is_empty());
        Ok(weighted_mean(&opinions, decay).into())
    }
}

impl<P: Policy> Policy for ActionChunkBroker<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn reset(&mut self, spec: &EnvSpec, seed: u64) -> Result<(), PolicyError> {
        self.chunks.clear();
        self.taken = 0;
        self.inner.reset(spec, seed)
    }

    fn act(&mut self, observation: &Observation) -> Result<ActionChunk, PolicyError> {
        match self.execution {
            ChunkExecution::SingleActions { horizon } => self.next_single(observation, horizon),
            ChunkExecution::Shortened { horizon } => self.next_shortened(observation, horizon),
            ChunkExecution::Ensembled { decay } => self.next_ensembled(observation, decay),
        }
    }
}

/// Averages actions, oldest first, with weights that fall by `exp(-decay)` from each to the next.
fn weighted_mean(actions: &[Action], decay: f32) -> Action {
    let weights: Vec<f32> = (0..actions.len())
        .map(|age| (-decay.max(0.0) * age as f32).exp())
        .collect();
    let total: f32 = weights.iter().sum();
    let length = actions.iter().map(Action::len).min().unwrap_or(0);
    let mean = |value: usize| {
        actions
            .iter()
            .zip(&weights)
            .map(|(action, weight)| action.0[value] * weight)
            .sum::<f32>()
            / total
    };
    Action((0..length).map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Counting, blank_observation, spec};

    fn play(execution: ChunkExecution, calls: usize) -> Vec<Vec<f32>> {
        let mut broker = ActionChunkBroker::new(Counting::new(4), execution);
        broker.reset(&spec("reach"), 0).expect("fits");
        let act = |_| {
            broker
                .act(&blank_observation())
                .expect("a chunk")
                .0
                .iter()
                .map(|action| action.0[0])
                .collect()
        };
        (0..calls).map(act).collect()
    }

    #[test]
    fn single_actions_use_the_chunk_up_to_the_horizon() {
        let whole = play(ChunkExecution::SingleActions { horizon: 9 }, 6);
        assert_eq!(whole, [[1.0], [1.01], [1.02], [1.03], [2.0], [2.01]]);
        let part = play(ChunkExecution::SingleActions { horizon: 2 }, 5);
        assert_eq!(part, [[1.0], [1.01], [2.0], [2.01], [3.0]]);
    }

    #[test]
    fn shortened_chunks_start_with_the_freshest_action() {
        assert_eq!(
            play(ChunkExecution::Shortened { horizon: 3 }, 2),
            [[1.0, 1.01, 1.02], [2.0, 2.01, 2.02]]
        );
        assert_eq!(play(ChunkExecution::Shortened { horizon: 0 }, 2), [[1.0], [2.0]]);
    }

    #[test]
    fn ensembling_averages_what_all_live_chunks_say_about_this_step() {
        let mean = play(ChunkExecution::Ensembled { decay: 0.0 }, 6);
        assert_eq!(mean[0], [1.0]);
        assert!((mean[1][0] - (1.01 + 2.0) / 2.0).abs() < 1e-6);
        // Chunks of four: at the sixth call the first two chunks are used up.
        let expected = (3.03 + 4.02 + 5.01 + 6.0) / 4.0;
        assert!((mean[5][0] - expected).abs() < 1e-5, "{mean:?}");
    }

    #[test]
    fn older_chunks_weigh_more() {
        let decay = 0.5_f32;
        let found = play(ChunkExecution::Ensembled { decay }, 2)[1][0];
        let expected = (1.01 + 2.0 * (-decay).exp()) / (1.0 + (-decay).exp());
        assert!((found - expected).abs() < 1e-6);
    }

    #[test]
    fn reset_forgets_the_old_chunk() {
        let mut broker = ActionChunkBroker::new(Counting::new(4), ChunkExecution::SingleActions { horizon: 4 });
        for _ in 0..2 {
            broker.reset(&spec("reach"), 0).expect("fits");
            assert_eq!(broker.act(&blank_observation()).expect("an action").0[0].0[0], 1.0);
        }
    }

    #[test]
    fn empty_chunk_is_an_error() {
        let mut broker = ActionChunkBroker::new(Counting::new(0), ChunkExecution::Ensembled { decay: 0.01 });
        broker.reset(&spec("reach"), 0).expect("fits");
        let error = broker.act(&blank_observation()).expect_err("no action").to_string();
        assert!(error.contains("empty chunk"), "{error}");
    }
}
