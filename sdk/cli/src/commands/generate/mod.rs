//! `worldloop generate`: prompts, images, videos and actions to videos.

mod actions;
mod args;
mod texts;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use serde_json::json;
use worldloop::device::{DType, Device};
use worldloop::generation::{
    BaseCheckpoint, GenerationInput, GenerationPlan, GenerationRequest, Generator, OutputFormat, check_input,
    prepare_folder, read_last_frames, read_request_file,
};
use worldloop::text::{EmbeddingLibrary, TextSource, TextSources};
use worldloop::world_model::catalog::ReleasedModel;
use worldloop::world_model::pipeline::CheckpointFolder;

pub(crate) use self::args::GenerateArgs;
use self::args::{NetworkArgs, Numerics};
use self::texts::{Encoded, Projected, encode};
use super::{checkpoint, text_encoder};
use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// A video that is to be made.
struct Job {
    request: GenerationRequest,
    plan: GenerationPlan,
    texts: TextSources,
}

/// What all videos have in common.
struct Workshop<'a> {
    args: &'a GenerateArgs,
    formats: Vec<OutputFormat>,
    generator: Generator,
    encoded: Encoded,
    text_width: usize,
    prompts: Projected,
    negatives: Projected,
}

/// Runs the command.
pub(crate) fn run(args: &GenerateArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    if let Some(actions) = &args.sample.action {
        return actions::run(args, actions, stop);
    }
    let device = worldloop::device::select(&args.device)?;
    let requests = requests(args)?;
    let formats = args.formats()?;
    let dtype = worldloop::device::precision(&args.networks.dtype, &device)?;
    let checkpoint = open_checkpoint(&args.networks)?;
    let jobs = jobs(args, requests, &checkpoint)?;
    prepare_folder(&args.out)?;
    let (jobs, done): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| {
        let missing = |format: &OutputFormat| !format.path(&args.out, &job.request.name).exists();
        args.overwrite || formats.iter().any(missing)
    });
    for job in &done {
        tell(args, job, &files(args, &formats, job), None)?;
    }
    if jobs.is_empty() {
        return Ok(Outcome::Done);
    }
    note_left_out_texts(&jobs);
    let mut workshop = open_workshop(args, formats, &checkpoint, &jobs, (dtype, &device))?;
    for job in &jobs {
        if stop.is_set() || !workshop.make(job, stop)? {
            eprintln!("stopped; the same command goes on with `{}`", job.request.name);
            return Ok(Outcome::Stopped);
        }
    }
    Ok(Outcome::Done)
}

/// Returns what is to be generated, by flags and the request file.
fn requests(args: &GenerateArgs) -> anyhow::Result<Vec<GenerationRequest>> {
    let flags = args.sample.fields()?;
    let samples = match &args.request {
        Some(path) => read_request_file(path)?,
        None => vec![flags.clone()],
    };
    let mut requests = Vec::new();
    for sample in samples {
        let request = flags.clone().or(&sample).resolve(args.like_reference)?;
        if let Some(input) = &request.input_path {
            check_input(input)?;
        }
        requests.push(request);
    }
    Ok(requests)
}

fn open_checkpoint(networks: &NetworkArgs) -> anyhow::Result<BaseCheckpoint> {
    let folder = open_folder(networks)?;
    let path = folder.path().to_owned();
    let model = networks.model.as_deref().map(ReleasedModel::find).transpose()?;
    let mut checkpoint = BaseCheckpoint::new(folder, model.as_ref())?;
    if networks.numerics == Numerics::Diffusers {
        checkpoint = checkpoint.with_diffusers_numerics();
    }
    if checkpoint.is_random() {
        note_random_weights(&path);
    }
    if !checkpoint.alternatives.is_empty() {
        eprintln!(
            "note: taken for {}; the weights could be {} too, --model says which",
            checkpoint.limits().name,
            checkpoint.alternatives.join(" or ")
        );
    }
    Ok(checkpoint)
}

/// Opens the files that flags name.
fn open_folder(networks: &NetworkArgs) -> anyhow::Result<CheckpointFolder> {
    match (&networks.checkpoint, &networks.model) {
        (Some(path), _) => checkpoint::open(path),
        (None, Some(name)) => checkpoint::open_released(&ReleasedModel::find(name)?),
        (None, None) => bail!(
            "there are no weights to generate with: pass --model NAME (`worldloop models` lists them) or --checkpoint PATH"
        ),
    }
}

fn note_random_weights(path: &Path) {
    eprintln!(
        "note: the weights of `{}` were drawn, not trained: what comes out means nothing",
        path.display()
    );
}

/// Finds out how each request is answered, before any weight is read.
fn jobs(
    args: &GenerateArgs,
    requests: Vec<GenerationRequest>,
    checkpoint: &BaseCheckpoint,
) -> anyhow::Result<Vec<Job>> {
    let limits = checkpoint.limits();
    let networks = &args.networks;
    let library = EmbeddingLibrary::open(
        &networks.prompt_embedding,
        checkpoint.embeddings(),
        networks.negative_embedding.as_deref(),
        limits.text_width,
    )?;
    let has_encoder = networks.text_encoder.is_some();
    let job = |request: GenerationRequest| {
        let plan = limits.plan(&request)?;
        let texts = library.sources(&request, plan.is_guided(), has_encoder)?;
        Ok(Job { request, plan, texts })
    };
    requests.into_iter().map(job).collect()
}

fn note_left_out_texts(jobs: &[Job]) {
    if jobs.iter().any(|job| job.texts.negative == Some(TextSource::LeftOut)) {
        eprintln!(
            "note: there is no embedding of the negative prompt, so guidance compares with the text left out, as in \
             training; --negative-embedding FILE names one (`worldloop embed --negative`)"
        );
    }
}

/// Encodes the texts, then reads the networks.
fn open_workshop<'a>(
    args: &'a GenerateArgs,
    formats: Vec<OutputFormat>,
    checkpoint: &BaseCheckpoint,
    jobs: &[Job],
    (dtype, device): (DType, &Device),
) -> anyhow::Result<Workshop<'a>> {
    let text_width = checkpoint.limits().text_width;
    let encoded = match &args.networks.text_encoder {
        Some(folder) => {
            let encoder = text_encoder::open(folder, text_width, device)?;
            encode(jobs.iter().map(|job| &job.texts), encoder)?
        }
        None => Encoded::new(),
    };
    Ok(Workshop {
        args,
        formats,
        generator: checkpoint.load(args.networks.adapter.adapter(), dtype, device)?,
        encoded,
        text_width,
        prompts: Projected::default(),
        negatives: Projected::default(),
    })
}

impl Workshop<'_> {
    /// Makes one video; `false` if the user asked to stop before it was whole.
    fn make(&mut self, job: &Job, stop: &StopFlag) -> anyhow::Result<bool> {
        let Job { request, plan, texts } = job;
        let started = Instant::now();
        let given = match &request.input_path {
            Some(path) => read_last_frames(path, plan.given, request.inference_type, plan.size)?,
            None => Vec::new(),
        };
        let (encoded, generator) = (&self.encoded, &self.generator);
        let context = self
            .prompts
            .get(&texts.prompt, encoded, generator, [0, self.text_width])?;
        let size = [context.num_tokens(), self.text_width];
        let negative = match &texts.negative {
            Some(source) => Some(self.negatives.get(source, encoded, generator, size)?),
            None => None,
        };
        let input = GenerationInput {
            inference_type: request.inference_type,
            given: &given,
            seed: request.seed,
            context,
            negative,
        };
        let mut progress = Progress::new(request.name.as_str(), plan.num_steps() as u64);
        let frames = generator.generate(plan, input, || {
            progress.advance("denoising steps");
            stop.flow()
        });
        progress.finish();
        let Some(frames) = frames else {
            return Ok(false);
        };
        let mut files = Vec::new();
        for format in &self.formats {
            files.push(format.write(&self.args.out, &request.name, &frames, self.args.fps)?);
        }
        tell(self.args, job, &files, Some(started.elapsed().as_secs_f64()))?;
        Ok(true)
    }
}

fn files(args: &GenerateArgs, formats: &[OutputFormat], job: &Job) -> Vec<PathBuf> {
    let path = |format: &OutputFormat| format.path(&args.out, &job.request.name);
    formats.iter().map(path).collect()
}

/// Says what was made, in how many seconds; none for what was there before.
fn tell(args: &GenerateArgs, job: &Job, files: &[PathBuf], seconds: Option<f64>) -> anyhow::Result<()> {
    let Job { request, plan, .. } = job;
    let [height, width] = plan.size;
    if args.json {
        let line = json!({
            "name": request.name, "inference_type": request.inference_type, "frames": plan.frames, "height": height,
            "width": width, "seed": request.seed, "chunks": plan.num_chunks(), "steps": plan.num_steps(),
            "files": files, "seconds": seconds, "skipped": seconds.is_none(),
        });
        println!("{line}");
        return Ok(());
    }
    let paths: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let how = match seconds {
        Some(seconds) => format!("{} frames of {height}x{width} in {seconds:.1} s", plan.frames),
        None => "was there before, --overwrite makes it again".to_owned(),
    };
    println!("{}: {how}", paths.join(", "));
    Ok(())
}
