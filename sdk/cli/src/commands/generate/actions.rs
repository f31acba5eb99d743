//! `worldloop generate --action`: a picture and a file of actions to a video.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::json;
use worldloop::action_rollout::{PlayProgress, PlayedActions, RecordedClip, Seam, play_actions, stream_actions};
use worldloop::data::bridge::InferenceParams;
use worldloop::device::Device;
use worldloop::generation::{Resolution, check_name, prepare_folder, read_last_frame};
use worldloop::world_model::WorldModel;
use worldloop::world_model::catalog::{ACTION_FRAME_RATE_HZ, ReleasedModel, SamplerPreset};
use worldloop::world_model::diffusion::TrigFlow;
use worldloop::world_model::dit::DitConfig;
use worldloop::world_model::pipeline::{ActionRolloutOptions, CheckpointFolder, Feedback, Predict};

use super::super::action_model::{ActionClass, ActionModel, EmptyPrompt};
use super::args::GenerateArgs;
use super::outputs::tell_skipped;
use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// A model, and the flow of one latent frame where it makes one after the other.
struct Player {
    model: Predict,
    flow: Option<TrigFlow>,
    frame_rate_hz: f64,
}

/// Plays the actions of a file, from the last frame of the input on.
pub(super) fn run(args: &GenerateArgs, actions: &Path, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let device = worldloop::device::select(&args.device)?;
    let formats = args.formats()?;
    // What the user wrote is read before the weights: its mistakes are found sooner.
    let named = args.networks.model.as_deref().map(ReleasedModel::find).transpose()?;
    let clip = clip(args, actions, named.as_ref())?;
    let name = args.sample.name.clone().unwrap_or_else(|| clip.name.clone());
    check_name(&name)?;
    let paths: Vec<PathBuf> = formats.iter().map(|format| format.path(&args.out, &name)).collect();
    if !args.overwrite && paths.iter().all(|path| path.exists()) {
        tell_skipped(args.json, &name, &paths);
        return Ok(Outcome::Done);
    }
    let player = open(args, named, clip.size(), &device)?;
    prepare_folder(&args.out)?;
    let started = Instant::now();
    let Some(played) = player.play(&clip, &name, stop)? else {
        eprintln!("stopped; the same command begins `{name}` again");
        return Ok(Outcome::Stopped);
    };
    for format in &formats {
        format.write(&args.out, &name, &played.frames, player.frame_rate_hz)?;
    }
    player.tell(
        args.json,
        &name,
        (&clip, &played),
        (&paths, started.elapsed().as_secs_f64()),
    );
    Ok(Outcome::Done)
}

/// Reads the actions and the frame that they start from.
fn clip(args: &GenerateArgs, actions: &Path, named: Option<&ReleasedModel>) -> anyhow::Result<RecordedClip> {
    let mut params = InferenceParams::default();
    if let Some([height, width]) = named.map(|model| model.size_px) {
        params.resolution = format!("{height},{width}");
    }
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

/// Loads the model for frames of a size.
fn open(
    args: &GenerateArgs,
    named: Option<ReleasedModel>,
    [height, width]: [usize; 2],
    device: &Device,
) -> anyhow::Result<Player> {
    let networks = &args.networks;
    let folder = super::open_folder(networks)?;
    if let Some(model) = &named {
        require_fit(model, &folder)?;
    }
    let flow = match named.as_ref().map(|model| (model.name, &model.sampler)) {
        Some((_, SamplerPreset::Stream(flow))) => Some(flow.clone()),
        Some((name, _)) if args.sample.streaming => {
            bail!("{name} is no causal model: leave --streaming out, or --model for a causal network without a name")
        }
        _ => args.sample.streaming.then(TrigFlow::four_steps_by_frame),
    };
    super::note_unchecked(named.as_ref());
    let released_rate = named.as_ref().map_or(ACTION_FRAME_RATE_HZ, |model| model.frame_rate_hz);
    let frame_rate_hz = args.fps.unwrap_or(released_rate);
    let class = match named {
        Some(model) => ActionClass::Named(Box::new(model.network)),
        None if args.sample.streaming => ActionClass::Causal,
        None if args.sample.whole_chunk => ActionClass::WholeChunk,
        None => ActionClass::Recognised,
    };
    let embedding = networks.prompt_embedding.first().map(PathBuf::as_path);
    let model = ActionModel {
        folder: &folder,
        dtype: &networks.dtype,
        adapter: &networks.adapter,
        class,
        text: EmptyPrompt::of(("--prompt-embedding", embedding), networks.text_encoder.as_deref()),
    };
    let options = ActionRolloutOptions {
        height,
        width,
        chunk_length: args.sample.chunk_size,
        num_steps: args.sample.steps,
        frame_rate_hz: frame_rate_hz as f32,
        feedback: Feedback::Rgb8,
        text: None,
        zero_text: args.sample.zero_text,
    };
    let model = model.load(options, device)?;
    if folder.is_random() {
        super::note_random_weights(folder.path());
    }
    Ok(Player {
        model,
        flow,
        frame_rate_hz,
    })
}

/// Refuses a model that was named and is not the one whose weights are there.
fn require_fit(model: &ReleasedModel, folder: &CheckpointFolder) -> anyhow::Result<()> {
    let found = &folder.action_conditioned()?.transformer;
    let sizes = |config: &DitConfig| {
        let action = config.conditioning.action.as_ref();
        let columns = action.map(|action| action.action_dim * action.actions_per_group());
        (config.model_channels, config.num_blocks, columns)
    };
    if sizes(&found.config) != sizes(&model.network) {
        bail!(
            "`{}` does not hold the weights of {}: width, blocks or actions differ; leave --model out, or name what it is \
             (`worldloop inspect` tells)",
            folder.path().display(),
            model.name
        );
    }
    Ok(())
}

impl Player {
    /// Plays actions with progress; none if the user asked to stop.
    fn play(&self, clip: &RecordedClip, name: &str, stop: &StopFlag) -> anyhow::Result<Option<PlayedActions>> {
        let mut progress: Option<Progress> = None;
        let mut show = |done: usize, total: usize, message: &str| {
            let bar = progress.get_or_insert_with(|| Progress::new(name, total as u64));
            bar.set(done as u64, message);
            stop.flow()
        };
        let played = match &self.flow {
            Some(flow) => stream_actions(&self.model, flow, clip, |at| {
                let message = format!("{} frames in {:.2} s", at.frames.len(), at.elapsed.as_secs_f64());
                show(at.actions_done, at.actions, &message)
            })?,
            None => play_actions(&self.model, clip, Seam::Fixed, false, |at: PlayProgress| {
                let done = at.chunks_done * at.num_steps + at.steps_done;
                show(done, at.chunks * at.num_steps, "denoising steps")
            })?,
        };
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(played)
    }

    /// Says what was made.
    fn tell(
        &self,
        is_json: bool,
        name: &str,
        (clip, played): (&RecordedClip, &PlayedActions),
        (files, seconds): (&[PathBuf], f64),
    ) {
        let ([height, width], frames) = (clip.size(), played.frames.len());
        if is_json {
            let steps = self.flow.as_ref().map(|flow| flow.angles.len());
            let line = json!({
                "name": name, "frames": frames, "actions": clip.actions.len(), "height": height, "width": width,
                "chunks": played.chunk_secs.len(), "model": self.model.spec().name, "streaming": steps.is_some(),
                "steps": steps.unwrap_or(self.model.config().sampler.num_steps), "files": files, "seconds": seconds,
                "skipped": false,
            });
            println!("{line}");
            return;
        }
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        println!(
            "{}: {frames} frames of {height}x{width} in {seconds:.1} s",
            files.join(", ")
        );
    }
}
