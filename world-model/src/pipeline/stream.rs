//! Frame after frame: a causal network makes each latent frame from noise, with the keys and values of those before it.
//!
//! Source: `cosmos_transfer2/_src/interactive/methods/cosmos2_interactive_model.py@2ff49d0` (streaming).
//! Differs: the first decoded frame is scaled as all others are.

use std::ops::ControlFlow;

use burn::tensor::{DType, Tensor};

use super::autoregressive::Predict;
use crate::diffusion::TrigFlow;
use crate::dit::{CausalFrame, CausalState, Context, Dit, DitInput, FrameCondition};
use crate::vae::{DecoderState, WanVae};

/// A clip of latents that grows by one frame per call.
#[derive(Debug)]
pub struct LatentStream<'a> {
    dit: &'a Dit,
    context: &'a Context,
    flow: &'a TrigFlow,
    condition: FrameCondition,
    state: CausalState,
}

impl<'a> LatentStream<'a> {
    /// Starts from the latents of an observed frame; later frames attend to at most `window` frames before them, without it
    /// to all.
    ///
    /// # Shapes
    /// - first: `[batch, channels, 1, height, width]`
    pub fn start(
        dit: &'a Dit,
        context: &'a Context,
        flow: &'a TrigFlow,
        first: Tensor<5>,
        window: Option<usize>,
    ) -> Self {
        let [batch, _, _, height, width] = first.dims();
        let mut stream = Self {
            dit,
            context,
            flow,
            // No frame is marked as given, not even the first.
            condition: FrameCondition::first_frames(0, [batch, 1, height, width], &first.device()),
            state: CausalState::new(window),
        };
        stream.keep(first, None);
        stream
    }

    /// Makes the next latent frame.
    ///
    /// # Shapes
    /// - actions: `[batch, actions per latent frame, action_dim]`
    /// - noise, output: `[batch, channels, 1, height, width]`
    pub fn next_frame(&mut self, actions: Tensor<3>, noise: Tensor<5>) -> Tensor<5> {
        let network = |latents, time| self.evaluate(latents, time, Some(actions.clone())).velocity;
        let steps = self.flow.sample(noise, network, || ControlFlow::Continue(()));
        let last = steps.and_then(|mut steps| steps.pop());
        let last = last.expect("nothing stops a flow, which has at least one angle");
        let clean = last.clean.cast(DType::F32);
        self.keep(clean.clone(), Some(actions));
        clean
    }

    /// Evaluates a clean frame once more, for its keys and values.
    fn keep(&mut self, clean: Tensor<5>, actions: Option<Tensor<3>>) {
        let frame = self.evaluate(clean, 0.0, actions);
        self.state.store(frame.key_values);
    }

    fn evaluate(&self, latents: Tensor<5>, time: f64, action: Option<Tensor<3>>) -> CausalFrame {
        let [batch, ..] = latents.dims();
        let timesteps = Tensor::full([batch, 1], time, &latents.device());
        let input = DitInput {
            action,
            ..DitInput::new(latents, timesteps, self.context, &self.condition)
        };
        self.dit.forward_frame(&input, &self.state)
    }
}

/// A video that grows by the frames of one latent frame per call.
#[derive(Debug)]
pub struct VideoStream<'a> {
    vae: &'a WanVae,
    latents: LatentStream<'a>,
    decoder: DecoderState,
}

impl<'a> VideoStream<'a> {
    /// Starts from an observed frame, with the networks and the text of a model; its own sampler is not used.
    ///
    /// # Shapes
    /// - frame: `[batch, 3, 1, height, width]`, RGB in `[-1, 1]`
    pub fn start(model: &'a Predict, flow: &'a TrigFlow, frame: Tensor<5>) -> Self {
        let networks = model.networks();
        let (vae, dit) = (&networks.vae, &networks.dit);
        let first = vae.encode_latents(frame);
        let mut stream = Self {
            vae,
            latents: LatentStream::start(dit, model.context(), flow, first.clone(), None),
            decoder: DecoderState::new(),
        };
        // The decoder has to have seen the frame; what it makes of it was observed already.
        stream.decode(first);
        stream
    }

    /// Plays the next actions; returns one frame per action.
    ///
    /// # Shapes
    /// - actions: `[batch, actions per latent frame, action_dim]`
    /// - noise: `[batch, channels, 1, latent_height, latent_width]`
    /// - output: `[batch, 3, actions per latent frame, height, width]`, RGB around `[-1, 1]`
    pub fn play(&mut self, actions: Tensor<3>, noise: Tensor<5>) -> Tensor<5> {
        let latents = self.latents.next_frame(actions, noise);
        self.decode(latents)
    }

    fn decode(&mut self, latents: Tensor<5>) -> Tensor<5> {
        let latents = self.vae.stats.denormalize(latents);
        self.vae.decode_chunk(latents, &mut self.decoder)
    }
}
