//! `worldloop rollout`: recorded actions of a real robot, played in an action-conditioned model.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use worldloop::action_rollout::{
    PlayProgress, RecordedClip, RolloutFiles, RolloutRecord, RolloutSettings, Seam, play_actions,
};
use worldloop::data::bridge::{ImageSize, InferenceParams};
use worldloop::data::ffmpeg_is_installed;
use worldloop::device::{self, Device};
use worldloop::generation::prepare_folder;
use worldloop::world_model::WorldModel;
use worldloop::world_model::pipeline::{ActionRolloutOptions, Feedback, Predict};

use super::action_model::{ActionClass, ActionModel, EmptyPrompt};
use super::checkpoint::{self, AdapterArgs};
use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// What an annotation's file name ends with.
const ANNOTATION_ENDING: &str = "json";

/// Plays the recorded actions of a real robot in an action-conditioned model, from the first recorded frame on.
///
/// Actions are computed from the recorded states: translation and rotation to the next state in the axes of the earlier one,
/// times 20, and the gripper as it is. Chunks of 12 follow each other; the last frame of one is the first of the next. The
/// noise of a chunk is seeded with the index of its first action, as upstream; `seed` in the parameters is not used.
///
/// The first frame is resized as Pillow does it with LANCZOS, to the byte. Out come NAME_chunk.mp4, an animation with the
/// recording on the left, and NAME.json, for each annotation. Results that are there are not made again. Ctrl-C ends after
/// the denoising step that is under way, a second one at once; the same command goes on with that recording.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop rollout --checkpoint Cosmos-Predict2.5-2B --annotation bridge/annotation --params bridge/inference_params.json --out rollouts\n  worldloop rollout --checkpoint tiny --annotation bridge/annotation/0.json --out rollouts --steps 4 --json"
)]
pub(crate) struct RolloutArgs {
    /// Folder with transformer and VAE, in NVIDIA's layout or that of diffusers, or the transformer's file in it; or the name of a
    /// released model that `worldloop fetch` put into the cache.
    #[arg(long)]
    checkpoint: PathBuf,
    /// Annotation of Bridge, or a folder of them; may be given several times. Without it, the folder in the parameters. Videos
    /// are looked for from `input_root` and the folders above an annotation.
    #[arg(long)]
    annotation: Vec<PathBuf>,
    /// Folder of the results.
    #[arg(long)]
    out: PathBuf,
    /// Published settings (inference_params.json): all keys are known; those that can't be followed are refused.
    #[arg(long)]
    params: Option<PathBuf>,
    /// Denoising steps per chunk; without it, those of the parameters or the released 35.
    #[arg(long)]
    steps: Option<usize>,
    /// How chunks are put together.
    #[arg(long, value_enum, default_value_t = SeamName::Fixed)]
    seam: SeamName,
    /// What the last frame of a chunk goes through before it starts the next one.
    #[arg(long, value_enum, default_value_t = FeedbackName::Rgb8)]
    feedback: FeedbackName,
    /// Embedding of the empty prompt; without it, the one in the checkpoint's folder.
    #[arg(long)]
    text_embedding: Option<PathBuf>,
    /// Text encoder that makes it, the folder of nvidia/Cosmos-Reason1-7B (needs `--features tokenizer`); what it made once is in
    /// the cache.
    #[arg(long, value_name = "DIR", conflicts_with = "text_embedding")]
    text_encoder: Option<PathBuf>,
    /// Goes on with zeros where there is no embedding of the empty prompt; the model was not trained with them.
    #[arg(long)]
    zero_text: bool,
    /// Takes the network for one of the older class, which sees all actions of a chunk at once; its weights do not tell.
    #[arg(long)]
    whole_chunk: bool,
    /// Where to compute: flex (the CPU), cuda, cuda:N or wgpu.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Precision of the transformer's weights: f32, bf16 or f16. The VAE stays in f32.
    #[arg(long, default_value = "f32")]
    dtype: String,
    #[command(flatten)]
    adapter: AdapterArgs,
    /// Makes results anew that are there already.
    #[arg(long)]
    overwrite: bool,
    /// Prints one line of JSON per annotation, and nothing else.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SeamName {
    /// The observed frame, then one frame per action: none padded, none twice.
    Fixed,
    /// As the public script: the last chunk is filled up with zero actions, and their frames stay; the first frame is the VAE's.
    Public,
    /// As the internal script: a short last chunk is left out; later chunks repeat their first frame and lose their last.
    Internal,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FeedbackName {
    /// 8-bit RGB, cut off as upstream.
    Rgb8,
    /// Floating point.
    Float,
}

/// Runs the command.
pub(crate) fn run(args: &RolloutArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let params = args
        .params
        .as_ref()
        .map(InferenceParams::open)
        .transpose()?
        .unwrap_or_default();
    let annotations = annotations(args, &params)?;
    let device = device::select(&args.device)?;
    // The first recording is read before the checkpoint: its mistakes are found sooner, and it may tell the size.
    let first = RecordedClip::open(&annotations[0], &params)?;
    let (model, is_random) = load(args, &params, &first, &device)?;
    prepare_folder(&args.out)?;
    if is_random {
        eprintln!("note: the weights are random; the frames show that the loop runs, and nothing else");
    }
    if !ffmpeg_is_installed() {
        eprintln!("note: without the program ffmpeg (apt-get install ffmpeg) the predicted video becomes a GIF");
    }
    let settings = settings(args, &params, &model, is_random)?;
    let mut rows = Vec::new();
    let mut failed = 0;
    for annotation in &annotations {
        if stop.is_set() {
            return Ok(Outcome::Stopped);
        }
        let row = match roll_out(args, &params, &model, &settings, annotation, stop) {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(Outcome::Stopped),
            // One damaged recording does not cost the others of a folder.
            Err(error) if annotations.len() > 1 => {
                eprintln!("error: `{}` was not played: {error:#}", annotation.display());
                failed += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        if args.json {
            print_json(&row)?;
        }
        rows.push(row);
    }
    if !args.json {
        print_table(&rows)?;
    }
    if failed > 0 {
        bail!("{failed} of {} recordings were not played", annotations.len());
    }
    Ok(Outcome::Done)
}

impl RolloutArgs {
    /// Says where the text embedding comes from.
    fn text(&self) -> String {
        let named = self.text_embedding.as_ref().or(self.text_encoder.as_ref());
        match named {
            Some(path) => path.display().to_string(),
            None if self.zero_text => "zeros".to_owned(),
            None => "checkpoint".to_owned(),
        }
    }
}

/// The figures of one recording, and whether they were there before.
struct Row {
    record: RolloutRecord,
    skipped: bool,
}

/// Plays one recording; `None` if the user asked to stop.
fn roll_out(
    args: &RolloutArgs,
    params: &InferenceParams,
    model: &Predict,
    settings: &RolloutSettings,
    annotation: &Path,
    stop: &StopFlag,
) -> anyhow::Result<Option<Row>> {
    let files = RolloutFiles::new(&args.out, &name(annotation), params.single_chunk);
    let anew = args.overwrite || params.overwrite;
    if !anew && let Some(record) = files.finished(annotation, settings)? {
        return Ok(Some(Row { record, skipped: true }));
    }
    let clip = RecordedClip::open(annotation, params)?;
    let mut progress: Option<Progress> = None;
    let show = |at: PlayProgress| {
        let steps = (at.chunks * at.num_steps) as u64;
        let bar = progress.get_or_insert_with(|| Progress::new(clip.name.clone(), steps));
        let chunk = (at.chunks_done + 1).min(at.chunks);
        bar.set(
            (at.chunks_done * at.num_steps + at.steps_done) as u64,
            &format!("denoising steps, chunk {chunk}/{}", at.chunks),
        );
        stop.flow()
    };
    let played = play_actions(model, &clip, args.seam.seam(), params.single_chunk, show)?;
    if let Some(progress) = progress {
        progress.finish();
    }
    let Some(played) = played else {
        return Ok(None);
    };
    let record = files.write(&clip, &played, params.save_fps, settings.clone())?;
    Ok(Some(Row { record, skipped: false }))
}

/// Lists the annotations, and checks that no two have the same name.
fn annotations(args: &RolloutArgs, params: &InferenceParams) -> anyhow::Result<Vec<PathBuf>> {
    let published = || Some(params.input_root.as_ref()?.join(params.input_json_sub_folder.as_ref()?));
    let given = match (args.annotation.as_slice(), published()) {
        ([], Some(folder)) => vec![folder],
        ([], None) => {
            bail!("no recording was named: give --annotation, or --params with input_root and input_json_sub_folder")
        }
        (given, _) => given.to_vec(),
    };
    let mut annotations = Vec::new();
    for path in given {
        if !path.is_dir() {
            annotations.push(path);
            continue;
        }
        let entries =
            std::fs::read_dir(&path).with_context(|| format!("cannot read the folder `{}`", path.display()))?;
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry
                .with_context(|| format!("cannot read the folder `{}`", path.display()))?
                .path();
            if entry.extension().is_some_and(|ending| ending == ANNOTATION_ENDING) {
                found.push(entry);
            }
        }
        found.sort();
        if params.part(&found).is_empty() {
            let count = found.len();
            bail!(
                "`{}` holds no annotation to play: {count} files end in .json, see start and end in the parameters",
                path.display()
            );
        }
        annotations.extend_from_slice(params.part(&found));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = annotations.iter().find(|path| !names.insert(name(path))) {
        bail!(
            "two annotations are called `{}` and would have the same results: play them into different folders",
            name(twice)
        );
    }
    Ok(annotations)
}

fn name(annotation: &Path) -> String {
    annotation
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Loads the model for frames of the size that the parameters or the first recording have, and says if it is random.
fn load(
    args: &RolloutArgs,
    params: &InferenceParams,
    first: &RecordedClip,
    device: &Device,
) -> anyhow::Result<(Predict, bool)> {
    let folder = checkpoint::open(&args.checkpoint)?;
    let [height, width] = match params.image_size() {
        Some(ImageSize::Pixels { height, width }) => [height, width],
        Some(ImageSize::Recorded) | None => first.size(),
    };
    let options = ActionRolloutOptions {
        height,
        width,
        chunk_length: params.chunk_size,
        num_steps: args.steps.or(params.num_steps),
        frame_rate_hz: first.frame_rate_hz.unwrap_or(1.0) as f32,
        feedback: args.feedback.feedback(),
        text: None,
        zero_text: args.zero_text,
    };
    let model = ActionModel {
        folder: &folder,
        dtype: &args.dtype,
        adapter: &args.adapter,
        class: if args.whole_chunk {
            ActionClass::WholeChunk
        } else {
            ActionClass::Recognised
        },
        text: EmptyPrompt::of(
            ("--text-embedding", args.text_embedding.as_deref()),
            args.text_encoder.as_deref(),
        ),
    };
    Ok((model.load(options, device)?, folder.is_random()))
}

fn settings(
    args: &RolloutArgs,
    params: &InferenceParams,
    model: &Predict,
    random_weights: bool,
) -> anyhow::Result<RolloutSettings> {
    let spec = model.spec();
    Ok(RolloutSettings {
        checkpoint: args.checkpoint.clone(),
        model: spec.name.clone(),
        random_weights,
        dtype: args.dtype.clone(),
        adapter: args.adapter.adapter()?.map(|(path, scale)| (path.to_owned(), scale)),
        seam: args.seam.seam().name().to_owned(),
        feedback: args.feedback.name().to_owned(),
        num_steps: model.config().sampler.num_steps,
        chunk_length: spec.chunk_length,
        noise_seed: "index of the chunk's first action".to_owned(),
        height: spec.height,
        width: spec.width,
        whole_chunk: args.whole_chunk,
        text: args.text(),
        state_key: params.state_key.clone(),
        gripper_key: params.gripper_key.clone(),
        start_frame_idx: params.start_frame_idx,
        fps_downsample_ratio: params.fps_downsample_ratio,
        camera_id: params.camera_id,
        action_scaler: params.action_scaler,
        gripper_scale: params.gripper_scale,
        single_chunk: params.single_chunk,
    })
}

fn print_json(row: &Row) -> anyhow::Result<()> {
    let mut object = serde_json::to_value(&row.record)?;
    object["skipped"] = row.skipped.into();
    writeln!(io::stdout().lock(), "{object}")?;
    Ok(())
}

fn print_table(rows: &[Row]) -> io::Result<()> {
    let out = &mut io::stdout().lock();
    writeln!(
        out,
        "{:<12} {:>6} {:>6} {:>9} {:>18}  video",
        "recording", "frames", "chunks", "s/chunk", "PSNR to recording"
    )?;
    for Row { record, skipped } in rows {
        let psnr = match record.psnr_against_recording_db {
            Some(psnr) => format!("{psnr:.2} dB"),
            None if record.settings.random_weights => "random weights".to_owned(),
            None => String::new(),
        };
        let (name, seconds) = (name(&record.annotation), record.seconds_per_chunk);
        let (frames, chunks, video) = (record.frames, record.chunks, record.predicted_video.display());
        let there = if *skipped { " (was there)" } else { "" };
        writeln!(
            out,
            "{name:<12} {frames:>6} {chunks:>6} {seconds:>9.2} {psnr:>18}  {video}{there}"
        )?;
    }
    Ok(())
}

impl SeamName {
    fn seam(self) -> Seam {
        match self {
            Self::Fixed => Seam::Fixed,
            Self::Public => Seam::Public,
            Self::Internal => Seam::Internal,
        }
    }
}

impl FeedbackName {
    fn feedback(self) -> Feedback {
        match self {
            Self::Rgb8 => Feedback::Rgb8,
            Self::Float => Feedback::Float,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rgb8 => "rgb8",
            Self::Float => "float",
        }
    }
}
