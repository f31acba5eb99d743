//! Medians of repeated runs.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::memory::{peak_mib, reset_peak};

/// How often to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimingSettings {
    /// Runs that do not count.
    pub warm_up: usize,
    /// Runs that count.
    pub runs: usize,
    /// Time after which no further run is started; at least one counts.
    pub limit: Duration,
}

impl Default for TimingSettings {
    fn default() -> Self {
        Self {
            warm_up: 2,
            runs: 10,
            limit: Duration::from_secs(60),
        }
    }
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// What was timed.
    pub what: String,
    /// Median wall-clock time in milliseconds.
    pub median_ms: f64,
    /// Runs that counted.
    pub runs: usize,
    /// Threads that the program may use.
    pub threads: usize,
    /// Highest resident memory of the process while it ran, in MiB.
    pub peak_mib: f64,
    /// Episodes at once, for a closed-loop chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Frames of all episodes per second, for a closed-loop chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames_per_second: Option<f64>,
}

impl Timing {
    /// Runs something repeatedly; the first error ends it.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn measure<E>(what: &str, settings: TimingSettings, mut run: impl FnMut() -> Result<(), E>) -> Result<Self, E> {
        reset_peak();
        let start = Instant::now();
        (0..settings.warm_up).try_for_each(|_| run())?;
        let mut times = Vec::new();
        while times.len() < settings.runs.max(1) && (times.is_empty() || start.elapsed() < settings.limit) {
            let before = Instant::now();
            run()?;
            times.push(before.elapsed().as_secs_f64() * 1e3);
        }
        Ok(Self::of_runs(what, times, peak_mib()))
    }

    /// Sums up runs that took `times` milliseconds each.
    pub(super) fn of_runs(what: &str, mut times: Vec<f64>, peak_mib: f64) -> Self {
        Self {
            what: what.to_owned(),
            median_ms: (median(&mut times) * 1e3).round() / 1e3,
            runs: times.len(),
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            peak_mib,
            batch: None,
            frames_per_second: None,
        }
    }

    #[cfg(all(feature = "learned", feature = "physics"))]
    /// Adds that each run made `frames` frames for `batch` episodes.
    pub(super) fn with_frames(self, batch: usize, frames: usize) -> Self {
        let rate = (self.median_ms > 0.0).then(|| (frames as f64 * 1e4 / self.median_ms).round() / 10.0);
        Self {
            batch: Some(batch),
            frames_per_second: rate,
            ..self
        }
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    if times.is_empty() {
        return 0.0;
    }
    let middle = times.len() / 2;
    if times.len() % 2 == 1 {
        times[middle]
    } else {
        (times[middle - 1] + times[middle]) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_runs_do_not_count() {
        let mut count = 0;
        let settings = TimingSettings {
            warm_up: 3,
            runs: 4,
            limit: Duration::from_secs(60),
        };
        let timing = Timing::measure::<()>("counting", settings, || {
            count += 1;
            Ok(())
        });
        assert_eq!((timing.unwrap().runs, count), (4, 7));
    }

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&mut [9.0, 1.0, 3.0]), 3.0);
    }
}
