//! Family `ref_rollout`: the closed loop of encode, sample, decode and feedback over two chunks of actions.

use std::error::Error;

use burn::tensor::{Device, Tensor};
use worldloop::world_model::diffusion::{
    ConditionFrames, NumpyRandom, SamplerConfig, SchedulerKind, SigmaTable, sample,
};
use worldloop::world_model::dit::{Dit, DitInput, FrameCondition, RopeExponents};
use worldloop::world_model::vae::WanVae;
use worldloop_tests::{Array, Case, Checks};

use crate::runner::{CaseResult, Outcome};
use crate::{dit_weights, wan_vae};

/// Factor between pixels and network values.
const PIXEL_SCALE: f64 = 127.5;

pub(crate) fn run(case: &Case, checks: &mut Checks<'_>, device: &Device) -> CaseResult {
    let world = World::new(case, RopeExponents::Bf16, device)?;
    let frame = case.array("in.frame0_u8")?;
    let first = world.chunk(case, 0, &from_pixels(frame), device)?;
    first.compare(checks, "out.chunk0")?;

    let exact = World::new(case, RopeExponents::Exact, device)?.chunk(case, 0, &from_pixels(frame), device)?;
    if case.has("out.chunk0.final_latent.rope_f32") {
        checks.compare(
            "out.chunk0.final_latent.rope_f32",
            &Array::from_tensor(&exact.final_latent),
        )?;
    }

    let last = last_frame(&first.video);
    let pixels = to_pixels(&last);
    checks.compare("out.feedback_u8", &pixels)?;
    let clamped: Vec<f64> = last.values.iter().map(|value| value.clamp(-1.0, 1.0)).collect();
    let clamped = Array {
        shape: last.shape,
        values: clamped,
    };
    checks.compare("out.feedback_float", &clamped)?;
    world
        .chunk(case, 1, &from_pixels(&pixels), device)?
        .compare(checks, "out.chunk1_u8")?;
    world
        .chunk(case, 1, &clamped, device)?
        .compare(checks, "out.chunk1_float")?;
    Ok(Outcome::Compared)
}

struct World {
    dit: Dit,
    vae: WanVae,
    sampler: SamplerConfig,
    given: usize,
    actions: usize,
}

/// Everything that one chunk makes.
struct Chunk {
    condition: Array,
    samples: Vec<Array>,
    velocities: Vec<Array>,
    final_latent: Tensor<5>,
    video: Array,
}

impl World {
    fn new(case: &Case, rope: RopeExponents, device: &Device) -> Result<Self, Box<dyn Error>> {
        let config = &case.config;
        let dit = dit_weights::nvidia_config(case, &config["dit"], rope)?;
        let vae = wan_vae::config(case, &config["vae"], case.field(&config["vae"], "dim")?)?;
        let karras: bool = case.field(config, "use_kerras_sigma")?;
        let shift = case.field(config, "shift")?;
        Ok(Self {
            dit: dit_weights::load(case, &dit, device)?,
            vae: wan_vae::load(case, &vae, device)?,
            sampler: SamplerConfig {
                num_steps: case.field(config, "num_steps")?,
                sigmas: if karras {
                    SigmaTable::Karras
                } else {
                    SigmaTable::Shift { shift }
                },
                scheduler: SchedulerKind::Unipc,
                ..SamplerConfig::default()
            },
            given: case.field(config, "num_latent_conditional_frames")?,
            actions: case.field(config, "actions_per_chunk")?,
        })
    }

    /// Runs one chunk from a frame of `[1, 3, height, width]` in `[-1, 1]`.
    fn chunk(&self, case: &Case, index: usize, frame: &Array, device: &Device) -> Result<Chunk, Box<dyn Error>> {
        let noise = case.array(&format!("in.noise.chunk{index}"))?;
        self.check_noise(index, noise)?;
        let noise: Tensor<5> = noise.tensor(device);
        let [_, _, frames, height, width] = noise.dims();
        let latents = self.vae.encode_latents(self.clip(frame, device));
        let condition = FrameCondition::first_frames(self.given, [1, frames, height, width], device);
        let context = self.dit.project_context(case.array("in.crossattn_emb")?.tensor(device));
        let all: Tensor<3> = case.array("in.action")?.tensor(device);
        let action = all.narrow(1, index * self.actions, self.actions);

        let (mut samples, mut velocities) = (Vec::new(), Vec::new());
        let given = ConditionFrames {
            latents: latents.clone(),
            counts: vec![self.given],
        };
        let network = |latents, timesteps, _| {
            let (context, condition, action) = (&context, &condition, Some(action.clone()));
            self.dit.forward(&DitInput {
                latents,
                timesteps,
                context,
                condition,
                padding_mask: None,
                action,
                rope: None,
            })
        };
        let final_latent = sample(&self.sampler, noise, &given, false, network, |progress| {
            samples.push(Array::from_tensor(progress.sample));
            velocities.push(Array::from_tensor(progress.velocity));
        });
        let video = Array::from_tensor(&self.vae.decode_latents(final_latent.clone()));
        let condition = Array::from_tensor(&latents.narrow(2, 0, self.given));
        Ok(Chunk {
            condition,
            samples,
            velocities,
            final_latent,
            video,
        })
    }

    /// Appends black frames to a frame, one per action.
    fn clip(&self, frame: &Array, device: &Device) -> Tensor<5> {
        let [batch, channels, height, width] = frame.tensor::<4>(device).dims();
        let first = frame.tensor::<4>(device).unsqueeze_dim::<5>(2);
        let black = Tensor::full([batch, channels, self.actions, height, width], -1.0, device);
        Tensor::cat(vec![first, black], 2)
    }

    /// Checks that the stored noise is what the seed gives: the seed of a chunk is the index of its first action.
    fn check_noise(&self, index: usize, noise: &Array) -> Result<(), Box<dyn Error>> {
        let drawn = NumpyRandom::new((index * self.actions) as u32).standard_normals(noise.values.len());
        let distance = drawn
            .iter()
            .zip(&noise.values)
            .map(|(drawn, stored)| (f64::from(*drawn) - stored).abs());
        match distance.fold(0.0, f64::max) {
            0.0 => Ok(()),
            distance => Err(format!("noise of chunk {index} is {distance:.1e} away from the seed's").into()),
        }
    }
}

impl Chunk {
    fn compare(&self, checks: &mut Checks<'_>, start: &str) -> Result<(), Box<dyn Error>> {
        checks.compare(&format!("{start}.cond_latent_frame0"), &self.condition)?;
        checks.compare(&format!("{start}.velocity_steps"), &Array::stack(&self.velocities))?;
        checks.compare(&format!("{start}.latent_steps"), &Array::stack(&self.samples))?;
        checks.compare(&format!("{start}.video"), &self.video)?;
        checks.compare(&format!("{start}.video_u8"), &to_pixels(&self.video))?;
        Ok(())
    }
}

/// Takes the last frame of `[1, 3, frames, height, width]`.
fn last_frame(video: &Array) -> Array {
    let [_, channels, frames, height, width] = video.shape[..] else {
        return video.clone();
    };
    let size = height * width;
    let values = video
        .values
        .chunks(frames * size)
        .flat_map(|channel| channel[(frames - 1) * size..].to_vec());
    Array {
        shape: vec![1, channels, height, width],
        values: values.collect(),
    }
}

fn from_pixels(pixels: &Array) -> Array {
    let values = pixels
        .values
        .iter()
        .map(|pixel| f64::from(*pixel as f32 / PIXEL_SCALE as f32 - 1.0))
        .collect();
    Array {
        shape: pixels.shape.clone(),
        values,
    }
}

/// Clamps to `[-1, 1]` and truncates to bytes, in float32 as the reference does.
fn to_pixels(values: &Array) -> Array {
    let pixel = |value: &f64| ((*value as f32).clamp(-1.0, 1.0) + 1.0) * PIXEL_SCALE as f32;
    Array {
        shape: values.shape.clone(),
        values: values
            .values
            .iter()
            .map(|value| f64::from(pixel(value).trunc()))
            .collect(),
    }
}
