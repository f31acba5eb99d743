//! Policies × seeds in a world, with a journal that knows what is finished.

use std::ops::ControlFlow;

use super::error::EvaluationError;
use super::journal::{EpisodeRecord, Journal};
use crate::rollout::{EpisodeRequest, PolicyFactory, RolloutEvent, RolloutRunner, World};

/// What to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// Task name.
    pub task: String,
    /// Names of the policies.
    pub policies: Vec<String>,
    /// Episodes per policy and world.
    pub episodes: usize,
    /// Seed of the first episode; the others follow it one by one.
    pub first_seed: u64,
    /// Most episodes that are under way at once.
    pub batch_size: usize,
}

/// What an evaluation tells while it runs.
#[derive(Debug)]
pub enum SuiteEvent<'a> {
    /// All episodes under way advanced by this many steps in total.
    Advanced {
        /// Steps played.
        steps: usize,
    },
    /// An episode ended and is in the journal.
    Finished(&'a EpisodeRecord),
}

impl Suite {
    /// Lists all episodes.
    pub fn requests(&self) -> Vec<EpisodeRequest> {
        EpisodeRequest::grid(&self.policies, self.first_seed, self.episodes)
    }

    /// Lists the episodes that the journal does not have for this world.
    pub fn open_requests(&self, world: &World, journal: &Journal) -> Vec<EpisodeRequest> {
        let finished = journal.finished(world.name(), &self.task);
        self.requests()
            .into_iter()
            .filter(|request| !finished.contains(request))
            .collect()
    }

    /// Returns the episodes of this suite among those of a journal, in the order of [`Suite::requests`].
    pub fn records(&self, journal: &Journal) -> Vec<EpisodeRecord> {
        let own = |world: &str, request: &EpisodeRequest| {
            let same = |record: &&EpisodeRecord| {
                record.world == world && record.task == self.task && record.request() == *request
            };
            journal.records().iter().find(same).cloned()
        };
        let requests = self.requests();
        ["learned", "physics"]
            .iter()
            .flat_map(|world| requests.iter().filter_map(move |each| own(world, each)))
            .collect()
    }

    /// Plays what is still open in a world and writes each episode to the journal as it ends.
    ///
    /// The observer may break; then the rest stays open.
    ///
    /// # Errors
    /// [`EvaluationError`]; episodes that had ended are in the journal.
    pub fn run(
        &self,
        world: &World,
        policies: &PolicyFactory<'_>,
        journal: &mut Journal,
        observer: &mut dyn FnMut(SuiteEvent<'_>) -> ControlFlow<()>,
    ) -> Result<(), EvaluationError> {
        if let Some(fingerprint) = world.fingerprint() {
            journal.check_model(fingerprint)?;
        }
        let open = self.open_requests(world, journal);
        if open.is_empty() {
            return Ok(());
        }
        let size = self.batch_size.clamp(1, open.len());
        let mut runner = RolloutRunner::new(world.batch(&self.task, size)?);
        runner.run(&open, policies, |event| {
            Ok::<_, EvaluationError>(match event {
                RolloutEvent::Advanced { steps } => observer(SuiteEvent::Advanced { steps }),
                RolloutEvent::Finished(played) => {
                    let record = EpisodeRecord::new(world.name(), world.fingerprint(), &played);
                    journal.append(record.clone())?;
                    observer(SuiteEvent::Finished(&record))
                }
            })
        })
    }
}
