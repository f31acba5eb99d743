//! Statistics of actions.

use crate::episode::Episode;

/// Statistics of one action value over a dataset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActionStatistics {
    /// Mean.
    pub mean: f32,
    /// Standard deviation.
    pub std: f32,
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
}

/// Computes the statistics of every action value, one entry per value; empty where there are no actions.
pub fn action_statistics<'a>(episodes: impl IntoIterator<Item = &'a Episode>) -> Vec<ActionStatistics> {
    let mut sums: Vec<Sums> = Vec::new();
    for action in episodes.into_iter().flat_map(|episode| &episode.actions) {
        sums.resize(sums.len().max(action.len()), Sums::default());
        for (sums, &value) in sums.iter_mut().zip(action) {
            sums.add(value);
        }
    }
    sums.iter().map(Sums::statistics).collect()
}

/// Running sums in double precision.
#[derive(Debug, Clone, Copy)]
struct Sums {
    count: f64,
    mean: f64,
    squares: f64,
    min: f32,
    max: f32,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            count: 0.0,
            mean: 0.0,
            squares: 0.0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }
}

impl Sums {
    fn add(&mut self, value: f32) {
        self.count += 1.0;
        let before = f64::from(value) - self.mean;
        self.mean += before / self.count;
        self.squares += before * (f64::from(value) - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    fn statistics(&self) -> ActionStatistics {
        ActionStatistics {
            mean: self.mean as f32,
            std: (self.squares / self.count.max(1.0)).sqrt() as f32,
            min: self.min,
            max: self.max,
        }
    }
}
