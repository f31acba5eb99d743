//! The figures of an evaluation, for programs.

use serde::Serialize;

use super::super::comparison::{PolicySuccess, WorldComparison};
use super::super::fidelity::Fidelity;
use super::machine::Machine;

/// What `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Task that the policies played.
    pub task: String,
    /// Seed of the first episode.
    pub first_seed: u64,
    /// Episodes per policy and world.
    pub episodes: usize,
    /// Pearson's correlation of learned and physical success rates.
    pub pearson_r: Option<f64>,
    /// Mean maximum rank violation of the learned world.
    pub mmrv: Option<f64>,
    /// PSNR of the first chunk in dB.
    pub psnr_chunk1: Option<f64>,
    /// PSNR of the fourth chunk in dB.
    pub psnr_chunk4: Option<f64>,
    /// Gain over a still frame on the pixels that move, in dB.
    pub gain_moving_db: Option<f64>,
    /// Error with another episode's actions over the error with the own ones.
    pub shuffled_error_ratio: Option<f64>,
    /// Tasks whose recordings fidelity was measured on; none where it was not.
    pub fidelity_tasks: Vec<String>,
    /// Fidelity in full, if it was measured.
    pub fidelity: Option<Fidelity>,
    /// Success per policy and world.
    pub policies: Vec<PolicySuccess>,
    /// Where it was measured.
    pub machine: Machine,
}

impl Summary {
    /// Fills in what an evaluation brought; figures that were not measured are `None`.
    pub fn new(
        (task, first_seed, episodes): (&str, u64, usize),
        policies: Vec<PolicySuccess>,
        fidelity: Option<(Fidelity, Vec<String>)>,
    ) -> Self {
        let comparison = WorldComparison::of(&policies);
        let (fidelity, fidelity_tasks) =
            fidelity.map_or_else(Default::default, |(figures, tasks)| (Some(figures), tasks));
        let of_fidelity = |figure: fn(&Fidelity) -> Option<f64>| fidelity.as_ref().and_then(figure);
        Self {
            task: task.to_owned(),
            first_seed,
            episodes,
            pearson_r: comparison.as_ref().and_then(|comparison| comparison.pearson_r),
            mmrv: comparison.as_ref().map(|comparison| comparison.mmrv),
            psnr_chunk1: of_fidelity(|fidelity| fidelity.psnr_of_chunk(1)),
            psnr_chunk4: of_fidelity(|fidelity| fidelity.psnr_of_chunk(4)),
            gain_moving_db: of_fidelity(|fidelity| fidelity.gain_moving_db),
            shuffled_error_ratio: of_fidelity(|fidelity| fidelity.shuffled_error_ratio),
            fidelity_tasks,
            fidelity,
            policies,
            machine: Machine::current(),
        }
    }
}
