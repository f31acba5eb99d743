//! Flags of `worldloop generate`.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use worldloop::generation::{GenerationRequest, InferenceType, OutputFormat, RequestFields};

use super::super::checkpoint::AdapterArgs;

/// Generates videos from prompts, images, videos, actions and poses of cameras with a released model.
///
/// With --action, the actions of a file are played in an action-conditioned model, from the last frame of --input on.
///
/// A model of several cameras makes one video per view and one of all beside each other. Views of a drive (auto/multiview)
/// are named in a --request, each with its `input_path`: front_wide, cross_right, rear_right, rear, rear_left, cross_left and
/// front_tele, or some of them; settings of chunks in it change nothing, as in the reference. The cameras of a robot
/// (robot/multiview-agibot) start from pictures and follow poses, in a folder with `input_images/0_head.png`,
/// `cameras/0_extrinsic_head.txt` and `cameras/0_intrinsic_head.txt` for each of head, hand_0 and hand_1; --input names it,
/// or `input_root` and `index` in a --request.
///
/// Flags override the fields of a request file. Outputs that are there are left out, so that the same command goes on
/// after a kill.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop generate --checkpoint Cosmos-Predict2.5-2B/base/post-trained --prompt-embedding tea.safetensors --out videos\n  \
                  worldloop generate --checkpoint DIR --request request.json --text-encoder Cosmos-Reason1-7B --out videos\n  \
                  worldloop generate --checkpoint tiny --prompt \"push the cube\" --input table.png --resolution 64,96 --frames 13 --out videos\n  \
                  worldloop generate --checkpoint Cosmos-Predict2.5-2B/robot/action-cond --input table.png --action actions.json --out videos\n  \
                  worldloop generate --model predict2.5-2b/auto/multiview --request drive.json --text-encoder Cosmos-Reason1-7B --out videos\n  \
                  worldloop generate --model predict2.5-2b/robot/multiview-agibot --input assets/robot_multiview --prompt-embedding fold.safetensors --out videos"
)]
pub(crate) struct GenerateArgs {
    #[command(flatten)]
    pub(super) networks: NetworkArgs,
    #[command(flatten)]
    pub(super) sample: SampleArgs,
    /// Request file of the reference: .json with `samples`, or .json / .jsonl / .yaml with one object per sample; for several views
    /// always the latter.
    #[arg(long)]
    pub(super) request: Option<PathBuf>,
    /// Folder of the videos.
    #[arg(long)]
    pub(super) out: PathBuf,
    /// Formats, several with commas: mp4 (needs ffmpeg), gif, png (a folder of frames). Default: mp4, or gif,png without
    /// ffmpeg.
    #[arg(long, value_delimiter = ',')]
    format: Vec<String>,
    /// Frames per second of the files [default: 16, for views of a drive those of the request, for a robot's cameras 30, with
    /// --action those of the named model, or 20].
    #[arg(long, value_parser = frame_rate)]
    pub(super) fps: Option<f64>,
    /// Makes videos again that are there.
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Repeats two oddities of the reference: the overlap of chunks counts latent frames where frames are given, and a
    /// number of frames counts with --autoregressive only.
    #[arg(long)]
    pub(super) like_reference: bool,
    /// Where to compute: flex (the CPU), cuda, cuda:N or wgpu.
    #[arg(long, default_value = "flex")]
    pub(super) device: String,
    /// Prints one line of JSON per video.
    #[arg(long)]
    pub(super) json: bool,
}

/// Which networks.
#[derive(Debug, Args)]
pub(super) struct NetworkArgs {
    /// Released model (`worldloop models`): tells apart those whose weights have the same shapes.
    #[arg(long)]
    pub(super) model: Option<String>,
    /// Its weights with the VAE beside them: a file, a folder in NVIDIA's or diffusers' layout, or the hf:// address of a file that
    /// `worldloop fetch` put into the cache. Without it, what was fetched for --model.
    #[arg(long)]
    pub(super) checkpoint: Option<PathBuf>,
    /// Precision of the transformer's weights: f32, or bf16 or f16 for half of the memory. The VAE stays in f32.
    #[arg(long, default_value = "f32")]
    pub(super) dtype: String,
    /// Whose numbers to follow where NVIDIA's code and diffusers differ: rotary exponents, an epsilon, sigmas, time of given frames.
    #[arg(long, value_enum, default_value_t = Numerics::Nvidia, conflicts_with = "action")]
    pub(super) numerics: Numerics,
    #[command(flatten)]
    pub(super) adapter: AdapterArgs,
    /// Embeddings from `worldloop embed`, found by their prompts; one alone needs no --prompt. Several with commas.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub(super) prompt_embedding: Vec<PathBuf>,
    /// Embedding to compare with in the guidance.
    #[arg(long, value_name = "FILE")]
    pub(super) negative_embedding: Option<PathBuf>,
    /// Text encoder for prompts without an embedding, with --action the empty one: the folder of nvidia/Cosmos-Reason1-7B
    /// (needs `--features tokenizer`).
    #[arg(long, value_name = "DIR")]
    pub(super) text_encoder: Option<PathBuf>,
}

/// Whose numbers a model follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Numerics {
    /// Those of NVIDIA's code.
    Nvidia,
    /// Those of diffusers' pipeline, with its 36 steps.
    Diffusers,
}

/// What to generate.
#[derive(Debug, Args)]
pub(super) struct SampleArgs {
    /// What is to be seen.
    #[arg(long)]
    prompt: Option<String>,
    /// File with the prompt.
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    prompt_path: Option<PathBuf>,
    /// What is to be avoided; without it, the reference's list of flaws.
    #[arg(long)]
    negative_prompt: Option<String>,
    /// Image, video, animated GIF or folder of PNG files to start from; for the cameras of a robot, the folder of pictures and poses.
    #[arg(long)]
    pub(super) input: Option<PathBuf>,
    /// Actions to play: JSON with one row of numbers per action, or an annotation of Bridge, which needs no --input. Rows of 7 are
    /// metres and radians in the axes of the gripper, then the gripper, 0 closed to 1 open; others are taken as they are, for
    /// a humanoid 29 joints scaled as in training. Frames are resized to --resolution [default: that of the named model, or
    /// 256,320] as `worldloop rollout` does it; noise is seeded by the index of a chunk's first action.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "request", "prompt", "prompt_path", "negative_prompt", "inference_type", "seed", "guidance", "frames",
        "autoregressive", "chunk_overlap", "negative_embedding", "like_reference"
    ])]
    pub(super) action: Option<PathBuf>,
    /// With --action, makes one latent frame after the other, each from those before it, in four steps: for causal networks, and
    /// what --model predict2.5-2b/robot/action-gr1-streaming does anyway.
    #[arg(long, requires = "action", conflicts_with = "steps")]
    pub(super) streaming: bool,
    /// With --action, takes the network for one of the older class, which sees all actions of a chunk at once; its weights do not
    /// tell.
    #[arg(long, requires = "action", conflicts_with_all = ["streaming", "model"])]
    pub(super) whole_chunk: bool,
    /// With --action, goes on with zeros where there is no embedding of the empty prompt; the model was not trained with them.
    #[arg(long, requires = "action")]
    pub(super) zero_text: bool,
    /// text2world, image2world (from one frame) or video2world (from the last five); without it, what fits the input.
    #[arg(long, value_name = "TYPE")]
    inference_type: Option<String>,
    /// Name of the output files [default: video, or that of the file of actions].
    #[arg(long, conflicts_with = "request")]
    pub(super) name: Option<String>,
    /// Seed of the noise [default: 0].
    #[arg(long)]
    seed: Option<u32>,
    /// Strength of the guidance [default: the model's, 7].
    #[arg(long)]
    guidance: Option<f64>,
    /// HEIGHT,WIDTH or a name such as 720 or 480:4,3 [default: the model's, 704,1280].
    #[arg(long)]
    pub(super) resolution: Option<String>,
    /// Frames, one more than a multiple of four [default: the model's, 93].
    #[arg(long)]
    frames: Option<usize>,
    /// Denoising steps [default: the model's, 35].
    #[arg(long)]
    pub(super) steps: Option<usize>,
    /// Makes a long video chunk after chunk.
    #[arg(long)]
    autoregressive: bool,
    /// Frames of a chunk [default: 77]; with --action, its actions [default: the model's, 12].
    #[arg(long)]
    pub(super) chunk_size: Option<usize>,
    /// Frames that a chunk shares with the one before [default: 1].
    #[arg(long)]
    chunk_overlap: Option<usize>,
}

impl GenerateArgs {
    /// Returns whether the overlap of chunks is that of a request file.
    pub(super) fn takes_overlap_of_file(&self) -> bool {
        self.request.is_some() && self.sample.chunk_overlap.is_none()
    }

    /// Returns whether the number of frames of a request is that of its file, and of a video that is not made in chunks.
    pub(super) fn takes_frames_of_file(&self, request: &GenerationRequest) -> bool {
        self.request.is_some() && self.sample.frames.is_none() && request.chunking.is_none()
    }

    /// Returns the formats that are asked for, or those of this machine.
    pub(super) fn formats(&self) -> anyhow::Result<Vec<OutputFormat>> {
        if self.format.is_empty() {
            return Ok(OutputFormat::of_this_machine());
        }
        let format = |name: &str| {
            let known = OutputFormat::ALL.into_iter().find(|format| format.name() == name);
            let Some(format) = known else {
                let names = OutputFormat::ALL.map(OutputFormat::name).join(", ");
                bail!("there is no format `{name}`, expected some of: {names}");
            };
            if format == OutputFormat::Mp4 && !worldloop::data::ffmpeg_is_installed() {
                bail!("mp4 needs the program ffmpeg, which was not found: install it, or pass --format gif,png");
            }
            Ok(format)
        };
        let mut formats: Vec<OutputFormat> = Vec::new();
        for name in &self.format {
            let format = format(name.trim())?;
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        Ok(formats)
    }
}

/// Reads frames per second that every format can have.
fn frame_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (1.0..=1000.0).contains(rate));
    rate.ok_or_else(|| "expected 1 to 1000".to_owned())
}

impl SampleArgs {
    /// Returns the fields that flags override.
    pub(super) fn fields(&self) -> anyhow::Result<RequestFields> {
        let inference_type = self.inference_type.as_deref().map(inference_type).transpose()?;
        Ok(RequestFields {
            name: self.name.clone(),
            inference_type,
            prompt: self.prompt.clone(),
            prompt_path: self.prompt_path.clone(),
            input_path: self.input.clone(),
            negative_prompt: self.negative_prompt.clone(),
            seed: self.seed,
            guidance: self.guidance,
            resolution: self.resolution.clone(),
            num_output_frames: self.frames,
            num_steps: self.steps,
            enable_autoregressive: self.autoregressive.then_some(true),
            chunk_size: self.chunk_size,
            chunk_overlap: self.chunk_overlap,
        })
    }
}

fn inference_type(name: &str) -> anyhow::Result<InferenceType> {
    let types = [
        InferenceType::Text2World,
        InferenceType::Image2World,
        InferenceType::Video2World,
    ];
    let Some(found) = types.into_iter().find(|known| known.name() == name) else {
        let names = types.map(InferenceType::name).join(", ");
        bail!("there is no inference type `{name}`, expected one of: {names}");
    };
    Ok(found)
}
