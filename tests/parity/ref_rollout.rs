//! Family `ref_rollout`: the closed loop of encode, sample, decode and feedback over two chunks of actions.

use std::error::Error;
use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor};
use worldloop::world_model::diffusion::{NumpyRandom, SamplerConfig, SchedulerKind, SigmaTable};
use worldloop::world_model::dit::RopeExponents;
use worldloop::world_model::pipeline::{
    ActionReference, ChunkInput, Feedback, NoiseSeed, Predict, PredictConfig, PredictNetworks,
};
use worldloop::world_model::video::{from_byte, to_byte};
use worldloop::world_model::{ActionDimension, Frame, PredictionRequest, WorldModel, WorldModelSpec};
use worldloop_tests::{Array, Case, Check, Checks};

use crate::runner::{CaseResult, Outcome};
use crate::{dit_weights, wan_vae};

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    check_noise(case)?;
    let world = predict(case, RopeExponents::Bf16, Feedback::Float, device)?;
    let frame = case.array("in.frame0_u8")?.map(|byte| f64::from(from_byte(byte as u8)));
    let first = Chunk::new(case, &world, 0, &frame, device)?;
    first.compare(case, checks, "out.chunk0")?;
    let name = "out.chunk0.final_latent.rope_f32";
    if case.has(name) {
        let exact = predict(case, RopeExponents::Exact, Feedback::Float, device)?;
        let chunk = Chunk::new(case, &exact, 0, &frame, device)?;
        checks.compare(name, &chunk.final_latents)?;
    }

    let last = last_frame(&first.video);
    let stored = last_frame(case.array("out.chunk0.video")?);
    checks.compare_bytes("out.feedback_u8", &to_bytes(&last), &stored)?;
    let clamped = last.map(|value| value.clamp(-1.0, 1.0));
    checks.compare("out.feedback_float", &clamped)?;
    // A byte that went the other way at an edge would be a hundred times larger than the tolerance of what follows.
    let bytes = case
        .array("out.feedback_u8")?
        .map(|byte| f64::from(from_byte(byte as u8)));
    Chunk::new(case, &world, 1, &bytes, device)?.compare(case, checks, "out.chunk1_u8")?;
    Chunk::new(case, &world, 1, &clamped, device)?.compare(case, checks, "out.chunk1_float")?;

    for (feedback, name, frame1) in [
        (Feedback::Float, "chunk1_float", &clamped),
        (Feedback::Rgb8, "chunk1_u8", &bytes),
    ] {
        let world = predict(case, RopeExponents::Bf16, feedback, device)?;
        closed_loop(case, checks, &world, &[&frame, frame1], name)?;
    }
    Ok(Outcome::Compared)
}

/// Builds the world model of a case, with the case's text.
fn predict(case: &Case, rope: RopeExponents, feedback: Feedback, device: &Device) -> Result<Predict, Box<dyn Error>> {
    let json = &case.config;
    let dit = dit_weights::nvidia_config(case, &json["dit"], rope)?;
    let vae = wan_vae::config(case, &json["vae"], case.field(&json["vae"], "dim")?)?;
    let karras: bool = case.field(json, "use_kerras_sigma")?;
    let shift = case.field(json, "shift")?;
    let networks = PredictNetworks {
        vae: wan_vae::load(case, &vae, device)?,
        dit: dit_weights::load(case, &dit, device)?,
    };
    let config = PredictConfig {
        spec: spec(case)?,
        vae,
        dit,
        sampler: SamplerConfig {
            num_steps: case.field(json, "num_steps")?,
            sigmas: if karras {
                SigmaTable::Karras
            } else {
                SigmaTable::Shift { shift }
            },
            scheduler: SchedulerKind::Unipc,
            guidance_scale: case.field(json, "guidance")?,
            ..SamplerConfig::default()
        },
        feedback,
        noise_seed: NoiseSeed::FirstAction,
        action_reference: ActionReference::default(),
        text_tokens: 1,
    };
    let text = case.array("in.crossattn_emb")?.tensor(device);
    // The released loop compares equal texts, which changes nothing; a case may bring another one.
    let name = case.names_after("in.crossattn_emb_").next();
    let negative = name.map(|name| case.array(&format!("in.crossattn_emb_{name}")));
    let negative = negative.transpose()?.map(|text| text.tensor(device));
    Ok(Predict::new(config, networks, Some(text), negative, device)?)
}

fn spec(case: &Case) -> Result<WorldModelSpec, Box<dyn Error>> {
    let dimension = |index: usize| ActionDimension {
        name: format!("action {index}"),
        unit: "1".to_string(),
        low: -1.0,
        high: 1.0,
        mean: 0.0,
        std: 1.0,
        scale: 1.0,
    };
    let shape = &case.array("in.frame0_u8")?.shape;
    let action_dim = case.array("in.action")?.shape[2];
    let (config, given) = (&case.config, "num_latent_conditional_frames");
    Ok(WorldModelSpec {
        name: case.id.clone(),
        cameras: vec!["camera".to_string()],
        height: shape[2],
        width: shape[3],
        action: (0..action_dim).map(dimension).collect(),
        action_frame: "gripper".to_string(),
        chunk_length: case.field(config, "actions_per_chunk")?,
        // Latent frame 0 is one frame, each further one four.
        context_frames: 4 * (case.field::<usize>(config, given)? - 1) + 1,
        frame_rate_hz: 5.0,
    })
}

/// Checks that the stored noise is what its seed gives: the seed of a chunk is the index of its first action.
fn check_noise(case: &Case) -> Result<(), Box<dyn Error>> {
    let actions: usize = case.field(&case.config, "actions_per_chunk")?;
    for index in 0..2 {
        let stored = case.array(&format!("in.noise.chunk{index}"))?;
        let drawn = NumpyRandom::new((index * actions) as u32).standard_normals(stored.values.len());
        if !drawn
            .iter()
            .zip(&stored.values)
            .all(|(drawn, stored)| f64::from(*drawn) == *stored)
        {
            return Err(format!("the noise of chunk {index} is not that of its seed").into());
        }
    }
    Ok(())
}

/// Everything that one chunk makes.
struct Chunk {
    condition: Array,
    samples: Vec<Array>,
    velocities: Vec<Array>,
    final_latents: Array,
    video: Array,
}

impl Chunk {
    /// Runs one chunk from a frame of `[1, 3, height, width]` in `[-1, 1]`.
    fn new(case: &Case, world: &Predict, index: usize, frame: &Array, device: &Device) -> Result<Self, Box<dyn Error>> {
        let length = world.config().spec.chunk_length;
        let actions: Tensor<3> = case.array("in.action")?.tensor(device);
        let input = ChunkInput {
            frames: frame.tensor::<4>(device).unsqueeze_dim(2),
            actions: actions.narrow(1, index * length, length),
            noise: case.array(&format!("in.noise.chunk{index}"))?.tensor(device),
        };
        let (mut samples, mut velocities) = (Vec::new(), Vec::new());
        let output = world.predict_chunk_with(input, |progress| {
            samples.push(Array::from_tensor(progress.sample));
            velocities.push(Array::from_tensor(progress.velocity));
            ControlFlow::Continue(())
        });
        let output = output.expect("nothing stops it");
        Ok(Self {
            condition: Array::from_tensor(&output.given_latents),
            samples,
            velocities,
            final_latents: Array::from_tensor(&output.latents),
            video: Array::from_tensor(&output.video),
        })
    }

    fn compare(&self, case: &Case, checks: &mut Checks<'_>, start: &str) -> Result<(), Box<dyn Error>> {
        checks.compare(&format!("{start}.cond_latent_frame0"), &self.condition)?;
        checks.compare(&format!("{start}.velocity_steps"), &Array::stack(&self.velocities))?;
        checks.compare(&format!("{start}.latent_steps"), &Array::stack(&self.samples))?;
        checks.compare(&format!("{start}.video"), &self.video)?;
        let stored = case.array(&format!("{start}.video"))?;
        checks.compare_bytes(&format!("{start}.video_u8"), &to_bytes(&self.video), stored)?;
        Ok(())
    }
}

/// Runs both chunks through the world model's own interface; `contexts` are what the two chunks start from.
fn closed_loop(
    case: &Case,
    checks: &mut Checks<'_>,
    world: &Predict,
    contexts: &[&Array; 2],
    second: &str,
) -> Result<(), Box<dyn Error>> {
    let length = world.config().spec.chunk_length;
    let width = world.config().spec.action_dim();
    let values: Vec<f32> = case
        .array("in.action")?
        .values
        .iter()
        .map(|value| *value as f32)
        .collect();
    let rows: Vec<Vec<f32>> = values.chunks(width).map(<[f32]>::to_vec).collect();
    let mut state = world.start(vec![vec![to_frame(contexts[0])]], &[], 0)?;
    for (index, chunk) in ["chunk0", second].into_iter().enumerate() {
        let actions = &rows[index * length..(index + 1) * length];
        let request = PredictionRequest { state: &state, actions };
        let prediction = world.predict(&[request])?.remove(0);
        let stored = frames_after_first(case.array(&format!("out.{chunk}.video"))?);
        let frames: Vec<Array> = prediction.frames[0].iter().map(from_frame).collect();
        let tolerance = case.tolerance(&format!("out.{chunk}.video"))?;
        let name = format!("closed loop through {second}, frames of {chunk}");
        checks
            .decisive
            .push(Check::compare(&name, &Array::stack(&frames), &stored, tolerance));
        state = prediction.next_state;
        if index == 0 && second == "chunk1_u8" {
            // As above: bytes may go either way at an edge, and the second chunk is compared from the stored ones.
            state.context = vec![vec![to_frame(contexts[1])]];
        }
    }
    Ok(())
}

fn to_frame(frame: &Array) -> Frame {
    Frame {
        height: frame.shape[2],
        width: frame.shape[3],
        values: frame.values.iter().map(|value| *value as f32).collect(),
    }
}

fn from_frame(frame: &Frame) -> Array {
    Array {
        shape: vec![3, frame.height, frame.width],
        values: frame.values.iter().copied().map(f64::from).collect(),
    }
}

/// Takes frame `index` of `[1, channels, frames, height, width]` as `[1, channels, height, width]`.
fn frame_at(video: &Array, index: usize) -> Array {
    let (channels, frames, size) = (video.shape[1], video.shape[2], video.shape[3] * video.shape[4]);
    let start = |channel: usize| (channel * frames + index) * size;
    let values = (0..channels).flat_map(|channel| video.values[start(channel)..start(channel) + size].to_vec());
    Array {
        shape: vec![1, channels, video.shape[3], video.shape[4]],
        values: values.collect(),
    }
}

fn last_frame(video: &Array) -> Array {
    frame_at(video, video.shape[2] - 1)
}

/// Takes all frames but the first, frame by frame.
fn frames_after_first(video: &Array) -> Array {
    let frames = (1..video.shape[2]).map(|index| {
        let frame = frame_at(video, index);
        let shape = frame.shape[1..].to_vec();
        frame.reshaped(&shape)
    });
    Array::stack(&frames.collect::<Vec<_>>())
}

fn to_bytes(values: &Array) -> Array {
    values.map(|value| f64::from(to_byte(value as f32)))
}
