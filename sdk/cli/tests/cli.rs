//! What the command promises: one clear message and an exit code for every mistake, and nothing lost by a kill.

mod generation;
mod inspection;
mod rollouts;
mod untrained;
mod weights;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn worldloop(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments).output().expect("the binary runs")
}

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worldloop"));
    command.current_dir(folder).args(arguments.split_whitespace());
    command
}

/// Runs a command that must fail with one message that holds all `words`, and without a panic.
fn refused(folder: &Path, arguments: &str, words: &[&str]) {
    let output = worldloop(folder, arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "`{arguments}` succeeded");
    assert!(message.contains("error: "), "`{arguments}` says: {message}");
    assert!(
        !message.contains("panicked") && !message.contains("fault in itself"),
        "`{arguments}` says: {message}"
    );
    for word in words {
        assert!(message.contains(word), "`{arguments}` does not say {word:?}: {message}");
    }
}

fn succeeds(folder: &Path, arguments: &str) -> String {
    let output = worldloop(folder, arguments);
    assert!(
        output.status.success(),
        "`{arguments}`: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Returns the seeds of a journal's whole lines, and checks that none comes twice.
fn journaled_seeds(folder: &Path) -> BTreeSet<u64> {
    let text = std::fs::read_to_string(folder.join("episodes.jsonl")).unwrap_or_default();
    let mut seeds = BTreeSet::new();
    for line in text.lines() {
        let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        let seed = record["seed"].as_u64().expect("a seed");
        assert!(seeds.insert(seed), "seed {seed} was played twice");
    }
    seeds
}

/// Waits until `done` or the process ends.
fn wait_for(child: &mut Child, done: impl Fn() -> bool) {
    while !done() && child.try_wait().expect("a process").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let overview = succeeds(folder.path(), "--help");
    for name in [
        "demo",
        "evaluate",
        "record",
        "train",
        "bench",
        "models",
        "inspect",
        "plan",
        "fetch",
        "generate",
        "embed",
        "rollout",
        "init-checkpoint",
    ] {
        assert!(overview.contains(name), "{overview}");
        let help = succeeds(folder.path(), &format!("{name} --help"));
        assert!(
            help.contains("Example") && help.contains(&format!("worldloop {name}")),
            "{help}"
        );
    }
}

#[test]
fn unknown_names_are_told_with_those_that_exist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    refused(
        path,
        "record --task fly --policy expert --out a",
        &["fly", "reach, push, pick_and_place"],
    );
    refused(path, "record --task reach --policy exprt --out a", &["exprt", "wander"]);
    refused(
        path,
        "evaluate --world physics --policy exprt --out a",
        &["exprt", "wander"],
    );
    refused(
        path,
        "evaluate --world physics --policy random --task fly --out a",
        &["fly", "reach"],
    );
    refused(path, "bench --world embedded --device tpu", &["tpu", "flex"]);
    refused(
        path,
        "evaluate --world physics --policy replay:gone.json --out a",
        &["gone.json"],
    );
}

#[test]
fn missing_damaged_and_foreign_checkpoints_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let evaluate = "evaluate --world learned --policy random --episodes 1 --out out --weights";
    refused(
        path,
        &format!("{evaluate} nowhere"),
        &["nowhere", "Check that it exists"],
    );
    std::fs::create_dir(path.join("empty")).unwrap();
    refused(
        path,
        &format!("{evaluate} empty"),
        &["empty", "safetensors", "worldloop train"],
    );

    // A file that promises more bytes than it has.
    let header = r#"{"weight":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}"#;
    let file = |bytes: usize| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend(std::iter::repeat_n(0_u8, bytes));
        file
    };
    std::fs::create_dir(path.join("damaged")).unwrap();
    for name in ["world.safetensors", "judge.safetensors"] {
        std::fs::write(path.join("damaged").join(name), file(100)).unwrap();
    }
    refused(path, &format!("{evaluate} damaged"), &["damaged", "truncated"]);
    // A whole file of some other network.
    std::fs::create_dir(path.join("foreign")).unwrap();
    for name in ["world.safetensors", "judge.safetensors"] {
        std::fs::write(path.join("foreign").join(name), file(256)).unwrap();
    }
    refused(path, &format!("{evaluate} foreign"), &["foreign", "config"]);
    assert!(
        !path.join("out").join("episodes.jsonl").exists(),
        "nothing is started before the weights are read"
    );
}

#[test]
fn unknown_keys_in_configs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, "record --task reach --policy wander --episodes 2 --out data");
    std::fs::write(path.join("train.json"), r#"{"batch_size": 2, "batch_sise": 3}"#).unwrap();
    for network in ["vae", "dit", "judge", "cloned"] {
        let arguments = format!("train {network} --data data --out run --config train.json");
        refused(path, &arguments, &["batch_sise", "train.json"]);
    }
    std::fs::write(path.join("bench.json"), r#"{"kind": "vae", "base_dimm": 8}"#).unwrap();
    refused(path, "bench --config bench.json", &["base_dimm", "bench.json"]);
    std::fs::write(path.join("bench.json"), r#"{"kind": "gan"}"#).unwrap();
    refused(path, "bench --config bench.json", &["gan", "bench.json"]);
    refused(path, "bench --config gone.json", &["gone.json"]);
    refused(path, "bench", &["--config", "--world"]);
}

#[test]
fn training_without_recordings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path(), "train vae --out run", &["--data"]);
    refused(
        folder.path(),
        "train vae --data nowhere --out run",
        &["nowhere", "record"],
    );
    refused(
        folder.path(),
        "train vae --out run --resume",
        &["run", "without --resume"],
    );
}

#[test]
fn outputs_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("file"), "").unwrap();
    refused(
        path,
        "record --task reach --policy wander --episodes 1 --out file/data",
        &["file/data"],
    );
    refused(
        path,
        "evaluate --world physics --policy wander --episodes 1 --out file/out",
        &["file/out"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // Every write to this device fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", out.join("report.html")).unwrap();
    let arguments = "evaluate --world physics --policy wander --episodes 1 --out out";
    refused(
        folder.path(),
        arguments,
        &["report.html", "No space left", "Free some space"],
    );
    let episodes = std::fs::read_to_string(out.join("episodes.jsonl")).unwrap();
    assert!(episodes.contains("wander"), "the finished episode stays: {episodes}");
}

#[test]
fn recordings_are_never_mixed_up_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let record = "record --task reach --policy wander,expert --episodes 3 --out data";
    succeeds(path, record);
    refused(path, record, &["6 episodes", "--resume"]);
    let again = succeeds(path, &format!("{record} --resume"));
    assert!(again.contains("0 episodes recorded"), "{again}");
    let more = succeeds(
        path,
        "record --task reach --policy wander --episodes 5 --out data --resume",
    );
    assert!(more.contains("2 episodes recorded"), "{more}");
    refused(
        path,
        "record --task reach --policy wander --image-size 32 --out data --resume",
        &["data", "cameras"],
    );
}

#[test]
fn a_killed_evaluation_resumes_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path(), folder.path().join("out"));
    let evaluate = "evaluate --world physics --policy wander --episodes 60 --seed 5 --out out";
    for _ in 0..3 {
        let before = journaled_seeds(&out).len();
        let mut child = command(path, &format!("{evaluate} --resume"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&mut child, || journaled_seeds(&out).len() > before + 5);
        // A kill that no process can catch; it may already have ended.
        let _ = child.kill();
        child.wait().unwrap();
        assert!(journaled_seeds(&out).len() > before);
    }
    succeeds(path, &format!("{evaluate} --resume"));
    assert_eq!(journaled_seeds(&out), (5..65).collect());
    assert!(out.join("report.html").is_file());
    refused(path, evaluate, &["60 episodes", "resume"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_stops_after_what_is_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path(), folder.path().join("out"));
    let evaluate = "evaluate --world physics --policy random --episodes 3000 --out out";
    let mut child = command(path, evaluate)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&mut child, || journaled_seeds(&out).len() > 3);
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let text = std::fs::read_to_string(out.join("episodes.jsonl")).unwrap();
    assert!(text.ends_with('\n') && text.lines().count() < 3000);
    assert!(
        text.lines()
            .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
    );
}

#[test]
fn json_goes_to_standard_output_alone() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = "evaluate --world physics --policy expert,random --episodes 3 --out out --json";
    let printed = succeeds(folder.path(), arguments);
    let summary: serde_json::Value = serde_json::from_str(&printed).expect("nothing but JSON");
    let expert = &summary["policies"][0];
    assert_eq!(expert["policy"], "expert");
    assert_eq!(expert["physics"]["episodes"], 3);
    assert!(expert["physics"]["interval"]["low"].as_f64().unwrap() < expert["physics"]["rate"].as_f64().unwrap());
    for key in [
        "psnr_chunk1",
        "psnr_chunk4",
        "gain_moving_db",
        "shuffled_error_ratio",
        "pearson_r",
        "mmrv",
    ] {
        assert!(summary.get(key).is_some(), "{key}");
    }
}

#[test]
fn benchmarks_print_one_line_of_json_each() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"kind": "vae", "base_dim": 4, "dim_mult": [1, 2], "z_dim": 2, "num_res_blocks": 1,
        "temporal_downsample": [true], "batch": 1, "frames": 3, "height": 8, "width": 8, "dtype": "f32"}"#;
    std::fs::write(folder.path().join("vae.json"), config).unwrap();
    let printed = succeeds(folder.path(), "bench --config vae.json --runs 2 --json");
    let lines: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let what: Vec<_> = lines.iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["vae_encode", "vae_decode"]);
    for line in &lines {
        assert_eq!(line["runs"], 2);
        assert!(
            line["median_ms"].is_f64() && line["threads"].is_u64() && line["peak_mib"].is_f64(),
            "{line}"
        );
    }
}

#[test]
fn a_demo_leaves_a_report_animations_and_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    untrained::write_weights(&path.join("weights"));
    let printed = succeeds(path, "demo --weights weights --out demo");
    for word in ["cloned:9", "learned", "physics", "chunk 4", "report.html", "animations"] {
        assert!(printed.contains(word), "{word}: {printed}");
    }
    let page = std::fs::read_to_string(path.join("demo/report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("data:image/gif") && page.contains("worldloop demo"));
    let animations: Vec<_> = std::fs::read_dir(path.join("demo/animations")).unwrap().collect();
    assert!(!animations.is_empty());
    let journal = std::fs::read_to_string(path.join("demo/episodes.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 48);
    // A second demo starts anew instead of complaining.
    succeeds(path, "demo --weights weights --out demo");
}

#[test]
fn graded_policies_are_compared_in_both_worlds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    untrained::write_weights(&path.join("weights"));
    let evaluate = "evaluate --graded --fidelity --task push --episodes 2 --weights weights --out out --json";
    let first: serde_json::Value = serde_json::from_str(&succeeds(path, evaluate)).unwrap();
    let policies = first["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 10);
    for policy in policies {
        assert_eq!(
            (&policy["learned"]["episodes"], &policy["physics"]["episodes"]),
            (&2.into(), &2.into())
        );
    }
    assert!(first["mmrv"].is_f64() && first["psnr_chunk1"].is_f64() && first["shuffled_error_ratio"].is_f64());
    // Everything is finished: a resumed run plays nothing and says the same.
    let before = std::fs::read(path.join("out/episodes.jsonl")).unwrap();
    let again: serde_json::Value = serde_json::from_str(&succeeds(path, &format!("{evaluate} --resume"))).unwrap();
    assert_eq!(again["policies"], first["policies"]);
    assert_eq!(std::fs::read(path.join("out/episodes.jsonl")).unwrap(), before);
    // Other weights are not mixed in.
    std::fs::copy(
        path.join("weights/cloned-1.safetensors"),
        path.join("weights/cloned-3.safetensors"),
    )
    .unwrap();
    std::fs::remove_file(path.join("weights/judge.safetensors")).unwrap();
    refused(path, &format!("{evaluate} --resume"), &["judge.safetensors", "weights"]);
}

#[test]
fn graded_policies_are_recorded_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    untrained::write_weights(&path.join("weights"));
    let record =
        "record --task reach --policy cloned:0,cloned:9 --episodes 1 --image-size 32 --weights weights --out data";
    let said = succeeds(path, record);
    assert!(said.contains("2 episodes recorded"), "{said}");
    refused(path, &record.replace("cloned:9", "cloned:10"), &["cloned:10"]);
}

#[test]
fn experts_are_told_to_stay_in_the_physics_world() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    untrained::write_weights(&path.join("weights"));
    let evaluate = "evaluate --policy random,expert --world learned --episodes 1 --weights weights --out out";
    refused(path, evaluate, &["expert", "privileged", "physics"]);
}

#[test]
fn closed_loop_chunks_are_timed_alone_and_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    untrained::write_weights(&folder.path().join("weights"));
    let printed = succeeds(folder.path(), "bench --world weights --runs 2 --json");
    let lines: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines
            .iter()
            .map(|line| line["batch"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [1, 8]
    );
    assert!(
        lines
            .iter()
            .all(|line| line["frames_per_second"].as_f64().unwrap() > 0.0)
    );
}

#[test]
fn released_models_and_any_checkpoint_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for line in succeeds(path, "models --json").lines() {
        let model: serde_json::Value = serde_json::from_str(line).expect("one object per line");
        assert!(model["parameters"].as_u64() > Some(2_000_000_000), "{model}");
    }
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/dit/nvidia_names");
    let weights = fixture.join("weights.safetensors");
    let text = succeeds(
        path,
        &format!("inspect {} --tensors --statistics --json", weights.display()),
    );
    let found: serde_json::Value = serde_json::from_str(&text).expect("an object");
    assert_eq!(found["config"]["num_blocks"], 2);
    assert_eq!(found["keys"]["missing"], serde_json::json!([]));
    assert_eq!(found["statistics"]["net.t_embedding_norm.weight"]["nan"], 0);
    assert_eq!(found["shapes"]["net.t_embedding_norm.weight"]["dtype"], "bf16");

    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/embedded/world.safetensors");
    let text = succeeds(path, &format!("inspect {}", world.display()));
    assert!(
        text.contains("world of Worldloop") && text.contains(" 0 missing, 0 unused"),
        "{text}"
    );

    let bytes = std::fs::read(weights).unwrap();
    std::fs::write(path.join("short.safetensors"), &bytes[..bytes.len() - 1]).unwrap();
    std::fs::write(path.join("notes.txt"), "no weights at all").unwrap();
    std::fs::write(path.join("__0_0.distcp"), "PK\u{3}\u{4}").unwrap();
    refused(path, "inspect gone.pt", &["gone.pt", "exists"]);
    refused(path, "inspect short.safetensors", &["short.safetensors", "truncated"]);
    refused(path, "inspect notes.txt", &["notes.txt", "not a checkpoint"]);
    refused(path, "inspect __0_0.distcp", &["convert_distcp_to_pt.py"]);
}
