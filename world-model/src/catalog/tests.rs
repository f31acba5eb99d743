//! The table against the published numbers, and recognition of everything in the repository.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::*;
use crate::checkpoint::{CheckpointError, CheckpointSource, CheckpointWriter, KeyMap, SaveDtype};
use crate::diffusion::{NetworkTime, SigmaTable};
use crate::dit::{
    CameraConfig, ConditioningConfig, DitConfig, DitRounding, ImageContextConfig, RopeExponents, ViewsConfig,
};
use crate::vae::WanVaeConfig;

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn open(path: &str) -> CheckpointSource {
    CheckpointSource::open(in_repository(path)).expect("a checkpoint of the repository")
}

/// Recognises a checkpoint, and checks that all its tensors have a place in the network.
fn recognized(source: &CheckpointSource) -> Recognized {
    let recognized = recognize(source).expect("a known network");
    let report = recognized.compare(source, &Device::flex()).expect("comparable");
    let report = report.expect("a network to compare with");
    assert!(report.is_complete(), "{}: {report}", source.location());
    recognized
}

fn transformer(source: &CheckpointSource) -> Transformer {
    match recognized(source) {
        Recognized::Transformer(transformer) => *transformer,
        other => panic!("{} was taken for {other:?}", source.location()),
    }
}

/// Returns the weights of a network as NVIDIA would store them.
fn stored(config: &DitConfig) -> CheckpointSource {
    let network = config.init(&Device::flex());
    let writer = CheckpointWriter::new(SaveDtype::Bf16).with_module("net.", &network, &KeyMap::dit_nvidia());
    CheckpointSource::from_bytes("weights in memory", writer.to_bytes()).expect("a valid file")
}

fn names(models: &[ReleasedModel]) -> Vec<&'static str> {
    models.iter().map(|model| model.name).collect()
}

#[test]
fn names_and_files_are_unique() {
    let models = released_models();
    let different: BTreeSet<_> = names(&models).into_iter().collect();
    assert_eq!(different.len(), models.len());
    let with_file = || models.iter().filter_map(|model| model.weights);
    let files: BTreeSet<_> = with_file().map(|weights| weights.file).collect();
    assert_eq!((files.len(), files.contains("")), (with_file().count(), false));
    for model in models {
        assert_eq!(ReleasedModel::find(model.name).map(|found| found.name), Ok(model.name));
    }
}

#[test]
fn an_unknown_name_is_told_with_those_that_exist() {
    let message = ReleasedModel::find("predict2.5-3b")
        .expect_err("no such model")
        .to_string();
    assert!(
        message.contains("`predict2.5-3b`") && message.contains("predict2.5-2b/robot/action-cond"),
        "{message}"
    );
}

#[test]
fn every_preset_is_valid_and_has_the_published_number_of_parameters() {
    let base = 2_059_174_912;
    for model in released_models() {
        assert_eq!(model.network.validate(), Ok(()), "{}", model.name);
        let expected = match model.name {
            name if name.starts_with("predict2.5-14b/") => 14_368_047_104,
            // Rows of four actions of 29 values.
            "predict2.5-2b/robot/action-gr1-streaming" => base + 69_033_984,
            "predict2.5-2b/robot/action-cond" => base + 67_592_192,
            // Rows of twelve actions of seven values.
            "predict2.5-2b/robot/action-cond-whole-chunk" => base + 68_509_696,
            "predict2.5-2b/robot/multiview-agibot" => base + 88_080_384,
            // Seven channels more in patches of 2x2, and seven embeddings of seven numbers.
            "predict2.5-2b/auto/multiview" => base + 7 * 4 * 2048 + 7 * 7,
            _ => base,
        };
        assert_eq!(model.num_parameters(&Device::flex()), expected, "{}", model.name);
    }
}

#[test]
fn frames_fit_the_patches_of_the_network_and_the_views() {
    let vae = WanVaeConfig::wan2_1();
    for model in released_models() {
        let pixels = vae.spatial_compression() * model.network.patch_spatial;
        assert!(
            model.size_px.iter().all(|size| size.is_multiple_of(pixels)),
            "{}",
            model.name
        );
        assert_eq!(model.frames(), vae.video_frames(model.latent_frames));
        if let Some(views) = &model.network.conditioning.views {
            assert_eq!((views.state_t, views.n_cameras_emb), (model.latent_frames, model.views));
        }
    }
}

#[test]
fn one_model_alone_is_sampled_on_the_karras_table() {
    let mut models = released_models();
    models.retain(|model| match &model.sampler {
        SamplerPreset::Flow(sampler) => sampler.sigmas == SigmaTable::Karras,
        SamplerPreset::TrigFlow(_) | SamplerPreset::Stream(_) => false,
    });
    assert_eq!(names(&models), ["predict2.5-2b/post-trained"]);
}

#[test]
fn weights_tell_networks_apart_but_not_stages_of_training() {
    let base = ["post-trained", "pre-trained", "distilled"].map(|stage| format!("predict2.5-2b/{stage}"));
    let large = ["post-trained", "pre-trained", "robot/gr00tdream-gr1"].map(|stage| format!("predict2.5-14b/{stage}"));
    for model in released_models() {
        let found = names(&dit::released(&model.network));
        match model.name {
            name if base.iter().any(|base| base == name) => assert_eq!(found, base),
            name if large.iter().any(|large| large == name) => assert_eq!(found, large),
            "predict2.5-2b/robot/action-gr1-streaming" => assert!(found.is_empty(), "{found:?}"),
            name => assert_eq!(found, [name]),
        }
    }
}

#[test]
fn golden_transformers_are_recognised() {
    for (path, width, heads, action_dim) in [
        ("dit/nvidia_names/weights.safetensors", 40, 2, None),
        ("ref_dit/bf16_path/weights.pt", 64, 2, None),
        ("ref_dit_action/chunk_batch_mask/weights.pt", 64, 2, Some(7)),
    ] {
        let Transformer { config, released } = transformer(&open(&format!("tests/fixtures/{path}")));
        assert_eq!(
            (config.model_channels, config.num_heads, config.num_blocks),
            (width, heads, 2)
        );
        assert_eq!(config.conditioning.action.map(|action| action.action_dim), action_dim);
        assert!(released.is_empty());
    }
}

#[test]
fn golden_vae_and_text_encoder_are_recognised() {
    match recognized(&open("tests/fixtures/wan_vae/roundtrip_f5_debug/weights.safetensors")) {
        Recognized::Vae(config) => assert_eq!(
            config,
            WanVaeConfig {
                base_dim: 4,
                ..WanVaeConfig::wan2_1()
            }
        ),
        other => panic!("taken for {other:?}"),
    }
    match recognized(&open(
        "tests/fixtures/text_encoder/gqa_2_layers_state_dict_names/weights.safetensors",
    )) {
        Recognized::TextEncoder(config) => assert_eq!((config.hidden_size, config.num_key_value_heads), (48, 1)),
        other => panic!("taken for {other:?}"),
    }
}

#[test]
fn what_each_condition_adds_is_seen() {
    let conditioned = |conditioning: ConditioningConfig| DitConfig::tiny().with_conditioning(conditioning);
    let views = ViewsConfig::new(1, 3).with_view_condition_dim(Some(7));
    let neighbours = vec![vec![1, 2], vec![0, 2], vec![0, 1]];
    let cross_view = ViewsConfig::new(1, 3)
        .with_adaln_view_embedding(true)
        .with_cross_view_attn_map(Some(neighbours));
    for config in [
        DitConfig::tiny(),
        DitConfig::tiny().with_concat_padding_mask(false),
        DitConfig::tiny()
            .with_use_crossattn_projection(false)
            .with_crossattn_proj_in_channels(32),
        conditioned(ConditioningConfig::new()),
        conditioned(ConditioningConfig::new().with_views(Some(views))),
        conditioned(ConditioningConfig::new().with_views(Some(cross_view))),
        conditioned(ConditioningConfig::new().with_camera(Some(CameraConfig::new().with_camera_channels(24)))),
        conditioned(ConditioningConfig::new().with_image(Some(ImageContextConfig::new().with_image_channels(12)))),
    ] {
        let found = transformer(&stored(&config)).config;
        let json = |config: &DitConfig| serde_json::to_value(config).expect("serialisable");
        assert_eq!(json(&found), json(&config));
    }
}

#[test]
fn a_control_network_is_told_from_a_transformer() {
    let device = Device::flex();
    let network = DitConfig::tiny().init(&device);
    let columns = burn::tensor::Tensor::<2>::zeros([48, 520], &device);
    let bytes = CheckpointWriter::new(SaveDtype::F32)
        .with_module("net.", &network, &KeyMap::dit_nvidia())
        .with_tensor("net.control_embedder.proj.1.weight", &columns)
        .to_bytes();
    let source = CheckpointSource::from_bytes("transfer", bytes).unwrap();
    let Recognized::Control(control) = recognize(&source).unwrap() else {
        panic!("taken for something else");
    };
    assert_eq!(control.embedder_columns, Some(520));
    assert!(control.family().expect("a released one").starts_with("general"));
    let family = |embedder_columns| {
        ControlNetwork {
            embedder_columns,
            ..control
        }
        .family()
    };
    assert_eq!(family(Some(772)), Some("auto/multiview"));
    assert!(family(Some(72)).is_some_and(|family| family.starts_with("AgiBot")));
    assert_eq!((family(Some(71)), family(None)), (None, None));
    assert!(!control.image_context && !control.input_hint_block && !control.cross_view);
}

#[test]
fn a_checkpoint_of_something_else_is_unknown_and_its_keys_are_named() {
    let linear = burn::nn::LinearConfig::new(3, 4).init(&Device::flex());
    let bytes = CheckpointWriter::new(SaveDtype::F32)
        .with_module("classifier.", &linear, &KeyMap::identity())
        .to_bytes();
    let source = CheckpointSource::from_bytes("other.safetensors", bytes).unwrap();
    let message = recognize(&source).expect_err("no network of ours").to_string();
    assert!(
        message.contains("other.safetensors") && message.contains("2 tensors"),
        "{message}"
    );
    assert!(message.contains("classifier.weight"), "{message}");
}

#[test]
fn a_transformer_with_a_hole_names_what_is_missing() {
    let tensor = burn::tensor::Tensor::<2>::zeros([48, 72], &Device::flex());
    let norm = burn::tensor::Tensor::<1>::zeros([48], &Device::flex());
    let bytes = CheckpointWriter::new(SaveDtype::F32)
        .with_tensor("net.x_embedder.proj.1.weight", &tensor)
        .with_tensor("net.t_embedding_norm.weight", &norm)
        .to_bytes();
    let source = CheckpointSource::from_bytes("half", bytes).unwrap();
    let message = recognize(&source).expect_err("no blocks").to_string();
    assert!(
        message.contains("diffusion transformer") && message.contains("`net.blocks.0.self_attn.q_norm.weight`"),
        "{message}"
    );
}

/// Returns the weights of a network, one tensor under another name of the same length.
fn renamed(config: &DitConfig, from: &str, to: &str) -> CheckpointSource {
    let network = config.init(&Device::flex());
    let writer = CheckpointWriter::new(SaveDtype::Bf16).with_module("net.", &network, &KeyMap::dit_nvidia());
    let mut bytes = writer.to_bytes();
    let start = bytes.windows(from.len()).position(|window| window == from.as_bytes());
    let start = start.expect("a key of the network");
    bytes[start..start + to.len()].copy_from_slice(to.as_bytes());
    CheckpointSource::from_bytes("renamed", bytes).expect("a valid file")
}

#[test]
fn a_block_without_a_tensor_does_not_hide_the_network() {
    let source = renamed(&DitConfig::tiny(), "blocks.0.mlp.layer1.", "blocks.0.mlp.layerX.");
    let Recognized::Transformer(found) = recognize(&source).expect("sizes from the other block") else {
        panic!("taken for something else");
    };
    assert_eq!(found.config.mlp_channels(), DitConfig::tiny().mlp_channels());
    let report = Recognized::Transformer(found).compare(&source, &Device::flex());
    let report = report.expect("comparable").expect("a network");
    assert_eq!(report.missing, ["net.blocks.0.mlp.layer1.weight"]);
    assert_eq!(report.unused, ["net.blocks.0.mlp.layerX.weight"]);
}

#[test]
fn a_transformer_without_its_embedding_is_told_as_one() {
    let source = renamed(&DitConfig::tiny(), "net.x_embedder.proj.1.", "net.x_embedder.proj.X.");
    let error = recognize(&source).expect_err("no columns");
    assert!(
        error.is_damage() && error.to_string().contains("`net.x_embedder.proj.1.weight`"),
        "{error}"
    );
    // No released model is so narrow.
    assert!(compare_with_closest(&source, &Device::flex()).is_none());
}

#[test]
fn a_text_embedding_is_recognised() {
    let tokens = burn::tensor::Tensor::<2>::zeros([3, 40], &Device::flex());
    let bytes = CheckpointWriter::new(SaveDtype::F32)
        .with_tensor("text_embedding", &tokens)
        .with_metadata("prompt", "push the cube")
        .to_bytes();
    let source = CheckpointSource::from_bytes("prompt", bytes).expect("a valid file");
    match recognize(&source).expect("an embedding") {
        Recognized::TextEmbedding(header) => assert_eq!(
            (header.prompt.as_str(), header.shape.as_slice()),
            ("push the cube", [3, 40].as_slice())
        ),
        other => panic!("taken for {other:?}"),
    }
}

#[test]
fn a_distributed_checkpoint_is_refused_with_the_way_to_convert_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    std::fs::write(model.join(".metadata"), b"\x80\x02").unwrap();
    std::fs::write(model.join("__0_0.distcp"), b"PK\x03\x04").unwrap();
    for path in [
        folder.path().to_path_buf(),
        model.clone(),
        model.join("__0_0.distcp"),
        model.join(".metadata"),
    ] {
        let error = CheckpointSource::open(&path).expect_err("in pieces");
        assert!(matches!(error, CheckpointError::Distributed { .. }), "{error}");
        assert!(error.to_string().contains("convert_distcp_to_pt.py"), "{error}");
    }
}

#[test]
fn diffusers_numerics_change_what_its_pipeline_does_otherwise() {
    let nvidia = ReleasedModel::find("predict2.5-2b/pre-trained").expect("in the table");
    let diffusers = nvidia.clone().with_diffusers_numerics();
    let sampler = |model: &ReleasedModel| match &model.sampler {
        SamplerPreset::Flow(sampler) => sampler.clone(),
        SamplerPreset::TrigFlow(_) | SamplerPreset::Stream(_) => panic!("a base model"),
    };
    let (own, other) = (sampler(&nvidia), sampler(&diffusers));
    assert_eq!(own.sigmas.schedule(own.num_steps).num_evaluations(), 35);
    assert_eq!(other.sigmas.schedule(other.num_steps).num_evaluations(), 36);
    assert_eq!(
        (other.network_time, other.conditional_frame_timestep),
        (NetworkTime::Exact, Some(0.1))
    );
    assert_eq!(other.guidance_scale, own.guidance_scale);
    assert!(other.guidance_formula.is_neutral(1.0) && !own.guidance_formula.is_neutral(1.0));
    assert_eq!(diffusers.network.rope_exponents, RopeExponents::Exact);
    assert_eq!(
        [nvidia.network.rounding, diffusers.network.rounding],
        [None, Some(DitRounding::TimeAndNorms)]
    );
    assert_eq!(
        (nvidia.network.qk_norm_eps, diffusers.network.qk_norm_eps),
        (1e-6, 1e-5)
    );
}
