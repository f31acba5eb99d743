//! `worldloop embed`: prompts to embeddings in files, so that generating needs no text encoder.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;
use worldloop::generation::read_prompt;
use worldloop::text::{EmbeddingCache, PromptEncoder};
use worldloop::world_model::checkpoint::SaveDtype;
use worldloop::world_model::text_encoder::NEGATIVE_PROMPT;

use super::text_encoder;
use crate::failure::Outcome;
use crate::interrupt::StopFlag;

/// Encodes a prompt with a text encoder and writes the embedding, which `generate` and `rollout` take instead of the
/// encoder.
///
/// The embeddings of the empty prompt and of the default negative prompt are also kept in the cache folder
/// (WORLDLOOP_CACHE, or worldloop in the user's cache folder), and computed once per checkpoint.
///
/// Needs a program that was built with `--features tokenizer`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop embed --text-encoder Cosmos-Reason1-7B --prompt \"A robot pours tea\" --out tea.safetensors\n  \
                  worldloop embed --text-encoder Cosmos-Reason1-7B --empty --out empty.safetensors"
)]
pub(crate) struct EmbedArgs {
    /// Folder of the text encoder: nvidia/Cosmos-Reason1-7B, with its tokenizer.json.
    #[arg(long)]
    text_encoder: PathBuf,
    /// Folder with tokenizer.json, where it is not that of the weights.
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    #[command(flatten)]
    prompt: PromptArgs,
    /// File to write.
    #[arg(long)]
    out: PathBuf,
    /// Precision of the encoder and of the file: bf16, as released, or f32.
    #[arg(long, default_value = "bf16")]
    dtype: String,
    /// Where to compute: flex (the CPU), cuda, cuda:N or wgpu.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

/// The one prompt.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct PromptArgs {
    /// The prompt.
    #[arg(long)]
    prompt: Option<String>,
    /// File with the prompt; white space around it does not count.
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// The empty prompt, which action-conditioned models take.
    #[arg(long)]
    empty: bool,
    /// The default negative prompt.
    #[arg(long)]
    negative: bool,
}

/// Runs the command.
pub(crate) fn run(args: &EmbedArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let dtype = dtype(&args.dtype)?;
    let device = worldloop::device::select(&args.device)?;
    worldloop::device::precision(&args.dtype, &device)?;
    let prompt = args.prompt.text()?;
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let (out, folder) = (args.out.display(), folder.display());
        bail!("`{out}` can't be written: there is no folder `{folder}`; make it first");
    }
    let tokenizer = args.tokenizer.as_deref();
    let cache = EmbeddingCache::of_user();
    let mut encoder = PromptEncoder::open(&args.text_encoder, tokenizer, dtype, &device, cache)?;
    let cached = encoder.cached_path(&prompt);
    let was_cached = cached.as_deref().is_some_and(std::path::Path::is_file);
    let embedding = text_encoder::encode(&mut encoder, &prompt)?;
    if stop.is_set() {
        return Ok(Outcome::Stopped);
    }
    embedding.save(&args.out, dtype)?;
    let [tokens, width] = embedding.tokens.dims();
    let out = args.out.display();
    if args.json {
        let line = json!({
            "file": args.out, "prompt": prompt, "tokens": tokens, "width": width, "dtype": args.dtype,
            "text_encoder": encoder.fingerprint(), "from_cache": was_cached, "cached": cached,
        });
        println!("{line}");
    } else {
        let from = if was_cached { " from the cache" } else { "" };
        println!("{out}: {tokens} tokens of {width} numbers{from}");
    }
    Ok(Outcome::Done)
}

/// Reads a precision by its name.
pub(super) fn dtype(name: &str) -> anyhow::Result<SaveDtype> {
    match name {
        "bf16" => Ok(SaveDtype::Bf16),
        "f32" => Ok(SaveDtype::F32),
        other => bail!("there is no precision `{other}` for a text encoder, expected one of: bf16, f32"),
    }
}

impl PromptArgs {
    fn text(&self) -> anyhow::Result<String> {
        Ok(match (&self.prompt, &self.prompt_file) {
            (Some(prompt), _) => prompt.clone(),
            (None, Some(path)) => read_prompt(path)?,
            (None, None) if self.negative => NEGATIVE_PROMPT.to_owned(),
            (None, None) => String::new(),
        })
    }
}
