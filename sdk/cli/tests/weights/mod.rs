//! Getting released weights, and knowing beforehand whether they fit.

use std::path::Path;

use serde_json::Value;
use worldloop::device;
use worldloop::world_model::dit::{ActionConfig, ActionGrouping, ConditioningConfig, DitConfig};
use worldloop::world_model::memory::{
    DenoiseShape, Precision, StageMemory, VaeShape, vae_decode_memory, vae_encode_memory,
};
use worldloop::world_model::vae::WanVaeConfig;

use super::{command, refused, succeeds};

/// How far an estimate may be from the measured peak, beside what the process takes without a network.
const FACTOR: f64 = 1.25;

/// Bytes that the process takes without a network: code, embedded weights, buffers of the backend.
const PROCESS_BYTES: f64 = 64.0 * 1048576.0;

const ACTION_COND: &str = "predict2.5-2b/robot/action-cond";

#[test]
fn a_plan_says_what_fits_and_refuses_what_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let plan = format!("plan --model {ACTION_COND} --device-memory");
    let text = succeeds(path, &format!("{plan} 24GB --json"));
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (found["fits"].as_bool(), found["precision"].as_str()),
        (Some(true), Some("bf16"))
    );
    assert!(found["peak_bytes"].as_u64().unwrap() <= 24_000_000_000);
    assert!(found["stages"].as_array().unwrap().len() >= 3);
    assert!(succeeds(path, &format!("{plan} 8GB")).contains("text embedding from a file"));

    let text = succeeds(path, &format!("{plan} 24GB"));
    assert!(
        text.contains("--dtype bf16") && text.contains("text projection"),
        "{text}"
    );
    refused(path, &format!("{plan} 3GB"), &["VAE in f32", "are missing"]);
    refused(path, &format!("{plan} 1KB"), &["too small"]);
    refused(path, &format!("{plan} 1000000TB"), &["too large"]);
    refused(path, &format!("{plan} 8GB --dtype f32"), &["--dtype bf16"]);
    refused(path, &format!("{plan} 24"), &["24GB"]);
    refused(
        path,
        &format!("{plan} 24GB --frames 12"),
        &["12 frames", "multiple of 4"],
    );
    refused(path, &format!("{plan} 24GB --size 250,320"), &["250,320"]);
    refused(path, "plan --model gpt --device-memory 24GB", &["gpt", ACTION_COND]);
}

/// Puts a file into a cache, as Hugging Face's tools lay it out.
fn put(cache: &Path, repository: &str, commit: &str, file: &str) -> String {
    let snapshot = cache.join(repository).join("snapshots").join(commit);
    let path = snapshot.join(file);
    std::fs::create_dir_all(path.parent().expect("a file in a folder")).expect("writable");
    std::fs::write(&path, "weights").expect("writable");
    path.display().to_string()
}

#[test]
fn files_in_the_cache_are_found_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let fetch = |arguments: &str, offline: &str| {
        let mut command = command(path, &format!("fetch {ACTION_COND} {arguments}"));
        command
            .env("HF_HOME", path)
            .env("HF_HUB_OFFLINE", offline)
            .env_remove("HF_HUB_CACHE");
        // Nobody listens there.
        command.env("HF_ENDPOINT", "http://127.0.0.1:1");
        command.output().expect("the binary runs")
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let dry = fetch("--dry-run --with-text-encoder", "");
    let dry = text(&dry.stdout);
    for part in [
        "tokenizer.pth",
        "38c6c645",
        "nvidia/Cosmos-Reason1-7B",
        "4.25 GB",
        "to fetch",
        "http://127.0.0.1:1",
    ] {
        assert!(dry.contains(part), "{part} is not in: {dry}");
    }
    let offline = fetch("", "1");
    assert!(!offline.status.success());
    let message = text(&offline.stderr);
    assert!(
        message.contains("HF_HUB_OFFLINE") && message.contains("38c6c645"),
        "{message}"
    );

    let repository = "models--nvidia--Cosmos-Predict2.5-2B";
    let (main, vae) = ("a".repeat(40), format!("6787e176{}", "b".repeat(32)));
    let file = "robot/action-cond/38c6c645-7d41-4560-8eeb-6f4ddc0e6574_ema_bf16.pt";
    let hub = path.join("hub");
    let paths = [
        put(&hub, repository, &main, file),
        put(&hub, repository, &vae, "tokenizer.pth"),
    ];
    std::fs::create_dir_all(hub.join(repository).join("refs")).unwrap();
    std::fs::write(hub.join(repository).join("refs/main"), &main).unwrap();
    for offline in ["", "1"] {
        let found = fetch("", offline);
        assert!(found.status.success(), "{}", text(&found.stderr));
        let found = text(&found.stdout);
        assert!(paths.iter().all(|path| found.contains(path.as_str())), "{found}");
    }
    // One that is missing says so, whether this binary can fetch or not.
    let message = text(&fetch("--revision other", "").stderr);
    let expected = if cfg!(feature = "hub") {
        "can't be reached"
    } else {
        "--features hub"
    };
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_file_on_the_hub_goes_by_its_address_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, "init-checkpoint --preset action-cond-tiny --out tiny --seed 4");
    let commit = "c".repeat(40);
    let snapshot = path.join("hub/models--me--mine/snapshots").join(&commit);
    std::fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
    std::fs::rename(path.join("tiny"), &snapshot).unwrap();
    let run = |arguments: &str| {
        let mut command = command(path, arguments);
        command
            .env("HF_HOME", path)
            .env("HF_HUB_OFFLINE", "1")
            .env_remove("HF_HUB_CACHE");
        command.output().expect("the binary runs")
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let address = format!("hf://me/mine@{commit}/robot/action-cond/random-tiny_ema_bf16.pt");
    for command in ["inspect", "fetch"] {
        let output = run(&format!("{command} {address}"));
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("random-tiny_ema_bf16.pt"), "{command}");
    }
    std::fs::write(path.join("actions.json"), "[[0, 0, 0, 0, 0, 0, 1]]").unwrap();
    let picture = image::RgbImage::from_pixel(48, 32, image::Rgb([90; 3]));
    picture.save(path.join("first.png")).unwrap();
    let generate = "--action actions.json --input first.png --resolution 32,48 --steps 1 --format png --out out";
    let made = run(&format!("generate --checkpoint {address} {generate}"));
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(path.join("out/actions-frames/00001.png").is_file());
    for (arguments, expected) in [
        ("fetch s3://bucket/model.pt", "NVIDIA's own storage"),
        ("fetch https://me/mine/a.pt", "hf://OWNER/NAME@REVISION/FILE"),
        ("fetch hf://me/mine/a.pt --revision b", "leave --revision"),
    ] {
        let message = text(&run(arguments).stderr);
        assert!(message.contains(expected), "{arguments}: {message}");
    }
    let gone = run(&format!(
        "generate --checkpoint hf://me/mine@main/gone.pt {generate} --name gone"
    ));
    let message = text(&gone.stderr);
    assert!(
        message.contains("worldloop fetch hf://me/mine@main/gone.pt"),
        "{message}"
    );
}

/// Times a network and returns the highest resident memory of each run in bytes.
fn measured(folder: &Path, config: &Value) -> Vec<f64> {
    let file = folder.join("network.json");
    std::fs::write(&file, config.to_string()).expect("writable");
    let text = succeeds(folder, "bench --config network.json --runs 1 --seconds 0 --json");
    let peaks = text.lines().map(|line| {
        let timing: Value = serde_json::from_str(line).expect("one object per line");
        timing["peak_mib"].as_f64().expect("a number") * f64::from(1 << 20)
    });
    peaks.collect()
}

fn assert_near(what: &str, measured: f64, estimate: StageMemory) {
    let expected = estimate.total() as f64;
    let what = format!("{what}: measured {measured:.0}, estimated {expected:.0}");
    assert!(measured <= FACTOR * expected + PROCESS_BYTES, "{what}");
    assert!(expected <= FACTOR * measured, "{what}");
}

#[test]
#[cfg(target_os = "linux")]
fn estimates_are_near_the_measured_peaks() {
    let folder = tempfile::tempdir().unwrap();
    let device = device::select("flex").unwrap();
    // Wide and short: the weights are most of it, and the products are small.
    let dit = serde_json::json!({
        "kind": "dit", "model_channels": 1024, "num_blocks": 4, "num_heads": 8, "mlp_ratio": 4.0, "adaln_lora_dim": 256,
        "in_channels": 16, "out_channels": 16, "patch_spatial": 2, "patch_temporal": 1, "concat_padding_mask": true,
        "crossattn_emb_channels": 256, "crossattn_proj_in_channels": 256, "context_tokens": 64, "action_dim": 7,
        "actions_per_latent_frame": 4, "rope_ratio_thw": [1.0, 3.0, 3.0], "batch": 1, "latent_frames": 2,
        "latent_height": 16, "latent_width": 16, "dtype": "f32",
    });
    let grouping = ActionGrouping::PerLatentFrame {
        temporal_compression_ratio: 4,
    };
    let network = DitConfig::new(1024, 4, 8)
        .with_crossattn_emb_channels(256)
        .with_crossattn_proj_in_channels(256)
        .with_conditioning(ConditioningConfig::new().with_action(Some(ActionConfig::new(7, grouping))));
    let shape = DenoiseShape {
        batch: 1,
        latents: [2, 16, 16],
        text_tokens: 64,
        is_guided: false,
        is_streaming: false,
    };
    let [peak] = measured(folder.path(), &dit)[..] else {
        panic!("one line for a transformer");
    };
    assert_near("dit_forward", peak, shape.memory(&network, Precision::F32, &device));

    // Large frames and few channels: the activations are most of it. The larger ones are decoded in pieces.
    for (frames, side) in [(9, 256), (9, 576)] {
        let vae = serde_json::json!({
            "kind": "vae", "base_dim": 16, "dim_mult": [1, 2, 2, 2], "z_dim": 4, "num_res_blocks": 1,
            "temporal_downsample": [false, true, true], "batch": 1, "frames": frames, "height": side, "width": side,
            "dtype": "f32",
        });
        let (levels, halves) = (vec![1, 2, 2, 2], vec![false, true, true]);
        let network = WanVaeConfig::new(16, levels, 4, halves, vec![0.0; 4], vec![1.0; 4]).with_num_res_blocks(1);
        let shape = VaeShape {
            batch: 1,
            latent_frames: network.latent_frames(frames),
            latent_frames_at_once: network.latent_frames_at_once(side * side),
            size_px: [side, side],
        };
        let [encode, decode] = measured(folder.path(), &vae)[..] else {
            panic!("two lines for a VAE");
        };
        let what = |stage: &str| format!("{stage} of {frames} frames of {side}x{side}");
        assert_near(&what("vae_encode"), encode, vae_encode_memory(&network, shape, &device));
        assert_near(&what("vae_decode"), decode, vae_decode_memory(&network, shape, &device));
    }
}
