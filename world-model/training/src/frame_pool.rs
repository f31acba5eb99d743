//! Frames to draw from, the hard ones more often.

use std::collections::BTreeMap;

use crate::random::StepRandom;

/// Share of a task's frames that count as near misses: those with the most progress.
const NEAR_MISSES: f32 = 0.25;

/// Frames of one kind.
#[derive(Debug)]
pub(crate) struct FramePool<T> {
    frames: Vec<T>,
    /// Positions of near misses among the frames.
    near_misses: Vec<usize>,
}

impl<T> FramePool<T> {
    /// Takes frames that are all alike.
    pub(crate) fn new(frames: Vec<T>) -> Self {
        Self {
            frames,
            near_misses: Vec::new(),
        }
    }

    /// Takes frames without success; `progress` tells a frame's task and how far it was solved.
    pub(crate) fn with_near_misses(frames: Vec<T>, progress: impl Fn(&T) -> (String, f32)) -> Self {
        let mut of_tasks: BTreeMap<String, Vec<(f32, usize)>> = BTreeMap::new();
        for (place, frame) in frames.iter().enumerate() {
            let (task, progress) = progress(frame);
            of_tasks.entry(task).or_default().push((progress, place));
        }
        let mut near_misses = Vec::new();
        for mut of_task in of_tasks.into_values() {
            of_task.sort_by(|(left, _), (right, _)| right.total_cmp(left));
            let count = (of_task.len() as f32 * NEAR_MISSES).ceil() as usize;
            near_misses.extend(of_task.iter().take(count).map(|&(_, place)| place));
        }
        Self { frames, near_misses }
    }

    /// Draws a frame, with this probability from the near misses where there are any; nothing from no frames.
    pub(crate) fn draw(&self, near_miss_share: f32, random: &mut StepRandom) -> Option<&T> {
        if self.frames.is_empty() {
            return None;
        }
        let near = !self.near_misses.is_empty() && random.chance(near_miss_share);
        let place = if near {
            self.near_misses[random.index(self.near_misses.len())]
        } else {
            random.index(self.frames.len())
        };
        self.frames.get(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_the_most_advanced_frames_of_each_task() {
        let frames: Vec<(&str, f32)> = (0..8)
            .map(|place| (if place % 2 == 0 { "push" } else { "reach" }, place as f32 / 8.0))
            .collect();
        let pool = FramePool::with_near_misses(frames, |&(task, progress)| (task.to_string(), progress));
        let mut random = StepRandom::new(1, 0, 0);
        let mut drawn = |share| -> Vec<f32> {
            let progress = (0..40).filter_map(|_| pool.draw(share, &mut random));
            progress.map(|&(_, progress)| progress).collect()
        };
        assert!(drawn(1.0).iter().all(|progress| [0.75, 0.875].contains(progress)));
        assert!(drawn(0.0).iter().any(|progress| *progress < 0.5));
    }

    #[test]
    fn there_is_nothing_to_draw_from_no_frames() {
        let pool: FramePool<u8> = FramePool::new(Vec::new());
        assert_eq!(pool.draw(0.5, &mut StepRandom::new(1, 0, 0)), None);
    }
}
