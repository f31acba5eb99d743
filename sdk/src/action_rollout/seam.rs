//! Which actions make up a chunk, and which of its frames are kept.

use std::ops::Range;

/// How chunks of frames are put together.
///
/// A chunk of `n` actions is `n + 1` frames: the given one as the VAE gives it back, and one per action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Seam {
    /// The observed frame, then one frame per action: none padded, none twice. A short last chunk is filled up by
    /// repeating its last action, and what that predicts is dropped.
    #[default]
    Fixed,
    /// As NVIDIA's public script: a short last chunk is filled up with zeros, which also close the gripper, and its frames
    /// are kept; the first frame is the VAE's, not the observed one.
    Public,
    /// As NVIDIA's internal script: a short last chunk is left out, and a later chunk keeps the frame that it starts from,
    /// which is there twice then, and loses its last.
    Internal,
}

/// One chunk of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedChunk {
    /// Indices of its actions.
    pub(super) actions: Range<usize>,
    /// Frames of its clip that are kept; frame 0 is the given one.
    pub(super) kept: Range<usize>,
}

impl Seam {
    /// Returns the name: `fixed`, `public` or `internal`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Public => "public",
            Self::Internal => "internal",
        }
    }

    /// Returns the chunks of so many actions.
    pub(super) fn plan(self, actions: usize, chunk_length: usize, single_chunk: bool) -> Vec<PlannedChunk> {
        let whole = 1 + chunk_length;
        let starts = (0..actions).step_by(chunk_length.max(1));
        let chunks = starts.map(|start| {
            let actions = start..actions.min(start + chunk_length);
            let kept = match self {
                Self::Fixed => 1..1 + actions.len(),
                Self::Public | Self::Internal if start == 0 => 0..whole,
                Self::Public => 1..whole,
                Self::Internal => 0..chunk_length,
            };
            PlannedChunk { actions, kept }
        });
        let complete = |chunk: &PlannedChunk| self != Self::Internal || chunk.actions.len() == chunk_length;
        chunks
            .filter(complete)
            .take(if single_chunk { 1 } else { usize::MAX })
            .collect()
    }

    /// Returns whether the observed frame comes first, as it is.
    pub(super) fn starts_observed(self) -> bool {
        self == Self::Fixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(seam: Seam, actions: usize) -> usize {
        let kept: usize = seam.plan(actions, 12, false).iter().map(|chunk| chunk.kept.len()).sum();
        kept + usize::from(seam.starts_observed())
    }

    #[test]
    fn fixed_has_one_frame_per_state_and_the_others_what_their_scripts_have() {
        for actions in [1usize, 11, 12, 13, 24, 27, 33] {
            let chunks = actions.div_ceil(12);
            assert_eq!(Seam::Fixed.plan(actions, 12, false).len(), chunks);
            assert_eq!(frames(Seam::Fixed, actions), actions + 1);
            assert_eq!(frames(Seam::Public, actions), 1 + 12 * chunks);
            let whole = actions / 12;
            assert_eq!(
                frames(Seam::Internal, actions),
                if whole == 0 { 0 } else { 1 + 12 * whole }
            );
        }
    }

    #[test]
    fn chunks_follow_each_other_and_one_alone_is_possible() {
        let plan = Seam::Fixed.plan(27, 12, false);
        let actions: Vec<_> = plan.iter().map(|chunk| chunk.actions.clone()).collect();
        assert_eq!(actions, [0..12, 12..24, 24..27]);
        assert_eq!(plan[2].kept, 1..4);
        let internal = Seam::Internal.plan(27, 12, false);
        assert_eq!((internal.len(), internal[1].kept.clone()), (2, 0..12));
        assert_eq!(Seam::Public.plan(27, 12, true).len(), 1);
    }
}
