//! Streaming: one latent frame after the other, each attending to the frames before it.
//!
//! Source: `cosmos_transfer2/_src/interactive/networks/dit_action_causal2p5.py`
//! (`ActionChunkCausalDITwithConditionalMask`) of cosmos-transfer2.5@2ff49d0.
//! Differs: a window shorter than the clip, which upstream's cache cannot run, holds the last frames that were stored.

use burn::tensor::Tensor;

use super::block::BlockConditions;
use super::context::KeyValue;
use super::model::{Dit, DitInput};

/// Keys and values of the frames that the next one attends to.
#[derive(Debug, Clone)]
pub struct CausalState {
    window: Option<usize>,
    frames: usize,
    past: Vec<KeyValue>,
}

/// One evaluation of a frame.
#[derive(Debug, Clone)]
pub struct CausalFrame {
    /// Velocity of the flow, `[batch, out_channels, 1, height, width]`, float32.
    pub velocity: Tensor<5>,
    /// Keys and values of the frame, one entry per block; see [`CausalState::store`].
    pub key_values: Vec<KeyValue>,
}

impl CausalState {
    /// Starts a clip in which a frame attends to itself and to at most `window` frames before it; none is to all.
    pub fn new(window: Option<usize>) -> Self {
        Self {
            window,
            frames: 0,
            past: Vec::new(),
        }
    }

    /// Returns the index of the next frame: how many were stored.
    pub fn next_frame(&self) -> usize {
        self.frames
    }

    /// Appends a frame, so that the next ones attend to it and are later in time.
    ///
    /// A frame is evaluated once per denoising step and once more when it is clean; only the last evaluation is stored.
    ///
    /// # Panics
    /// If the frame is of another network or grid than those before it.
    pub fn store(&mut self, key_values: Vec<KeyValue>) {
        self.frames += 1;
        if self.window == Some(0) {
            return;
        }
        if self.past.is_empty() {
            self.past = key_values;
            return;
        }
        assert_eq!(self.past.len(), key_values.len(), "blocks of the frame");
        let joined = std::mem::take(&mut self.past)
            .into_iter()
            .zip(key_values)
            .map(|(past, own)| KeyValue {
                key: appended(past.key, own.key, self.window),
                value: appended(past.value, own.value, self.window),
            });
        self.past = joined.collect();
    }
}

/// Appends a frame's tokens and keeps those of the last `window` frames.
fn appended(past: Tensor<4>, own: Tensor<4>, window: Option<usize>) -> Tensor<4> {
    let [_, per_frame, _, _] = own.dims();
    let tokens = past.dims()[1] + per_frame;
    let kept = window.map_or(tokens, |frames| tokens.min(frames * per_frame));
    Tensor::cat(vec![past, own], 1).narrow(1, tokens - kept, kept)
}

impl Dit {
    /// Predicts the velocity of the next frame of a stream.
    ///
    /// The input holds one latent frame and the actions that lead to it, `[batch, actions_per_group, action_dim]`; the
    /// first frame has none. A rotary table in the input must be of this frame's time. Actions are embedded in float32
    /// and count whether the frame is given or not.
    ///
    /// # Shapes
    /// - velocity: `[batch, out_channels, 1, height, width]`, float32
    ///
    /// # Panics
    /// If the parts of the input do not fit each other, the network or the stream; if the latents are more than one
    /// frame; if the network has views or cameras.
    pub fn forward_frame(&self, input: &DitInput<'_>, state: &CausalState) -> CausalFrame {
        let [_, _, frames, height, width] = input.latents.dims();
        let [times, rows, columns] = self.x_embedder.grid([frames, height, width]);
        assert_eq!(times, 1, "frames of a step of a stream");
        assert!(
            self.conditioning.views.is_none() && self.blocks.iter().all(|block| block.cam_encoder.is_none()),
            "networks with views or cameras cannot stream frame by frame"
        );
        let addition = input.action.clone().map(|action| {
            let embedder = self.conditioning.action.as_ref();
            let embedder =
                embedder.expect("this network is not conditioned on actions, but there are some in the input");
            embedder.forward_frame(action)
        });
        let built = || {
            let device = input.latents.device();
            self.rope
                .table_at_times(&[state.next_frame()], [rows, columns], &device)
        };
        let conditions = BlockConditions {
            time: self.time_embedding(input, addition),
            rope: input.rope.cloned().unwrap_or_else(built),
            views: None,
            camera: None,
        };

        let mut tokens = self.embed(input);
        let mut key_values = Vec::with_capacity(self.blocks.len());
        for (index, (block, context)) in self.blocks.iter().zip(&input.context.blocks).enumerate() {
            tokens = block.forward_with(tokens, &conditions, context, |tokens| {
                let past = state.past.get(index);
                let (attended, own) = block.self_attn.forward_after(tokens, &conditions.rope, past);
                key_values.push(own);
                attended
            });
        }
        CausalFrame {
            velocity: self.velocity(tokens, &conditions.time, input),
            key_values,
        }
    }
}
