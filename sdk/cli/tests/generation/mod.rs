//! What `generate` and `embed` promise, on tiny networks with random weights.

#![expect(clippy::unwrap_used, reason = "a part of a test, where a failure may panic")]

mod embed;
mod multiview;
mod tiny;
mod views_pipeline;

use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use tempfile::TempDir;
use worldloop::data::VideoReader;
use worldloop::device::DType;
use worldloop::generation::BaseCheckpoint;
use worldloop::world_model::Frame;
use worldloop::world_model::diffusion::{NumpyRandom, SamplerConfig};
use worldloop::world_model::pipeline::{CheckpointFolder, ClipInput, sample_clip};
use worldloop::world_model::text_encoder::TextEmbedding;
use worldloop::world_model::video::{clips_to_tensor, tensor_to_clips};

use super::{command, refused, succeeds, worldloop};

/// Height and width of the videos.
const SIZE: [usize; 2] = [32, 48];

/// Arguments of every call that only this test's checkpoint needs.
const TINY: &str = "--checkpoint tiny --resolution 32,48 --steps 2 --format png";

/// A folder with the tiny checkpoint, an image and a folder of frames.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_checkpoint(&folder.path().join("tiny"));
    picture(0, 48, 32).save(folder.path().join("table.png")).unwrap();
    std::fs::create_dir(folder.path().join("clip")).unwrap();
    for index in 0..7 {
        let path = folder.path().join(format!("clip/{index:03}.png"));
        picture(index, 60, 32).save(path).unwrap();
    }
    folder
}

/// A picture with a bright column that moves.
fn picture(index: u32, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let bright = if x / 6 == index { 220 } else { 40 };
        Rgb([bright, (x * 4) as u8, (y * 6) as u8])
    })
}

/// The frames of a sample, in order.
fn frames(folder: &Path, name: &str) -> Vec<RgbImage> {
    let frames = pictures(folder, name);
    let size = (SIZE[1] as u32, SIZE[0] as u32);
    assert!(frames.iter().all(|frame| frame.dimensions() == size));
    frames
}

/// The same of any size.
fn pictures(folder: &Path, name: &str) -> Vec<RgbImage> {
    let mut paths: Vec<_> = std::fs::read_dir(folder.join(format!("{name}-frames")))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let open = |path| image::open(path).unwrap().into_rgb8();
    paths.iter().map(open).collect()
}

/// What the pipeline makes of the same input, called as a library.
fn expected(folder: &Path, given: &[RgbImage], count: usize) -> Vec<Vec<u8>> {
    let device = worldloop::device::select("flex").unwrap();
    let generator = BaseCheckpoint::new(CheckpointFolder::open(folder.join("tiny")).unwrap(), None).unwrap();
    let generator = generator.load(None, DType::F32, &device).unwrap();
    let text = |file: &str| {
        TextEmbedding::load(folder.join("tiny").join(file), 40, &device)
            .unwrap()
            .text()
    };
    let context = generator.dit.project_context(text("push_the_cube.safetensors"));
    let negative = generator.dit.project_context(text("negative_prompt.safetensors"));
    let given: Vec<Frame> = given
        .iter()
        .map(|image| Frame::from_rgb8(SIZE[0], SIZE[1], image.as_raw()).unwrap())
        .collect();
    let shape = [1, 16, 1 + (count - 1) / 4, SIZE[0] / 8, SIZE[1] / 8];
    let clip = ClipInput {
        given: (!given.is_empty()).then(|| clips_to_tensor(&[&given], &device)),
        negative: Some(&negative),
        ..ClipInput::new(NumpyRandom::new(7).standard_normal_tensor(shape, &device), &context)
    };
    let sampler = SamplerConfig {
        num_steps: 2,
        guidance_scale: 7.0,
        ..SamplerConfig::default()
    };
    let output = sample_clip(&sampler, &generator.vae, &generator.dit, clip, |_| {
        ControlFlow::Continue(())
    });
    let output = output.expect("nothing stops it");
    tensor_to_clips(output.video)[0].iter().map(Frame::to_rgb8).collect()
}

fn raw(frames: &[RgbImage]) -> Vec<Vec<u8>> {
    frames.iter().map(|frame| frame.as_raw().clone()).collect()
}

#[test]
fn text_image_and_video_become_what_the_pipeline_samples() {
    let folder = folder();
    let path = folder.path();
    // The centre of the last five frames is given.
    let clip: Vec<RgbImage> = (2..7)
        .map(|index| image::imageops::crop_imm(&picture(index, 60, 32), 6, 0, 48, 32).to_image())
        .collect();
    let cases = [
        ("text2world", "", 5, vec![]),
        ("image2world", "--input table.png", 5, vec![picture(0, 48, 32)]),
        ("video2world", "--input clip", 9, clip),
    ];
    let cube = "--prompt-path cube.txt --seed 7 --out out --json";
    std::fs::write(path.join("cube.txt"), "push the cube\n").unwrap();
    for (name, input, count, given) in cases {
        let line = succeeds(
            path,
            &format!("generate {TINY} {cube} {input} --name {name} --frames {count}"),
        );
        let told: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&told["inference_type"], &told["frames"]),
            (&name.into(), &count.into())
        );
        assert_eq!((&told["height"], &told["width"]), (&32.into(), &48.into()));
        let made = frames(&path.join("out"), name);
        assert_eq!(made.len(), count);
        assert_eq!(raw(&made), expected(path, &given, count), "{name}");
    }
}

#[test]
fn the_prompt_and_its_opposite_decide_the_video() {
    let folder = folder();
    let path = folder.path();
    tiny::write_embedding(&path.join("blur.safetensors"), "blur");
    let blur = "--negative-prompt blur --prompt-embedding blur.safetensors,tiny/push_the_cube.safetensors";
    std::fs::write(path.join("cube.txt"), "push the cube").unwrap();
    for (name, rest) in [
        ("empty", String::new()),
        ("cube", "--prompt-path cube.txt".into()),
        ("sharp", format!("--prompt-path cube.txt {blur}")),
        ("unguided", format!("--prompt-path cube.txt {blur} --guidance 0")),
        ("half", "--prompt-path cube.txt --dtype bf16".into()),
        ("diffusers", "--prompt-path cube.txt --numerics diffusers".into()),
    ] {
        succeeds(
            path,
            &format!("generate {TINY} --frames 5 --name {name} --out out {rest}"),
        );
    }
    let made =
        ["empty", "cube", "sharp", "unguided", "half", "diffusers"].map(|name| raw(&frames(&path.join("out"), name)));
    for (index, video) in made.iter().enumerate() {
        for other in &made[..index] {
            assert_ne!(video, other);
        }
    }
    let far = made[1].iter().flatten().zip(made[4].iter().flatten());
    let mean = far.map(|(one, other)| f64::from(one.abs_diff(*other))).sum::<f64>() / (5.0 * 32.0 * 48.0 * 3.0);
    assert!(mean < 8.0, "bfloat16 is {mean} levels off");
}

#[cfg(feature = "wgpu")]
#[test]
fn a_webgpu_device_makes_the_same_video() {
    let folder = folder();
    let path = folder.path();
    let generate = format!("generate {TINY} --input table.png --frames 5 --out out");
    let output = worldloop(path, &format!("{generate} --name gpu --device wgpu"));
    let message = String::from_utf8_lossy(&output.stderr);
    if message.contains("check the driver") {
        eprintln!("SKIPPED: there is no Vulkan driver (Debian: mesa-vulkan-drivers)");
        return;
    }
    assert!(output.status.success(), "{message}");
    succeeds(path, &format!("{generate} --name cpu"));
    let [gpu, cpu] = ["gpu", "cpu"].map(|name| raw(&frames(&path.join("out"), name)));
    let furthest = gpu
        .iter()
        .flatten()
        .zip(cpu.iter().flatten())
        .map(|(one, other)| one.abs_diff(*other));
    assert!(furthest.max() <= Some(2), "a pixel differs by more than two levels");
}

#[test]
fn the_seed_decides_the_video() {
    let folder = folder();
    let path = folder.path();
    for (name, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        succeeds(
            path,
            &format!("generate {TINY} --frames 5 --seed {seed} --name {name} --out out"),
        );
    }
    let made = ["a", "b", "c"].map(|name| raw(&frames(&path.join("out"), name)));
    assert_eq!(made[0], made[1]);
    assert_ne!(made[0], made[2]);
}

#[test]
fn a_long_video_goes_on_where_its_chunks_end() {
    let folder = folder();
    let path = folder.path();
    let long = "--autoregressive --chunk-size 9 --input table.png --prompt-embedding cube.safetensors";
    tiny::write_embedding(&path.join("cube.safetensors"), "another cube");
    succeeds(
        path,
        &format!("generate {TINY} {long} --frames 15 --chunk-overlap 1 --name long --out out"),
    );
    let line = succeeds(
        path,
        &format!("generate {TINY} {long} --frames 9 --name one --out out --json"),
    );
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["chunks"], 1);
    let [long, one] = ["long", "one"].map(|name| raw(&frames(&path.join("out"), name)));
    assert_eq!((long.len(), one.len()), (15, 9));
    assert_eq!(long[..9], one);
    // The second chunk is an image2world clip from the last frame of the first, with the next seed.
    let last = image::open(path.join("out/long-frames/00008.png")).unwrap();
    last.save(path.join("last.png")).unwrap();
    let next = "--input last.png --prompt-embedding cube.safetensors --frames 9 --seed 1 --name next --out out";
    succeeds(path, &format!("generate {TINY} {next}"));
    assert_eq!(long[9..], raw(&frames(&path.join("out"), "next"))[1..7]);
}

#[test]
fn the_overlap_of_the_reference_is_a_named_mode() {
    let folder = folder();
    let path = folder.path();
    let long =
        "--input table.png --autoregressive --frames 33 --chunk-size 21 --chunk-overlap 5 --guidance 0 --out out";
    succeeds(path, &format!("generate {TINY} {long} --name frames"));
    succeeds(path, &format!("generate {TINY} {long} --name latents --like-reference"));
    let [mended, upstream] = ["frames", "latents"].map(|name| raw(&frames(&path.join("out"), name)));
    assert_eq!((mended.len(), upstream.len()), (33, 33));
    assert_eq!(mended[..21], upstream[..21]);
    assert_ne!(mended[21..], upstream[21..]);
}

#[test]
fn videos_and_animations_are_written_and_read_again() {
    let folder = folder();
    let path = folder.path();
    succeeds(
        path,
        &format!("generate {TINY},gif --frames 5 --fps 8 --name a --out out"),
    );
    let mut inputs = vec!["out/a.gif", "out/a-frames"];
    if worldloop::data::ffmpeg_is_installed() {
        succeeds(
            path,
            &format!("generate {TINY},mp4 --frames 5 --fps 8 --name a --out out"),
        );
        inputs.push("out/a.mp4");
    } else {
        eprintln!("SKIPPED: videos need the program ffmpeg");
    }
    for (index, input) in inputs.into_iter().enumerate() {
        assert_eq!(VideoReader::open(path.join(input)).unwrap().count(), 5, "{input}");
        let on = format!("generate {TINY} --frames 9 --input {input} --guidance 0 --name on{index} --out out --json");
        let told: Value = serde_json::from_str(&succeeds(path, &on)).unwrap();
        assert_eq!(told["inference_type"], "video2world", "{input}");
    }
}

#[test]
fn a_request_file_goes_on_after_a_kill() {
    let folder = folder();
    let path = folder.path();
    let request = r#"{"inference_type": "image2world", "num_output_frames": 5, "guidance": 0,
        "samples": {"a": {"prompt": "push the cube", "input_path": "table.png"},
                    "b": {"prompt": "", "input_path": "table.png"}}}"#;
    std::fs::write(path.join("request.json"), request).unwrap();
    let generate = format!("generate {TINY} --request request.json --out out --json");
    let told = |text: &str| -> Vec<(String, bool)> {
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| {
                (
                    line["name"].as_str().unwrap().to_owned(),
                    line["skipped"].as_bool().unwrap(),
                )
            })
            .collect()
    };
    let entry = |name: &str, skipped| (name.to_owned(), skipped);
    assert_eq!(told(&succeeds(path, &generate)), [entry("a", false), entry("b", false)]);
    // What a kill leaves behind is never taken for a video.
    let whole = path.join("out/a-frames");
    std::fs::rename(&whole, path.join("out/a-frames.partial")).unwrap();
    assert_eq!(told(&succeeds(path, &generate)), [entry("b", true), entry("a", false)]);
    assert_eq!(frames(&path.join("out"), "a").len(), 5);
    assert!(!path.join("out/a-frames.partial").exists());
    let again = succeeds(path, &format!("{generate} --overwrite"));
    assert_eq!(told(&again), [entry("a", false), entry("b", false)]);
}

#[test]
fn requests_of_the_reference_are_taken_as_it_takes_them() {
    let folder = folder();
    let path = folder.path();
    // The reference reads no file beside a prompt, and counts frames in chunks only: here where they are possible.
    let request = "name: a\nprompt: push the cube\nprompt_path: gone.txt\nnum_output_frames: 50\nguidance: 0\n";
    std::fs::write(path.join("a.yaml"), request).unwrap();
    let generate = format!("generate {TINY} --steps 1 --request a.yaml --out out --json").replace("--steps 2", "");
    let output = worldloop(path, &generate);
    let note = String::from_utf8_lossy(&output.stderr);
    assert!(
        note.contains("can't have 50 frames") && note.contains("`a` gets 93 frames"),
        "{note}"
    );
    assert_eq!(frames(&path.join("out"), "a").len(), 93);
    let chunked = r#"{"name": "b", "prompt": "push the cube", "guidance": 0, "enable_autoregressive": true,
        "num_output_frames": 12, "chunk_size": 9, "chunk_overlap": 2}"#;
    std::fs::write(path.join("b.json"), chunked).unwrap();
    succeeds(path, &generate.replace("a.yaml", "b.json"));
    assert_eq!(frames(&path.join("out"), "b").len(), 12);
    let flag = format!("{} --chunk-overlap 2 --overwrite", generate.replace("a.yaml", "b.json"));
    refused(path, &flag, &["overlap of 2", "--like-reference"]);
    let five = succeeds(path, &format!("{generate} --frames 5 --overwrite"));
    assert_eq!(serde_json::from_str::<Value>(&five).unwrap()["frames"], 5);
    refused(
        path,
        &format!("{generate} --frames 50 --overwrite"),
        &["50 frames", "49 or 53"],
    );
}

#[test]
fn a_bad_input_does_not_cost_the_rest_of_a_batch() {
    let folder = folder();
    let path = folder.path();
    std::fs::write(path.join("bad.png"), "no picture").unwrap();
    let sample = |name: &str, input: &str| json!({ "name": name, "prompt": "push the cube", "input_path": input, "num_output_frames": 5, "guidance": 0 });
    let samples = json!([
        sample("a", "table.png"),
        sample("b", "bad.png"),
        sample("c", "table.png")
    ]);
    std::fs::write(path.join("batch.json"), samples.to_string()).unwrap();
    let batch = format!("generate {TINY} --request batch.json --out out");
    refused(path, &batch, &["`b` was not made", "bad.png", "1 of 3"]);
    for name in ["a", "c"] {
        assert_eq!(frames(&path.join("out"), name).len(), 5);
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_clip_after_the_step_that_is_under_way() {
    let folder = folder();
    let path = folder.path();
    let long = format!("generate {TINY} --frames 93 --out out").replace("--steps 2", "--steps 900");
    let mut child = command(path, &long).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("denoising steps") {
        line.clear();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it ended before the first step");
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!path.join("out/video-frames").exists());
}

#[test]
fn mistakes_are_told_in_one_sentence_before_any_work() {
    let folder = folder();
    let path = folder.path();
    std::fs::write(path.join("key.jsonl"), r#"{"name": "a", "prompt": "p", "sede": 1}"#).unwrap();
    std::fs::write(path.join("file"), "in the way").unwrap();
    tiny::write_text_encoder(&path.join("encoder"), 1);
    let tiny = |rest: &str| format!("generate --checkpoint tiny --out out {rest}");
    std::fs::create_dir(path.join("actions")).unwrap();
    tiny::write_action_checkpoint(&path.join("actions"));
    let cases: [(String, &[&str]); 21] = [
        (
            "generate --model nope --checkpoint tiny --out out".into(),
            &["nope", "predict2.5-2b/distilled"],
        ),
        ("generate --out out".into(), &["--checkpoint"]),
        (
            "generate --model predict2.5-2b/pre-trained --out out".into(),
            &["d20b7120", "nvidia/Cosmos-Predict2.5-2B", "License"],
        ),
        (
            "generate --model predict2.5-2b/pre-trained --checkpoint tiny --out out".into(),
            &["can't be predict2.5-2b/pre-trained", "no released model"],
        ),
        ("generate --checkpoint gone --out out".into(), &["gone"]),
        (
            "generate --checkpoint tiny/tokenizer.pth --out out".into(),
            &["no diffusion transformer", "a video VAE"],
        ),
        (tiny(""), &["--resolution"]),
        (tiny("--resolution 60,96"), &["48,96", "64,96", "16"]),
        (tiny("--resolution wide"), &["wide", "720robocasa"]),
        (tiny("--resolution 32,48 --frames 6"), &["6 frames", "5 or 9"]),
        (tiny("--resolution 32,48 --input gone.png"), &["gone.png"]),
        (
            tiny("--resolution 32,48 --prompt p --prompt-path p.txt"),
            &["--prompt-path", "--prompt"],
        ),
        (
            "generate --checkpoint actions --out out".into(),
            &["actions", "worldloop rollout"],
        ),
        (tiny("--request key.jsonl"), &["line 1", "sede", "`seed`"]),
        (
            tiny("--resolution 32,48 --prompt jump"),
            &["jump", "worldloop embed", "push the cube"],
        ),
        (tiny("--resolution 32,48 --dtype f8"), &["f8", "f32, bf16"]),
        (tiny("--resolution 32,48 --fps 0"), &["--fps", "1 to 1000"]),
        (tiny("--resolution 32,48 --name ../a"), &["../a", "without `/`"]),
        (tiny("--resolution 32,48 --format avi"), &["avi", "mp4, gif, png"]),
        (
            tiny("--resolution 32,48 --negative-prompt blur"),
            &["negative prompt", "blur"],
        ),
        (
            "generate --checkpoint tiny --resolution 32,48 --out file/out".into(),
            &["file/out", "--out"],
        ),
    ];
    for (arguments, words) in cases {
        refused(path, &arguments, words);
    }
    assert!(!path.join("out").exists(), "nothing is made of a mistake");
}

#[test]
fn an_embedding_of_the_wrong_width_is_refused() {
    let folder = folder();
    let path = folder.path();
    tiny::write_text_encoder(&path.join("encoder"), 1);
    let tiny = "generate --checkpoint tiny --resolution 32,48 --out out";
    // The VAE is a checkpoint, but no embedding.
    let arguments = format!("{tiny} --prompt-embedding tiny/tokenizer.pth");
    refused(path, &arguments, &["tokenizer.pth", "no text embedding"]);
    tiny::write_wide_embedding(&path.join("wide.safetensors"));
    let arguments = format!("{tiny} --prompt-embedding wide.safetensors");
    refused(path, &arguments, &["wide.safetensors", "[tokens, 40]", "text encoder"]);
}

/// Writes an adapter of rank 1 for the first query layer, whose factors are filled with two numbers.
fn write_adapter(path: &Path, [down, up]: [f32; 2]) {
    let (bytes, layer) = (48 * size_of::<f32>(), "blocks.0.self_attn.q_proj");
    let header = json!({
        format!("{layer}.lora_A.weight"): { "dtype": "F32", "shape": [1, 48], "data_offsets": [0, bytes] },
        format!("{layer}.lora_B.weight"): { "dtype": "F32", "shape": [48, 1], "data_offsets": [bytes, 2 * bytes] },
    })
    .to_string();
    let values = [[down; 48], [up; 48]].concat();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(values.into_iter().flat_map(f32::to_le_bytes));
    std::fs::write(path, file).unwrap();
}

#[test]
fn an_adapter_changes_the_video_and_one_that_changes_nothing_is_refused() {
    let folder = folder();
    let path = folder.path();
    write_adapter(&path.join("trained.safetensors"), [1.0, 1.0]);
    write_adapter(&path.join("fresh.safetensors"), [1.0, 0.0]);
    let prompt = "--prompt-embedding tiny/push_the_cube.safetensors";
    let arguments = |name: &str| format!("generate {TINY} {prompt} --frames 5 --name {name} --out out");
    succeeds(path, &arguments("without"));
    succeeds(path, &format!("{} --adapter trained.safetensors", arguments("with")));
    let out = path.join("out");
    assert_ne!(frames(&out, "without"), frames(&out, "with"));
    let fresh = format!("{} --adapter fresh.safetensors", arguments("fresh"));
    refused(path, &fresh, &["fresh.safetensors", "changes none of the 1 layers"]);
}
