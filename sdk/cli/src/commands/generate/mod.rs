//! `worldloop generate`: prompts, images, videos, actions and poses of cameras to videos.

mod actions;
mod args;
mod outputs;
mod texts;

use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use worldloop::device::{DType, Device};
use worldloop::generation::{
    BaseCheckpoint, CameraRig, GenerationError, GenerationInput, GenerationPlan, GenerationRequest, Generator,
    ModelLimits, OutputFormat, Videos, ViewsInput, check_input, is_image, prepare_folder, read_driving_requests,
    read_last_frames, read_request_file, read_robot_requests,
};
use worldloop::text::{EmbeddingLibrary, TextSource, TextSources};
use worldloop::world_model::catalog::ReleasedModel;
use worldloop::world_model::dit::Context;
use worldloop::world_model::pipeline::CheckpointFolder;

pub(crate) use self::args::GenerateArgs;
use self::args::{NetworkArgs, Numerics};
use self::outputs::{are_there, files, tell, tell_skipped, write};
use self::texts::{Encoded, Projected, encode};
use super::{checkpoint, text_encoder};
use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;

/// A video that is to be made.
struct Job {
    request: GenerationRequest,
    plan: GenerationPlan,
    /// One text for all views, or one for each.
    texts: Vec<TextSources>,
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
    let formats = args.formats()?;
    let dtype = worldloop::device::precision(&args.networks.dtype, &device)?;
    let checkpoint = open_checkpoint(&args.networks)?;
    let requests = requests(args, checkpoint.limits().rig)?;
    let jobs = jobs(args, requests, &checkpoint)?;
    prepare_folder(&args.out)?;
    let (done, jobs): (Vec<Job>, Vec<Job>) = jobs
        .into_iter()
        .partition(|job| !args.overwrite && are_there(args, &formats, job));
    for job in &done {
        tell_skipped(args.json, &job.request.name, &files(args, &formats, job));
    }
    if jobs.is_empty() {
        return Ok(Outcome::Done);
    }
    note_left_out_texts(&jobs);
    let mut workshop = open_workshop(args, formats, &checkpoint, &jobs, (dtype, &device))?;
    let mut failed = 0;
    for job in &jobs {
        match workshop.make(job, stop) {
            Ok(true) => {}
            Ok(false) => {
                eprintln!("stopped; the same command begins `{}` again", job.request.name);
                return Ok(Outcome::Stopped);
            }
            // One bad input does not cost the others of a long batch.
            Err(error) if jobs.len() > 1 => {
                eprintln!("error: `{}` was not made: {error:#}", job.request.name);
                failed += 1;
            }
            Err(error) => return Err(error),
        }
    }
    if failed > 0 {
        bail!(
            "{failed} of {} videos were not made; the same command tries these alone",
            jobs.len()
        );
    }
    Ok(Outcome::Done)
}

/// Returns what is to be generated, by flags and the request file, for a model of these cameras.
fn requests(args: &GenerateArgs, rig: CameraRig) -> anyhow::Result<Vec<GenerationRequest>> {
    let flags = args.sample.fields()?;
    if rig != CameraRig::Single && args.networks.numerics == Numerics::Diffusers {
        bail!("diffusers has no pipeline for several views: leave --numerics out");
    }
    match (rig, &args.request) {
        (CameraRig::Single, _) => {}
        (CameraRig::Driving, Some(path)) => return Ok(read_driving_requests(path, &flags)?),
        (CameraRig::Driving, None) => bail!(
            "this model makes views of a drive, each of which has an input of its own: pass --request FILE, such as \
             {{\"name\": \"drive\", \"prompt\": \"rain\", \"front_wide\": {{\"input_path\": \"front.mp4\"}}}}"
        ),
        (CameraRig::Robot, path) => return Ok(read_robot_requests(path.as_deref(), &flags)?),
    }
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
    note_unchecked(checkpoint.limits().released.as_ref());
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

/// Says what of a model was not checked.
fn note_unchecked(model: Option<&ReleasedModel>) {
    if let Some(model) = model.filter(|model| !model.verification.open.is_empty()) {
        eprintln!("note: of {}, {}", model.name, model.verification.open);
    }
}

/// Says what a video from one picture starts from.
fn note_black_frames(path: &Path) {
    eprintln!(
        "note: `{}` is one picture: as in the reference, the given frames behind it are black; image2world starts from \
         it alone",
        path.display()
    );
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
    let job = |mut request: GenerationRequest| {
        let plan = plan(args, limits, &mut request)?;
        request.cameras.check(&plan)?;
        let texts = library.sources_of_views(&request, plan.is_guided(), has_encoder)?;
        Ok(Job { request, plan, texts })
    };
    requests.into_iter().map(job).collect()
}

/// Says how a request is answered. What the reference ignores in a file, or takes in another way, does not end the work.
fn plan(args: &GenerateArgs, limits: &ModelLimits, request: &mut GenerationRequest) -> anyhow::Result<GenerationPlan> {
    let (error, how) = match limits.plan(request) {
        Err(error @ GenerationError::Frames { .. }) if args.takes_frames_of_file(request) => {
            request.num_output_frames = None;
            (error, "counts frames with enable_autoregressive alone")
        }
        Err(error @ GenerationError::Chunks { .. }) if args.takes_overlap_of_file() => {
            if let Some(chunking) = &mut request.chunking {
                chunking.overlap_as_latents = true;
            }
            (error, "takes every overlap, as latent frames")
        }
        plan => return Ok(plan?),
    };
    let plan = limits.plan(request)?;
    let name = &request.name;
    eprintln!(
        "note: {error}. As in the reference, which {how}, `{name}` gets {} frames",
        plan.frames
    );
    Ok(plan)
}

fn note_left_out_texts(jobs: &[Job]) {
    let mut texts = jobs.iter().flat_map(|job| &job.texts);
    if texts.any(|texts| texts.negative == Some(TextSource::LeftOut)) {
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
            encode(jobs.iter().flat_map(|job| &job.texts), encoder)?
        }
        None => Encoded::new(),
    };
    Ok(Workshop {
        args,
        formats,
        generator: checkpoint.load(args.networks.adapter.adapter()?, dtype, device)?,
        encoded,
        text_width,
        prompts: Projected::default(),
        negatives: Projected::default(),
    })
}

impl Workshop<'_> {
    /// Makes one video; `false` if the user asked to stop before it was whole.
    fn make(&mut self, job: &Job, stop: &StopFlag) -> anyhow::Result<bool> {
        if stop.is_set() {
            return Ok(false);
        }
        let started = Instant::now();
        let (context, negative) = self.contexts(&job.texts)?;
        let Some(videos) = self.videos(job, (&context, negative.as_ref()), stop)? else {
            return Ok(false);
        };
        let files = write(self.args, &self.formats, job, videos)?;
        tell(self.args, job, &files, started.elapsed().as_secs_f64());
        Ok(true)
    }

    /// Projects the texts of a video, those of its views joined.
    fn contexts(&mut self, texts: &[TextSources]) -> anyhow::Result<(Context, Option<Context>)> {
        let (encoded, generator) = (&self.encoded, &self.generator);
        let prompts = texts.iter().map(|texts| &texts.prompt);
        let context = self.prompts.joined(prompts, encoded, generator, [0, self.text_width])?;
        let negatives: Vec<&TextSource> = texts.iter().filter_map(|texts| texts.negative.as_ref()).collect();
        if negatives.is_empty() {
            return Ok((context, None));
        }
        let size = [context.num_tokens() / texts.len(), self.text_width];
        let negative = self.negatives.joined(negatives.into_iter(), encoded, generator, size)?;
        Ok((context, Some(negative)))
    }

    /// Generates the frames of every view; none if the user asked to stop before they were whole.
    fn videos(
        &self,
        job: &Job,
        (context, negative): (&Context, Option<&Context>),
        stop: &StopFlag,
    ) -> anyhow::Result<Option<Videos>> {
        let (request, plan, generator) = (&job.request, &job.plan, &self.generator);
        let (inference_type, seed) = (request.inference_type, request.seed);
        let clip = request.cameras.read(inference_type, plan, &generator.device)?;
        let given = match &request.input_path {
            Some(path) => {
                if plan.given > 1 && is_image(path) {
                    note_black_frames(path);
                }
                read_last_frames(path, plan.given, inference_type, plan.size)?
            }
            None => Vec::new(),
        };
        let mut progress = Progress::new(request.name.as_str(), plan.num_steps() as u64);
        let advance = || {
            progress.advance("denoising steps");
            stop.flow()
        };
        let videos = match &clip {
            Some(clip) => {
                let input = ViewsInput {
                    clip,
                    seed,
                    context,
                    negative,
                };
                generator.generate_views(plan, input, advance)
            }
            None => {
                let input = GenerationInput {
                    inference_type,
                    given: &given,
                    seed,
                    context,
                    negative,
                };
                generator.generate(plan, input, advance).map(|frames| vec![frames])
            }
        };
        progress.finish();
        Ok(videos)
    }
}
