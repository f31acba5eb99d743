//! What causal layers remember between the pieces of a clip.
//!
//! Source: `cosmos_predict2/_src/predict2/tokenizers/wan2pt1.py@50369b8` (`feat_cache`, `feat_idx`).
//! Differs:
//! - a cache that keeps nothing serves whole clips, so there is one code path for both.
//! - a slot distinguishes "no piece seen" from "piece seen, nothing to keep"; upstream writes the string `Rep`.

use burn::tensor::Tensor;

/// What one layer remembers.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    /// Whether the layer has seen the first piece of the clip.
    pub(super) started: bool,
    /// Latest input frames, `[batch, frames, height, width, channels]`.
    pub(super) frames: Option<Tensor<5>>,
}

/// Latest input frames of every causal layer, in the order in which the layers run.
///
/// Cloning it forks the clip.
#[derive(Debug, Clone)]
pub struct FeatureCache {
    slots: Vec<Slot>,
    cursor: usize,
    keeps: bool,
}

impl FeatureCache {
    /// Creates a cache for a clip that comes in pieces.
    pub fn streaming() -> Self {
        Self {
            slots: Vec::new(),
            cursor: 0,
            keeps: true,
        }
    }

    /// Creates a cache for a clip that comes whole: it keeps nothing alive.
    pub fn one_shot() -> Self {
        Self {
            slots: Vec::new(),
            cursor: 0,
            keeps: false,
        }
    }

    /// Returns whether no piece has been seen yet.
    pub fn is_fresh(&self) -> bool {
        self.slots.is_empty()
    }

    /// Points at the first layer again; to be called before every piece.
    pub(super) fn rewind(&mut self) {
        self.cursor = 0;
    }

    /// Hands the slot of the next layer to `update`, which sees the old content and returns the new one.
    pub(super) fn visit<R>(&mut self, update: impl FnOnce(&Slot) -> (R, Option<Tensor<5>>)) -> R {
        if !self.keeps {
            return update(&Slot::default()).0;
        }
        if self.cursor == self.slots.len() {
            self.slots.push(Slot::default());
        }
        let slot = &mut self.slots[self.cursor];
        self.cursor += 1;
        let (result, frames) = update(slot);
        *slot = Slot {
            started: true,
            frames: frames.map(owned),
        };
        result
    }
}

/// Copies frames: as a view they would keep the whole piece that they are of in memory, in every layer.
fn owned(frames: Tensor<5>) -> Tensor<5> {
    let place = frames.dims().map(|size| 0..size);
    Tensor::empty(frames.dims(), (&frames.device(), frames.dtype())).slice_assign(place, frames)
}

/// Returns the last `count` frames, or fewer where the clip is shorter.
pub(super) fn last_frames(frames: &Tensor<5>, count: usize) -> Tensor<5> {
    let total = frames.dims()[1];
    let count = count.min(total);
    frames.clone().narrow(1, total - count, count)
}

/// Puts remembered frames in front of new ones.
pub(super) fn with_history(history: Option<&Tensor<5>>, frames: Tensor<5>) -> Tensor<5> {
    match history {
        Some(history) => Tensor::cat(vec![history.clone(), frames], 1),
        None => frames,
    }
}
