//! When an episode is cut off because its prediction can't be trusted.

use std::fmt;

use worldloop_world_model::Frame;
use worldloop_world_model::judge::Judgement;

/// What is known about one predicted step.
#[derive(Debug, Clone, Copy)]
pub struct StepEvidence<'a> {
    /// Frames before the step, one per camera.
    pub previous: &'a [Frame],
    /// Frames after the step, one per camera.
    pub frames: &'a [Frame],
    /// What the judge says of the step.
    pub judgement: Judgement,
    /// Number of the step in its episode, from 1.
    pub step: usize,
}

/// Decides whether a prediction has left what can be trusted.
///
/// The step is then `truncated`, never `terminated`: nothing ended in the world, only the knowledge of it.
pub trait TruncationGuard: fmt::Debug + Send + Sync {
    /// Returns whether the episode is to be cut off after this step.
    fn truncates(&self, evidence: &StepEvidence<'_>) -> bool;
}

/// Truncates when a frame jumps: its mean absolute change from the frame before is above a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameChangeGuard {
    /// Largest mean absolute change that is trusted, in units of the frame values, which span 2.
    pub max_mean_change: f32,
}

impl TruncationGuard for FrameChangeGuard {
    fn truncates(&self, evidence: &StepEvidence<'_>) -> bool {
        evidence.previous.iter().zip(evidence.frames).any(|(previous, frame)| {
            let changes = previous
                .values
                .iter()
                .zip(&frame.values)
                .map(|(before, after)| (before - after).abs());
            changes.sum::<f32>() > self.max_mean_change * frame.values.len() as f32
        })
    }
}
