//! Several views, made by the command and by the pipeline called as a library.

use std::ops::ControlFlow;
use std::path::Path;

use image::RgbImage;
use serde_json::json;
use worldloop::device::DType;
use worldloop::generation::{BaseCheckpoint, Generator};
use worldloop::world_model::Frame;
use worldloop::world_model::camera::{PinholeCamera, PosePrecision, plucker_tokens};
use worldloop::world_model::diffusion::{GuidanceFormula, NumpyRandom, SamplerConfig};
use worldloop::world_model::dit::Context;
use worldloop::world_model::pipeline::{CheckpointFolder, ClipInput, sample_clip};
use worldloop::world_model::text_encoder::TextEmbedding;
use worldloop::world_model::video::{clips_to_tensor, tensor_to_clips};

use super::{SIZE, frames, picture, raw, succeeds, tiny};

/// Latent frames of a view of five frames.
const LATENTS: usize = 2;

/// Loads a checkpoint; with frames of views, where the network knows them.
fn load(checkpoint: &Path) -> Generator {
    let device = worldloop::device::select("flex").unwrap();
    let checkpoint = BaseCheckpoint::new(CheckpointFolder::open(checkpoint).unwrap(), None).unwrap();
    let mut generator = checkpoint.load(None, DType::F32, &device).unwrap();
    generator.dit = generator.dit.with_frames_per_view(LATENTS);
    generator
}

fn text(generator: &Generator, path: &Path) -> Context {
    let embedding = TextEmbedding::load(path, 40, &generator.device).unwrap();
    generator.dit.project_context(embedding.text())
}

/// Samples the views of a clip, each of which starts from one picture.
fn sample(
    generator: &Generator,
    sampler: &SamplerConfig,
    given: &[RgbImage],
    clip: ClipInput<'_>,
) -> Vec<Vec<Vec<u8>>> {
    let to_frame = |image: &RgbImage| vec![Frame::from_rgb8(SIZE[0], SIZE[1], image.as_raw()).unwrap()];
    let given: Vec<Vec<Frame>> = given.iter().map(to_frame).collect();
    let given: Vec<&[Frame]> = given.iter().map(Vec::as_slice).collect();
    let clip = ClipInput {
        given: Some(clips_to_tensor(&given, &generator.device)),
        views: given.len(),
        ..clip
    };
    let output = sample_clip(sampler, &generator.vae, &generator.dit, clip, |_| {
        ControlFlow::Continue(())
    });
    let output = output.expect("nothing stops it");
    let bytes = |view: &Vec<Frame>| view.iter().map(Frame::to_rgb8).collect();
    tensor_to_clips(output.video).iter().map(bytes).collect()
}

#[test]
fn a_drive_is_what_the_pipeline_samples_whatever_the_order_of_its_views() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    tiny::write_multiview_checkpoint(&path.join("drive"));
    let given = [picture(1, 48, 32), picture(4, 48, 32)];
    for (picture, name) in given.iter().zip(["front.png", "rear.png"]) {
        picture.save(path.join(name)).unwrap();
    }
    let request = json!({
        "name": "a", "prompt": "drive through the rain", "seed": 7, "front_wide": { "input_path": "front.png" },
        "rear": { "input_path": "rear.png" },
    });
    std::fs::write(path.join("drive.json"), request.to_string()).unwrap();
    let drive = "generate --checkpoint drive --resolution 32,48 --frames 5 --steps 2 --format png --out out";
    succeeds(path, &format!("{drive} --request drive.json"));

    let generator = load(&path.join("drive"));
    let text = |name: &str| text(&generator, &path.join(format!("drive/{name}.safetensors")));
    let [rain, negative, space] = ["drive_through_the_rain", "negative_prompt", "no_prompt"].map(text);
    let noise = NumpyRandom::new(7).standard_normal_tensor([1, 16, 2 * LATENTS, 4, 6], &generator.device);
    let sampler = SamplerConfig {
        num_steps: 2,
        guidance_scale: 3.0,
        guidance_formula: GuidanceFormula::FromUnconditional,
        ..SamplerConfig::default()
    };
    let context = Context::of_views(&[rain.clone(), space.clone()]);
    let against = Context::of_views(&[negative.clone(), space.clone()]);
    let clip = ClipInput {
        negative: Some(&against),
        view_ids: Some(&[vec![0, 3]]),
        ..ClipInput::new(noise.clone(), &context)
    };
    let made = ["a_front_wide", "a_rear"].map(|name| raw(&frames(&path.join("out"), name)));
    assert_eq!(sample(&generator, &sampler, &given, clip).as_slice(), &made);

    // The other view first: the same but for rounding.
    let half = |view: usize| noise.clone().narrow(2, view * LATENTS, LATENTS);
    let swapped = noise
        .clone()
        .slice_assign([0..1, 0..16, 0..LATENTS, 0..4, 0..6], half(1))
        .slice_assign([0..1, 0..16, LATENTS..2 * LATENTS, 0..4, 0..6], half(0));
    let context = Context::of_views(&[space.clone(), rain]);
    let against = Context::of_views(&[space, negative]);
    let clip = ClipInput {
        negative: Some(&against),
        view_ids: Some(&[vec![3, 0]]),
        ..ClipInput::new(swapped, &context)
    };
    let [front, rear] = given;
    let other = sample(&generator, &sampler, &[rear, front], clip);
    for (one, other) in [(&made[0], &other[1]), (&made[1], &other[0])] {
        let pairs = one.iter().flatten().zip(other.iter().flatten());
        let far = pairs.map(|(one, other)| one.abs_diff(*other)).max();
        assert!(far <= Some(1), "{far:?} levels");
    }
}

#[test]
fn the_cameras_of_a_robot_are_what_the_pipeline_samples() {
    let folder = super::multiview::robot_folder();
    let path = folder.path();
    let given = [1, 0, 2].map(|index| picture(index, 48, 32));
    for (picture, name) in given.iter().zip(["hand_0", "head", "hand_1"]) {
        let file = path.join(format!("in/base/input_images/0_{name}.png"));
        picture.save(file).unwrap();
    }
    let robot = "generate --checkpoint robot --resolution 32,48 --frames 5 --steps 2 --format png --out out";
    let prompt = "--prompt-embedding robot/push_the_cube.safetensors";
    succeeds(path, &format!("{robot} {prompt} --input in --seed 7 --name a"));

    let generator = load(&path.join("robot"));
    let text = |name: &str| text(&generator, &path.join(format!("robot/{name}.safetensors")));
    let [context, negative] = ["push_the_cube", "negative_prompt"].map(text);
    // 600.5 and 600.5 are 600 in bfloat16, and a sixteenth of the width and 2/27 of the height are left.
    let precision = PosePrecision::Bfloat16;
    let [down, across] = [32.0 / 432.0, 48.0 / 768.0];
    let scaled = |value: f64, factor: f64| precision.round(value * factor) as f32;
    let intrinsics = [
        scaled(600.0, across),
        scaled(600.0, down),
        scaled(384.0, across),
        scaled(216.0, down),
    ];
    let camera = |view: f32, frame: u8| {
        let right = view + 0.25 * f32::from(frame);
        let pose = [[1.0, 0.0, 0.0, right], [0.0, 1.0, 0.0, 0.5], [0.0, 0.0, 1.0, -2.0]];
        PinholeCamera::from_pose(intrinsics, pose, precision)
    };
    // The first hand stands before the head on the time axis.
    let cameras: Vec<_> = [1.0, 0.0, 2.0]
        .into_iter()
        .flat_map(|view| (0..2).map(move |frame| (view, frame)))
        .map(|(view, frame)| camera(view, frame))
        .collect();
    let rays = plucker_tokens(&cameras, SIZE, 16, precision, &generator.device).unwrap();
    let noise = NumpyRandom::new(7).standard_normal_tensor([1, 16, LATENTS, 4, 6], &generator.device);
    let clip = ClipInput {
        negative: Some(&negative),
        camera: Some(rays.unsqueeze()),
        ..ClipInput::new(noise.repeat_dim(2, 3), &context)
    };
    let sampler = SamplerConfig {
        num_steps: 2,
        guidance_scale: 7.0,
        conditional_frame_timestep: Some(0.1),
        ..SamplerConfig::default()
    };
    let made = ["a_hand_0", "a_head", "a_hand_1"].map(|name| raw(&frames(&path.join("out"), name)));
    assert_eq!(sample(&generator, &sampler, &given, clip).as_slice(), &made);
}
