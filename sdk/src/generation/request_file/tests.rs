//! What request files and flags promise.

use super::*;

/// Writes a request file into a new folder and reads it.
fn read(name: &str, text: &str) -> (tempfile::TempDir, Result<Vec<RequestFields>, GenerationError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let samples = read_request_file(&path);
    (folder, samples)
}

fn message(name: &str, text: &str) -> String {
    read(name, text).1.expect_err("it is not valid").to_string()
}

#[test]
fn the_form_with_samples_shares_settings() {
    let text = r#"{"inference_type": "image2world", "guidance": 5, "resolution": "432,768", "num_output_frames": 93,
        "samples": {"cube": {"prompt": "push the cube", "input_path": "in/cube.png"},
                    "ball": {"prompt_path": "ball.txt", "input_path": "/in/ball.jpg"}}}"#;
    let (folder, samples) = read("request.json", text);
    std::fs::write(folder.path().join("ball.txt"), " roll the ball\n").unwrap();
    let requests: Vec<_> = samples
        .unwrap()
        .into_iter()
        .map(|sample| sample.resolve(false).unwrap())
        .collect();
    assert_eq!([requests[0].name.as_str(), &requests[1].name], ["ball", "cube"]);
    assert_eq!(requests[0].prompt.as_deref(), Some("roll the ball"));
    assert_eq!(requests[0].input_path.as_deref(), Some(Path::new("/in/ball.jpg")));
    assert_eq!(requests[1].input_path, Some(folder.path().join("in/cube.png")));
    for request in &requests {
        assert_eq!(request.inference_type, InferenceType::Image2World);
        assert_eq!(
            (request.seed, request.guidance, request.num_steps),
            (1, Some(5.0), None)
        );
        let size = Resolution::Pixels {
            height: 432,
            width: 768,
        };
        assert_eq!((request.resolution, request.num_output_frames), (size, Some(93)));
        assert_eq!(request.negative_prompt, NEGATIVE_PROMPT);
    }
}

#[test]
fn every_key_of_a_sample_is_read() {
    let line = r#"{"name": "a", "inference_type": "video2world", "prompt": "p", "input_path": "a.mp4",
        "negative_prompt": "n", "seed": 3, "guidance": 2, "resolution": "none", "num_output_frames": 153, "num_steps": 20,
        "enable_autoregressive": true, "chunk_size": 77, "chunk_overlap": 5}"#
        .replace('\n', " ");
    let text = format!("{line}\n\n{}\n", r#"{"name": "b", "prompt": "q"}"#);
    let (folder, samples) = read("request.jsonl", &text);
    let requests: Vec<_> = samples
        .unwrap()
        .into_iter()
        .map(|sample| sample.resolve(true).unwrap())
        .collect();
    let expected = GenerationRequest {
        name: "a".into(),
        inference_type: InferenceType::Video2World,
        prompt: Some("p".into()),
        negative_prompt: "n".into(),
        input_path: Some(folder.path().join("a.mp4")),
        seed: 3,
        guidance: Some(2.0),
        resolution: Resolution::Model,
        num_output_frames: Some(153),
        num_steps: Some(20),
        chunking: Some(Chunking {
            chunk_size: 77,
            chunk_overlap: 5,
            overlap_as_latents: true,
        }),
        cameras: Cameras::Single,
    };
    assert_eq!(requests[0], expected);
    assert_eq!(requests[1].inference_type, InferenceType::Text2World);
    assert_eq!(
        (requests[1].seed, requests[1].guidance, requests[1].chunking),
        (0, None, None)
    );
}

#[test]
fn a_prompt_leaves_the_file_of_another_unread() {
    let (_folder, samples) = read("a.json", r#"{"name": "a", "prompt": "p", "prompt_path": "gone.txt"}"#);
    let request = samples.unwrap().remove(0).resolve(false).unwrap();
    assert_eq!(request.prompt.as_deref(), Some("p"));
}

#[test]
fn whole_numbers_may_be_written_with_a_point() {
    let (_folder, samples) = read(
        "a.json",
        r#"{"name": "a", "seed": 3.0, "num_steps": 35.0, "chunk_size": null}"#,
    );
    let sample = samples.unwrap().remove(0);
    assert_eq!(
        (sample.seed, sample.num_steps, sample.chunk_size),
        (Some(3), Some(35), None)
    );
    for wrong in ["35.5", "-1", "1e300", "\"7\""] {
        assert!(
            message("a.json", &format!(r#"{{"name": "a", "num_steps": {wrong}}}"#)).contains("a.json"),
            "{wrong}"
        );
    }
}

#[test]
fn yaml_is_read_as_json_is() {
    let yaml = "# two samples\n- name: a\n  prompt: >-\n    push\n    the cube\n  input_path: a.png\n  seed: 3\n  \
                guidance: 2.5\n  resolution: 480,832\n  enable_autoregressive: true\n- {name: b, prompt: 'no'}\n";
    let json = r#"[{"name": "a", "prompt": "push the cube", "input_path": "a.png", "seed": 3, "guidance": 2.5,
        "resolution": "480,832", "enable_autoregressive": true}, {"name": "b", "prompt": "no"}]"#;
    let samples = |(folder, samples): (tempfile::TempDir, Result<Vec<RequestFields>, GenerationError>)| {
        let mut samples = samples.unwrap();
        let input = samples[0].input_path.take();
        assert_eq!(input, Some(folder.path().join("a.png")));
        samples
    };
    assert_eq!(samples(read("a.yaml", yaml)), samples(read("a.json", json)));
}

/// A few letters that stand for a billion.
const NESTED_ALIASES: &str = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
    c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
    e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
    g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: &h [*g,*g,*g,*g,*g,*g,*g,*g,*g,*g]\nname: *h\n";

#[test]
fn flags_override_fields_and_the_prompt_with_its_file() {
    let own = RequestFields {
        name: Some("a".into()),
        prompt_path: Some("gone.txt".into()),
        seed: Some(3),
        num_steps: Some(9),
        ..RequestFields::default()
    };
    let flags = RequestFields {
        prompt: Some("p".into()),
        seed: Some(4),
        ..RequestFields::default()
    };
    let request = flags.or(&own).resolve(false).unwrap();
    assert_eq!(request.prompt.as_deref(), Some("p"));
    assert_eq!(
        (request.name.as_str(), request.seed, request.num_steps),
        ("a", 4, Some(9))
    );
}

#[test]
fn the_number_of_frames_counts_unless_the_reference_is_followed() {
    let fields = RequestFields {
        prompt: Some("p".into()),
        num_output_frames: Some(29),
        ..RequestFields::default()
    };
    assert_eq!(fields.clone().resolve(false).unwrap().num_output_frames, Some(29));
    assert_eq!(fields.clone().resolve(true).unwrap().num_output_frames, None);
    let chunked = RequestFields {
        enable_autoregressive: Some(true),
        ..fields
    };
    assert_eq!(chunked.resolve(true).unwrap().num_output_frames, Some(29));
}

#[test]
fn unknown_keys_are_told_with_the_known_ones() {
    for (name, text, place) in [
        ("a.json", r#"{"name": "a", "prompt": "p", "sede": 1}"#, "the file"),
        (
            "a.json",
            r#"{"sede": 1, "samples": {"a": {"prompt": "p"}}}"#,
            "the file",
        ),
        (
            "a.json",
            r#"{"samples": {"a": {"prompt": "p", "sede": 1}}}"#,
            "sample `a`",
        ),
        (
            "a.json",
            r#"[{"name": "a", "prompt": "p"}, {"name": "b", "sede": 1}]"#,
            "sample 2",
        ),
        ("a.jsonl", "{\"name\": \"a\"}\n{\"sede\": 1}", "line 2"),
    ] {
        let message = message(name, text);
        for part in [name, place, "sede", "`seed`", "`chunk_overlap`"] {
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}

#[test]
fn files_that_are_no_requests_are_named() {
    for (name, text, part) in [
        ("a.toml", "name = 'a'", "expected .json, .jsonl or .yaml"),
        ("a.yaml", "name: [", "line 1"),
        ("a.yml", "name: a\nsede: 1", "`seed`"),
        ("a.yaml", "name: a\nname: b", "duplicate"),
        ("a.yaml", "", "invalid type: null"),
        ("a.yaml", NESTED_ALIASES, "budget"),
        ("a.json", "{", "EOF"),
        ("a.json", "3", "invalid type"),
        ("a.json", r#"{"samples": 3}"#, "`samples`"),
        ("a.json", r#"{"samples": {}}"#, "no sample"),
        ("a.jsonl", "\n", "no sample"),
        ("a.json", r#"{"prompt": "p"}"#, "`name`"),
        ("a.json", r#"[{"name": "a"}, {"name": "a"}]"#, "`a`"),
        ("a.json", r#"{"name": "a", "seed": -1}"#, "-1"),
        (
            "a.json",
            r#"{"name": "a", "inference_type": "text2image"}"#,
            "text2world",
        ),
    ] {
        let message = message(name, text);
        assert!(message.contains(name) && message.contains(part), "{text}: {message}");
    }
}

#[test]
fn samples_that_contradict_themselves_are_refused() {
    let sample = || RequestFields {
        name: Some("a".into()),
        prompt: Some("p".into()),
        ..RequestFields::default()
    };
    let refused = |fields: RequestFields, words: [&str; 2]| {
        let message = fields.resolve(false).expect_err("a contradiction").to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let inference_type = Some(InferenceType::Image2World);
    refused(
        RequestFields {
            inference_type,
            ..sample()
        },
        ["image2world", "input"],
    );
    let guidance = Some(-1.0);
    refused(RequestFields { guidance, ..sample() }, ["guidance", "at least 0"]);
    let num_steps = Some(0);
    refused(RequestFields { num_steps, ..sample() }, ["num_steps", "1 to 100000"]);
    for name in ["", "../a", "a/b", ".a"] {
        let name = Some(name.to_owned());
        refused(RequestFields { name, ..sample() }, ["name", "folder"]);
    }
}
