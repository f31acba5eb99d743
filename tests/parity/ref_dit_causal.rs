//! The streaming cases of family `ref_dit_action`: one latent frame per call, with the keys and values of earlier ones.

use std::error::Error;

use burn::tensor::{Device, Tensor};
use serde::Deserialize;
use worldloop::world_model::diffusion::{TrigFlow, TrigFlowRounding};
use worldloop::world_model::dit::{CausalFrame, CausalState, Context, Dit, DitInput, FrameCondition, RopeExponents};
use worldloop::world_model::pipeline::LatentStream;
use worldloop_tests::{Array, Case, CaseError, Checks};

use crate::dit_weights::{load, nvidia_config};

/// The class of these cases.
pub(crate) const CLASS: &str = "ActionChunkCausalDITwithConditionalMask";

/// One call of the network, as the case lists them.
#[derive(Deserialize)]
struct Call {
    frame: usize,
    x: String,
    t: f64,
    action: bool,
    store_kv: bool,
}

pub(crate) fn compare(case: &Case, checks: &mut Checks<'_>, device: &Device) -> Result<(), Box<dyn Error>> {
    let rope = |variant: &str| match variant {
        "rope_f32" => RopeExponents::Exact,
        _ => RopeExponents::Bf16,
    };
    for variant in case.names_after("out.velocity_calls.") {
        let dit = load(case, &nvidia_config(case, &case.config, rope(variant))?, device)?;
        let velocities = Stream::read(case, &dit, device)?.run_calls(case)?;
        let name = format!("out.velocity_calls.{variant}");
        checks.compare(&name, &Array::from_tensor(&velocities))?;
    }
    for rest in case.names_after("out.stream_latents.") {
        let (rounding, variant) = match rest.split_once('.') {
            Some(("exact", variant)) => (TrigFlowRounding::Exact, variant),
            Some(("time_bf16", variant)) => (TrigFlowRounding::Coefficients, variant),
            _ => continue,
        };
        let dit = load(case, &nvidia_config(case, &case.config, rope(variant))?, device)?;
        let latents = Stream::read(case, &dit, device)?.generate(rounding);
        let name = format!("out.stream_latents.{rest}");
        checks.compare(&name, &Array::from_tensor(&latents))?;
    }
    Ok(())
}

/// A clip that is made frame by frame.
struct Stream<'a> {
    dit: &'a Dit,
    context: Context,
    clean: Tensor<5>,
    noisy: Tensor<5>,
    action: Tensor<3>,
    actions_per_frame: usize,
    condition: FrameCondition,
    window: Option<usize>,
    state: CausalState,
}

impl<'a> Stream<'a> {
    fn read(case: &Case, dit: &'a Dit, device: &Device) -> Result<Self, CaseError> {
        let clean: Tensor<5> = case.array("in.x_clean")?.tensor(device);
        let [batch, _, _, height, width] = clean.dims();
        let window: i64 = case.field(&case.config, "cache_frames")?;
        let window = usize::try_from(window).ok();
        Ok(Self {
            dit,
            context: dit.project_context(case.array("in.crossattn_emb")?.tensor(device)),
            clean,
            noisy: case.array("in.x_noisy")?.tensor(device),
            action: case.array("in.action")?.tensor(device),
            actions_per_frame: case.field(&case.config, "temporal_compression_ratio")?,
            // No frame is marked as given, not even the first.
            condition: FrameCondition::first_frames(0, [batch, 1, height, width], device),
            window,
            state: CausalState::new(window),
        })
    }

    /// Evaluates the next frame at a time.
    fn evaluate(&self, latents: Tensor<5>, time: f64, with_action: bool) -> CausalFrame {
        let [batch, ..] = latents.dims();
        let timesteps = Tensor::full([batch, 1], time, &latents.device());
        let per_frame = self.actions_per_frame;
        // The actions that lead to frame 1 are the first ones.
        let action = with_action.then(|| {
            let first = (self.state.next_frame() - 1) * per_frame;
            self.action.clone().narrow(1, first, per_frame)
        });
        let input = DitInput {
            action,
            ..DitInput::new(latents, timesteps, &self.context, &self.condition)
        };
        self.dit.forward_frame(&input, &self.state)
    }

    /// Makes the calls that the case lists, and joins their velocities along time.
    fn run_calls(mut self, case: &Case) -> Result<Tensor<5>, Box<dyn Error>> {
        let calls: Vec<Call> = case.field(&case.description, "calls")?;
        let mut velocities = Vec::with_capacity(calls.len());
        for call in calls {
            if call.frame != self.state.next_frame() {
                return Err(format!("frame {} follows frame {}", call.frame, self.state.next_frame()).into());
            }
            let latents = match call.x.as_str() {
                "x_clean" => &self.clean,
                "x_noisy" => &self.noisy,
                other => return Err(format!("there are no latents `{other}`").into()),
            };
            let latents = latents.clone().narrow(2, call.frame, 1);
            let frame = self.evaluate(latents, call.t, call.action);
            velocities.push(frame.velocity);
            if call.store_kv {
                self.state.store(frame.key_values);
            }
        }
        Ok(Tensor::cat(velocities, 2))
    }

    /// Makes a clip: the first frame is given, every other one comes from its noise.
    fn generate(self, rounding: TrigFlowRounding) -> Tensor<5> {
        let flow = TrigFlow {
            rounding,
            ..TrigFlow::four_steps()
        };
        let [_, _, frames, _, _] = self.clean.dims();
        let first = self.clean.narrow(2, 0, 1);
        let mut stream = LatentStream::start(self.dit, &self.context, &flow, first.clone(), self.window);
        let per_frame = self.actions_per_frame;
        let made = (1..frames).map(|index| {
            let actions = self.action.clone().narrow(1, (index - 1) * per_frame, per_frame);
            stream.next_frame(actions, self.noisy.clone().narrow(2, index, 1))
        });
        Tensor::cat(std::iter::once(first).chain(made).collect(), 2)
    }
}
