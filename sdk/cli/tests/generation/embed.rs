//! What `embed` promises.

use std::path::Path;

use super::super::command;
use super::tiny;

/// Runs a command with a cache of its own.
fn run(folder: &Path, arguments: &str) -> std::process::Output {
    let mut command = command(folder, arguments);
    command.env("WORLDLOOP_CACHE", folder.join("cache"));
    command.output().expect("the binary runs")
}

#[cfg(not(feature = "tokenizer"))]
#[test]
fn a_build_without_a_tokenizer_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_text_encoder(&folder.path().join("encoder"), 1);
    let output = run(
        folder.path(),
        "embed --text-encoder encoder --prompt cube --out cube.safetensors",
    );
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("--features tokenizer"), "{message}");
}

#[cfg(feature = "tokenizer")]
mod with_tokenizer {
    use serde_json::Value;
    use worldloop::device::select;
    use worldloop::world_model::text_encoder::TextEmbedding;

    use super::*;

    fn json(folder: &Path, arguments: &str) -> Value {
        let output = run(folder, arguments);
        assert!(
            output.status.success(),
            "`{arguments}`: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn a_prompt_becomes_an_embedding_that_generate_finds() {
        let folder = super::super::folder();
        let path = folder.path();
        tiny::write_text_encoder(&path.join("encoder"), 1);
        std::fs::write(path.join("tea.txt"), "\npour tea \n").unwrap();
        let told = json(
            path,
            "embed --text-encoder encoder --prompt-file tea.txt --out tea.safetensors --json",
        );
        assert_eq!((&told["tokens"], &told["width"]), (&512.into(), &40.into()));
        let embedding = TextEmbedding::load(path.join("tea.safetensors"), 40, &select("flex").unwrap()).unwrap();
        assert_eq!(embedding.prompt, "pour tea");
        let tiny = super::super::TINY;
        let generate = format!("generate {tiny} --frames 5 --prompt-embedding tea.safetensors --out out --json");
        assert_eq!(json(path, &generate)["frames"], 5);
        // The encoder itself makes the same video: the embedding is that of the file.
        let told = format!("generate {tiny} --frames 5 --text-encoder encoder --prompt-path tea.txt --guidance 0");
        json(path, &format!("{told} --name encoded --out out --json"));
        let kept = format!("generate {tiny} --frames 5 --prompt-embedding tea.safetensors --guidance 0");
        json(path, &format!("{kept} --name kept --out out --json"));
        let [encoded, kept] = ["encoded", "kept"].map(|name| super::super::frames(&path.join("out"), name));
        assert_eq!(encoded, kept);
    }

    #[test]
    fn the_empty_prompt_is_encoded_once_per_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        tiny::write_text_encoder(&path.join("encoder"), 1);
        tiny::write_text_encoder(&path.join("other"), 2);
        let empty = |encoder: &str| {
            json(
                path,
                &format!("embed --text-encoder {encoder} --empty --out empty.safetensors --json"),
            )
        };
        assert_eq!(empty("encoder")["from_cache"], false);
        let first = std::fs::read(path.join("empty.safetensors")).unwrap();
        assert_eq!(empty("encoder")["from_cache"], true);
        assert_eq!(std::fs::read(path.join("empty.safetensors")).unwrap(), first);
        assert_eq!(empty("other")["from_cache"], false);
        assert_ne!(std::fs::read(path.join("empty.safetensors")).unwrap(), first);
        let precise = "embed --text-encoder encoder --empty --dtype f32 --out empty.safetensors --json";
        assert_eq!(json(path, precise)["from_cache"], false);
        let other = "embed --text-encoder encoder --prompt cube --out cube.safetensors --json";
        assert_eq!(json(path, other)["from_cache"], false);
        assert_eq!(json(path, other)["from_cache"], false);
    }

    #[test]
    fn actions_are_played_with_the_encoder_or_the_file_that_it_wrote() {
        let folder = super::super::folder();
        let path = folder.path();
        tiny::write_action_checkpoint(&path.join("actions"));
        std::fs::remove_file(path.join("actions/empty_prompt.safetensors")).unwrap();
        tiny::write_text_encoder(&path.join("encoder"), 1);
        std::fs::write(path.join("actions.json"), "[[0.01, 0, 0, 0, 0, 0, 1]]").unwrap();
        let play = |rest: &str| {
            let checkpoint = "generate --checkpoint actions --input table.png --action actions.json --resolution 32,48";
            let output = run(path, &format!("{checkpoint} --steps 1 --format png --out out {rest}"));
            (output.status.success(), String::from_utf8(output.stderr).unwrap())
        };
        let (played, message) = play("");
        assert!(!played && message.contains("--text-encoder DIR"), "{message}");
        let (played, message) = play("--text-encoder encoder --name encoder");
        assert!(played, "{message}");
        let empty = "embed --text-encoder encoder --empty --out empty.safetensors --json";
        assert_eq!(json(path, empty)["from_cache"], true);
        let (played, message) = play("--prompt-embedding empty.safetensors --name file");
        assert!(played, "{message}");
        let [encoder, file] = ["encoder", "file"].map(|name| super::super::frames(&path.join("out"), name));
        assert_eq!((encoder.len(), encoder), (2, file));
    }

    #[test]
    fn mistakes_are_told_in_one_sentence() {
        let folder = super::super::folder();
        let path = folder.path();
        tiny::write_text_encoder(&path.join("encoder"), 1);
        let refused = super::super::refused;
        refused(
            path,
            "embed --text-encoder gone --empty --out a",
            &["gone", "tokenizer.json"],
        );
        refused(
            path,
            "embed --text-encoder tiny/tokenizer.pth --tokenizer encoder --empty --out a",
            &["no text encoder but a video VAE"],
        );
        refused(
            path,
            "embed --text-encoder encoder --empty --dtype int8 --out a",
            &["int8", "bf16, f32"],
        );
        refused(
            path,
            "embed --text-encoder encoder --empty --out gone/a.safetensors",
            &["gone/a.safetensors"],
        );
        refused(
            path,
            "embed --text-encoder encoder --prompt-file gone.txt --out a",
            &["gone.txt"],
        );
    }
}
