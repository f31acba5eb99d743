//! How often a judge's calls of success are right, and from where on they are calls.

use crate::objective::Evaluation;

/// Returns the logit above which as many frames are called successes as are; 0 where all or none are.
///
/// Counted by frames, a call that comes one frame too soon is as wrong as one in an episode that fails.
pub(crate) fn matching_offset(frames: &[(bool, f32)]) -> f32 {
    let solved = frames.iter().filter(|(solved, _)| *solved).count();
    if solved == 0 || solved == frames.len() {
        return 0.0;
    }
    let mut logits: Vec<f32> = frames.iter().map(|(_, logit)| *logit).collect();
    logits.sort_by(|a, b| b.total_cmp(a));
    f32::midpoint(logits[solved - 1], logits[solved])
}

/// Counts over validation frames.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    hits: f64,
    misses: f64,
    false_alarms: f64,
    frames: f64,
    pub(crate) progress_error: f64,
}

impl Scores {
    /// Takes whether a frame shows success, and whether it was called one.
    pub(crate) fn add_call(&mut self, solved: bool, called: bool) {
        match (solved, called) {
            (true, true) => self.hits += 1.0,
            (true, false) => self.misses += 1.0,
            (false, true) => self.false_alarms += 1.0,
            (false, false) => {}
        }
        self.frames += 1.0;
    }

    pub(crate) fn recall(&self) -> f64 {
        self.hits / (self.hits + self.misses).max(1.0)
    }

    pub(crate) fn evaluation(&self) -> Evaluation {
        let unsolved = self.frames - self.hits - self.misses;
        Evaluation::default()
            .with("success_recall", self.recall())
            .with(
                "success_precision",
                self.hits / (self.hits + self.false_alarms).max(1.0),
            )
            .with("false_alarm_rate", self.false_alarms / unsolved.max(1.0))
            .with("progress_error", self.progress_error / self.frames.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_frames_are_called_successes_as_are() {
        let frames = [(true, 3.0), (false, 2.0), (false, -1.0), (true, 0.5), (false, 1.0)];
        let offset = matching_offset(&frames);
        let called = frames.iter().filter(|(_, logit)| *logit > offset).count();
        assert_eq!(called, 2);
        assert_eq!(matching_offset(&frames[1..3]), 0.0, "nothing to match");
    }
}
