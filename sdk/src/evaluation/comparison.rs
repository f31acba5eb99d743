//! What two worlds say of the same policies.

use serde::Serialize;

use super::correlation::pearson;
use super::journal::EpisodeRecord;
use super::ranking::mean_maximum_rank_violation;
use super::success::SuccessRate;

/// One policy's success, per world it was played in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicySuccess {
    /// Name of the policy.
    pub policy: String,
    /// Success in the learned world, if it was played there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learned: Option<SuccessRate>,
    /// Success in the physics world, if it was played there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physics: Option<SuccessRate>,
    /// Share of the seeds played in both worlds whose outcome agrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<f64>,
}

/// How far the learned world's success rates can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorldComparison {
    /// Pearson's correlation of the success rates; `None` where it is not defined, as with fewer than two policies.
    pub pearson_r: Option<f64>,
    /// Mean maximum rank violation, with physics as the real world; 0 is a perfect ranking.
    pub mmrv: f64,
}

impl PolicySuccess {
    /// Counts the episodes of each policy, in the order of `policies`.
    pub fn table(records: &[EpisodeRecord], policies: &[String]) -> Vec<Self> {
        policies.iter().map(|policy| Self::of(records, policy)).collect()
    }

    fn of(records: &[EpisodeRecord], policy: &str) -> Self {
        let rate = |world| Some(SuccessRate::of(records, world, policy)).filter(|rate| rate.episodes > 0);
        let outcome = |world: &'static str, seed: u64| {
            let own = |record: &&EpisodeRecord| record.world == world && record.policy == policy && record.seed == seed;
            records.iter().find(own).map(|record| record.success)
        };
        let learned = records
            .iter()
            .filter(|record| record.world == "learned" && record.policy == policy);
        let pairs: Vec<bool> = learned
            .filter_map(|record| Some(outcome("physics", record.seed)? == record.success))
            .collect();
        let agreeing = pairs.iter().filter(|agree| **agree).count();
        Self {
            policy: policy.to_owned(),
            learned: rate("learned"),
            physics: rate("physics"),
            agreement: (!pairs.is_empty()).then(|| agreeing as f64 / pairs.len() as f64),
        }
    }
}

impl WorldComparison {
    /// Compares the worlds over the policies played in both; `None` if there are none.
    pub fn of(table: &[PolicySuccess]) -> Option<Self> {
        let both = table
            .iter()
            .filter_map(|row| Some((row.learned.as_ref()?.rate, row.physics.as_ref()?.rate)));
        let (learned, physics): (Vec<f64>, Vec<f64>) = both.unzip();
        (!learned.is_empty()).then(|| Self {
            pearson_r: pearson(&learned, &physics),
            mmrv: mean_maximum_rank_violation(&learned, &physics),
        })
    }
}
