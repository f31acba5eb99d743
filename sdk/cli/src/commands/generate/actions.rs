//! `worldloop generate --action`: a picture and a file of actions to a video.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::json;
use worldloop::action_rollout::{PlayProgress, PlayedActions, RecordedClip, Seam, play_actions, stream_actions};
use worldloop::data::bridge::InferenceParams;
use worldloop::generation::{Resolution, prepare_folder, read_last_frame};
use worldloop::world_model::WorldModel;
use worldloop::world_model::catalog::{ReleasedModel, SamplerPreset};
use worldloop::world_model::diffusion::TrigFlow;
use worldloop::world_model::pipeline::{ActionRolloutOptions, Feedback, Predict};

use super::super::action_model::ActionModel;
use super::args::GenerateArgs;
use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// Plays the actions of a file, from the last frame of the input on.
pub(super) fn run(args: &GenerateArgs, actions: &Path, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let device = worldloop::device::select(&args.device)?;
    let formats = args.formats()?;
    // What the user wrote is read before the weights: its mistakes are found sooner.
    let clip = clip(args, actions)?;
    let name = args.sample.name.clone().unwrap_or_else(|| clip.name.clone());
    let paths = formats.iter().map(|format| format.path(&args.out, &name));
    if !args.overwrite && paths.clone().all(|path| path.exists()) {
        for path in paths {
            println!("{}: was there before, --overwrite makes it again", path.display());
        }
        return Ok(Outcome::Done);
    }
    let folder = super::open_folder(&args.networks)?;
    prepare_folder(&args.out)?;
    let [height, width] = clip.size();
    let options = ActionRolloutOptions {
        height,
        width,
        chunk_length: args.sample.chunk_size,
        num_steps: args.sample.steps,
        frame_rate_hz: args.fps as f32,
        feedback: Feedback::Rgb8,
        text: None,
        zero_text: args.sample.zero_text,
    };
    let named = args.networks.model.as_deref().map(ReleasedModel::find).transpose()?;
    let flow = match named.as_ref().map(|model| &model.sampler) {
        Some(SamplerPreset::Stream(flow)) => Some(flow.clone()),
        _ => args.sample.streaming.then(TrigFlow::four_steps_by_frame),
    };
    let model = ActionModel {
        folder: &folder,
        dtype: &args.networks.dtype,
        adapter: &args.networks.adapter,
        network: named.map(|model| model.network),
        text: args
            .networks
            .prompt_embedding
            .first()
            .map(|path| ("--prompt-embedding", path.as_path())),
    };
    let model = model.load(options, &device)?;
    if folder.is_random() {
        super::note_random_weights(folder.path());
    }
    let started = Instant::now();
    let played = match &flow {
        Some(flow) => stream(&model, flow, &clip, &name, stop)?,
        None => play(&model, &clip, &name, stop)?,
    };
    let Some(played) = played else {
        eprintln!("stopped; the same command begins `{name}` again");
        return Ok(Outcome::Stopped);
    };
    let mut files = Vec::new();
    for format in &formats {
        files.push(format.write(&args.out, &name, &played.frames, args.fps)?);
    }
    let (frames, seconds) = (played.frames.len(), started.elapsed().as_secs_f64());
    if args.json {
        let line = json!({
            "name": name, "frames": frames, "actions": clip.actions.len(), "height": height, "width": width,
            "chunks": played.chunk_secs.len(), "model": model.spec().name, "streaming": flow.is_some(),
            "steps": flow.map_or(model.config().sampler.num_steps, |flow| flow.angles.len()),
            "files": files, "seconds": seconds,
        });
        println!("{line}");
    } else {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        println!(
            "{}: {frames} frames of {height}x{width} in {seconds:.1} s",
            files.join(", ")
        );
    }
    Ok(Outcome::Done)
}

/// Reads the actions and the frame that they start from.
fn clip(args: &GenerateArgs, actions: &Path) -> anyhow::Result<RecordedClip> {
    let mut params = InferenceParams::default();
    if let Some(text) = &args.sample.resolution
        && let Resolution::Pixels { height, width } = Resolution::parse(text)?
    {
        params.resolution = format!("{height},{width}");
    }
    if args.networks.prompt_embedding.len() > 1 {
        bail!("--action takes one --prompt-embedding: that of the empty prompt");
    }
    let Some(input) = &args.sample.input else {
        return RecordedClip::open(actions, &params).context(
            "--action without --input needs an annotation with its video; pass the picture to start from with --input",
        );
    };
    Ok(RecordedClip::from_picture(
        read_last_frame(input)?,
        input,
        actions,
        &params,
    )?)
}

/// Plays actions chunk by chunk; none if the user asked to stop.
fn play(model: &Predict, clip: &RecordedClip, name: &str, stop: &StopFlag) -> anyhow::Result<Option<PlayedActions>> {
    let mut progress: Option<Progress> = None;
    let show = |at: PlayProgress| {
        let total = (at.chunks * at.num_steps) as u64;
        let bar = progress.get_or_insert_with(|| Progress::new(name, total));
        bar.set(
            (at.chunks_done * at.num_steps + at.steps_done) as u64,
            "denoising steps",
        );
        stop.flow()
    };
    let played = play_actions(model, clip, Seam::Fixed, false, show)?;
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(played)
}

/// Plays actions latent frame by latent frame; none if the user asked to stop.
fn stream(
    model: &Predict,
    flow: &TrigFlow,
    clip: &RecordedClip,
    name: &str,
    stop: &StopFlag,
) -> anyhow::Result<Option<PlayedActions>> {
    let mut progress = Progress::new(name, clip.actions.len() as u64);
    let played = stream_actions(model, flow, clip, |at| {
        let message = format!("{} frames in {:.2} s", at.frames.len(), at.elapsed.as_secs_f64());
        progress.set(at.actions_done as u64, &message);
        stop.flow()
    })?;
    progress.finish();
    Ok(played)
}
