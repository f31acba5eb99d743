//! What plans promise.

use worldloop_world_model::diffusion::GuidanceFormula;

use super::super::multiview::{Cameras, DrivingView, DrivingViews, RobotInputs};
use super::super::request_file::RequestFields;
use super::*;

fn released(name: &str) -> ModelLimits {
    let model = ReleasedModel::find(name).expect("a released model");
    ModelLimits::new(name, &model.network.clone(), &WanVaeConfig::wan2_1(), Some(model))
        .expect("a model of known cameras")
}

fn request(fields: RequestFields) -> GenerationRequest {
    let prompt = RequestFields {
        prompt: Some("p".into()),
        ..RequestFields::default()
    };
    fields.or(&prompt).resolve(false).expect("a valid request")
}

fn flow(plan: &GenerationPlan) -> SamplerConfig {
    match &plan.sampler {
        SamplerPreset::Flow(config) => config.clone(),
        SamplerPreset::TrigFlow(flow) | SamplerPreset::Stream(flow) => panic!("{flow:?}"),
    }
}

#[test]
fn the_defaults_are_those_of_the_reference() {
    let plan = released("predict2.5-2b/post-trained")
        .plan(&request(RequestFields::default()))
        .unwrap();
    assert_eq!((plan.size, plan.frames, plan.num_chunks()), ([704, 1280], 93, 1));
    assert_eq!((flow(&plan).guidance_scale, flow(&plan).num_steps), (7.0, 35));
    // The Karras table has one evaluation more than steps.
    assert_eq!((plan.num_steps(), plan.is_guided()), (36, true));
    let plan = released("predict2.5-2b/pre-trained")
        .plan(&request(RequestFields::default()))
        .unwrap();
    assert_eq!(plan.num_steps(), 35);
}

#[test]
fn chunks_sample_whole_clips_of_the_model() {
    let fields = RequestFields {
        enable_autoregressive: Some(true),
        num_output_frames: Some(153),
        num_steps: Some(10),
        ..RequestFields::default()
    };
    let plan = released("predict2.5-2b/pre-trained").plan(&request(fields)).unwrap();
    assert_eq!((plan.latent_frames, plan.num_chunks(), plan.num_steps()), (24, 2, 20));
}

#[test]
fn a_distilled_model_starts_from_text_and_makes_four_steps_without_guidance() {
    let distilled = released("predict2.5-2b/distilled");
    let plan = distilled.plan(&request(RequestFields::default())).unwrap();
    assert_eq!((plan.num_steps(), plan.is_guided()), (4, false));
    let fields = RequestFields {
        input_path: Some("a.png".into()),
        ..RequestFields::default()
    };
    let message = distilled.plan(&request(fields)).unwrap_err().to_string();
    assert!(
        message.contains("image2world") && message.contains("starts from text"),
        "{message}"
    );
    let fields = RequestFields {
        num_steps: Some(35),
        ..RequestFields::default()
    };
    let message = distilled.plan(&request(fields)).unwrap_err().to_string();
    assert!(
        message.contains("35 steps") && message.contains("distilled to 4"),
        "{message}"
    );
}

#[test]
fn frames_that_do_not_fit_are_told_with_those_that_do() {
    let limits = released("predict2.5-2b/pre-trained");
    let message = |frames, input: Option<&str>| {
        let fields = RequestFields {
            num_output_frames: Some(frames),
            input_path: input.map(Into::into),
            ..RequestFields::default()
        };
        limits.plan(&request(fields)).expect_err("it does not fit").to_string()
    };
    assert!(message(12, None).contains("9 or 13"), "{}", message(12, None));
    assert!(message(97, None).contains("at most 93"), "{}", message(97, None));
    assert!(
        message(5, Some("a.mp4")).contains("at least 9"),
        "{}",
        message(5, Some("a.mp4"))
    );
}

#[test]
fn a_network_of_unknown_origin_needs_a_size() {
    let vae = WanVaeConfig::wan2_1();
    let network = DitConfig::predict2_5_2b();
    let limits = ModelLimits::new("mine", &network, &vae, None).unwrap();
    let message = limits.plan(&request(RequestFields::default())).unwrap_err().to_string();
    assert!(message.contains("--resolution"), "{message}");
    let fields = RequestFields {
        resolution: Some("64,96".into()),
        num_output_frames: Some(9),
        enable_autoregressive: Some(true),
        chunk_size: Some(7),
        ..RequestFields::default()
    };
    let plan = limits.plan(&request(fields)).unwrap();
    assert_eq!((plan.latent_frames, plan.num_chunks()), (3, 2));
}

#[test]
fn networks_with_actions_and_views_are_sent_elsewhere() {
    let vae = WanVaeConfig::wan2_1();
    let message = ModelLimits::new("m", &DitConfig::action_cond_2b(), &vae, None)
        .unwrap_err()
        .to_string();
    assert!(message.contains("worldloop rollout"), "{message}");
    let message = released("predict2.5-2b/auto/multiview")
        .plan(&request(RequestFields::default()))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("one camera") && message.contains("views of a drive"),
        "{message}"
    );
}

/// A request for three cameras of a robot.
fn robot(fields: RequestFields) -> GenerationRequest {
    let inputs = RobotInputs {
        input_root: "in".into(),
        index: 0,
    };
    let resolved = fields.resolve_as(InferenceType::Image2World, Cameras::Robot(inputs), false);
    resolved.expect("a valid request")
}

#[test]
fn views_have_the_settings_of_their_models() {
    let plan = released("predict2.5-2b/robot/multiview-agibot")
        .plan(&robot(RequestFields::default()))
        .unwrap();
    assert_eq!((plan.size, plan.frames, plan.given), ([704, 1280], 93, 1));
    assert_eq!((plan.latent_frames, plan.patch_px), (24, 16));
    assert_eq!(flow(&plan).conditional_frame_timestep, Some(0.1));
    let views = DrivingViews {
        inputs: [(DrivingView::FrontWide, None)].into(),
        captions: None,
        fps: 30.0,
    };
    let drive = RequestFields::default().resolve_as(InferenceType::Video2World, Cameras::Driving(views), false);
    let plan = released("predict2.5-2b/auto/multiview").plan(&drive.unwrap()).unwrap();
    assert_eq!((plan.size, plan.frames, plan.given), ([720, 1280], 29, 5));
    assert_eq!(
        (flow(&plan).guidance_scale, flow(&plan).guidance_formula),
        (3.0, GuidanceFormula::FromUnconditional)
    );
}

#[test]
fn views_are_not_made_in_chunks() {
    let fields = RequestFields {
        enable_autoregressive: Some(true),
        ..RequestFields::default()
    };
    let limits = released("predict2.5-2b/robot/multiview-agibot");
    let message = limits.plan(&robot(fields)).unwrap_err().to_string();
    assert!(message.contains("--autoregressive"), "{message}");
    let fields = RequestFields {
        num_output_frames: Some(97),
        ..RequestFields::default()
    };
    let message = limits.plan(&robot(fields)).unwrap_err().to_string();
    assert!(
        message.contains("at most 93") && !message.contains("--autoregressive"),
        "{message}"
    );
}
