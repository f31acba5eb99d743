//! Windows: stretches of an episode of one frame, some actions, and the frames they lead to.

use crate::episode::Episode;

/// Where a window stands in a list of episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Position of the episode in the list.
    pub episode: usize,
    /// Index of the first frame.
    pub start: usize,
    /// Actions in the window, at least one; fewer than the chunk length at the end of an episode.
    pub actions: usize,
}

impl Window {
    /// Returns the index of the frame after `offset` actions; stays at the window's last frame beyond its end.
    pub fn frame(&self, offset: usize) -> usize {
        self.start + offset.min(self.actions)
    }
}

/// Lists every window of at most `chunk` actions, a start every `stride` frames, each with at least `shortest` actions.
///
/// `lengths` are the numbers of actions of the episodes.
pub fn windows(lengths: &[usize], chunk: usize, stride: usize, shortest: usize) -> Vec<Window> {
    let shortest = shortest.clamp(1, chunk.max(1));
    let mut found = Vec::new();
    for (episode, &length) in lengths.iter().enumerate() {
        let starts = (0..length)
            .step_by(stride.max(1))
            .filter(|start| length - start >= shortest);
        found.extend(starts.map(|start| Window {
            episode,
            start,
            actions: chunk.min(length - start),
        }));
    }
    found
}

/// Returns the actions of a window, filled up to `chunk` rows by holding still.
///
/// Holding still is zero motion with the gripper (the last value) as the last action left it: what an env does when
/// nothing is asked of it, so the frames of a filled window may repeat the last one.
pub fn held_actions(episode: &Episode, window: Window, chunk: usize) -> Vec<Vec<f32>> {
    let taken = &episode.actions[window.start..window.start + window.actions];
    let mut rows = taken.to_vec();
    if let Some(last) = taken.last() {
        rows.resize(chunk.max(taken.len()), hold_still(last));
    }
    rows
}

/// Returns the action that keeps the robot where it is: zero motion, the gripper (the last value) unchanged.
pub fn hold_still(last: &[f32]) -> Vec<f32> {
    let mut held = vec![0.0; last.len()];
    if let (Some(held), Some(&gripper)) = (held.last_mut(), last.last()) {
        *held = gripper;
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_a_window_and_the_last_are_ragged() {
        let found = windows(&[5, 0, 2], 4, 1, 1);
        let starts: Vec<(usize, usize, usize)> = found.iter().map(|w| (w.episode, w.start, w.actions)).collect();
        assert_eq!(
            starts,
            [
                (0, 0, 4),
                (0, 1, 4),
                (0, 2, 3),
                (0, 3, 2),
                (0, 4, 1),
                (2, 0, 2),
                (2, 1, 1)
            ]
        );
    }

    #[test]
    fn short_windows_can_be_left_out() {
        assert_eq!(windows(&[5], 4, 1, 4).len(), 2);
        assert_eq!(windows(&[9], 4, 4, 1).len(), 3);
    }

    #[test]
    fn frames_beyond_the_end_repeat_the_last() {
        let window = Window {
            episode: 0,
            start: 3,
            actions: 2,
        };
        assert_eq!([window.frame(0), window.frame(2), window.frame(8)], [3, 5, 5]);
    }

    #[test]
    fn holding_still_keeps_the_gripper() {
        assert_eq!(hold_still(&[0.5, -0.5, 1.0]), [0.0, 0.0, 1.0]);
    }
}
