//! `worldloop fetch`: the files of a released model, from the Hugging Face Hub into its usual cache.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;
use worldloop::device::Device;
use worldloop::world_model::catalog::{HubFile, ReleasedModel, text_encoder_weights, vae_weights};
use worldloop::world_model::hub::{HubError, HubLocation, HubSettings};
use worldloop::world_model::memory::{Precision, network_bytes};
use worldloop::world_model::text_encoder::TextEncoderConfig;
use worldloop::world_model::vae::WanVaeConfig;

use crate::failure::Outcome;
use crate::interrupt::StopFlag;
use crate::progress::Progress;
use crate::table::bytes_text;

/// Fetches what a released model needs, and prints where it is: transformer, VAE, and the text encoder if asked for. Or any one
/// file of the Hub, with the shards that it names.
///
/// Files that are in the cache already are not fetched again, and a transfer that broke off goes on where it stopped.
/// HF_ENDPOINT names a mirror, HF_TOKEN or the token file says who asks, HF_HOME and HF_HUB_CACHE move the cache,
/// HF_HUB_OFFLINE=1 forbids the network.
///
/// Needs a program that was built with `--features hub`, but for --dry-run and what is in the cache.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  worldloop fetch predict2.5-2b/robot/action-cond --dry-run\n  \
                  worldloop fetch predict2.5-2b/post-trained --with-text-encoder\n  \
                  worldloop fetch hf://me/my-finetune@main/transformer/diffusion_pytorch_model.safetensors"
)]
pub(crate) struct FetchArgs {
    /// Name of the model, from `worldloop models`; or the address of a file, hf://OWNER/NAME@REVISION/FILE, which --checkpoint and
    /// `worldloop inspect` take too.
    model: String,
    /// Branch or commit of the transformer's file, instead of the one in the table.
    #[arg(long)]
    revision: Option<String>,
    /// Fetches the text encoder too: 15 GB more, not needed with precomputed embeddings.
    #[arg(long)]
    with_text_encoder: bool,
    /// Says what would be fetched, and fetches nothing.
    #[arg(long)]
    dry_run: bool,
    /// Prints one line of JSON per file.
    #[arg(long)]
    json: bool,
}

/// A file that the model needs.
struct Needed {
    what: &'static str,
    location: HubLocation,
    /// Bytes, as computed from the network's sizes; none where they are few, or not known.
    bytes: Option<u64>,
}

/// Runs the command.
pub(crate) fn run(args: &FetchArgs, stop: &StopFlag) -> anyhow::Result<Outcome> {
    let device = worldloop::device::select("flex")?;
    let needed = if args.model.contains("://") {
        if args.revision.is_some() || args.with_text_encoder {
            bail!("an address names one file and its revision: leave --revision and --with-text-encoder out");
        }
        vec![Needed {
            what: "file",
            location: args.model.parse()?,
            bytes: None,
        }]
    } else {
        needed(args, &ReleasedModel::find(&args.model)?, &device)?
    };
    let settings = HubSettings::from_env();
    let out = &mut io::stdout().lock();
    if args.dry_run {
        print_dry_run(out, args.json, &needed, &settings)?;
        return Ok(Outcome::Done);
    }
    for file in &needed {
        let Some(paths) = fetch(file, &settings, stop)? else {
            return Ok(Outcome::Stopped);
        };
        for path in paths {
            let path = path.display().to_string();
            if args.json {
                writeln!(out, "{}", json!({ "what": file.what, "path": path }))?;
            } else {
                writeln!(out, "{:<13} {path}", file.what)?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn needed(args: &FetchArgs, model: &ReleasedModel, device: &Device) -> anyhow::Result<Vec<Needed>> {
    let HubFile {
        repository,
        file,
        revision,
    } = model.public_weights()?;
    let revision = args.revision.as_deref().unwrap_or(revision);
    let vae = network_bytes(&WanVaeConfig::wan2_1().init(device), Precision::F32);
    let mut needed = vec![
        Needed {
            what: "transformer",
            location: HubLocation::new(repository, revision, file)?,
            bytes: Some(model.bf16_bytes(device)),
        },
        Needed {
            what: "VAE",
            location: vae_weights().try_into()?,
            bytes: Some(vae),
        },
    ];
    if args.with_text_encoder {
        let encoder = TextEncoderConfig::cosmos_reason1_7b().init(device);
        for file in text_encoder_weights() {
            let is_index = file.file.ends_with(".index.json");
            needed.push(Needed {
                what: "text encoder",
                location: file.try_into()?,
                bytes: is_index.then(|| network_bytes(&encoder, Precision::Bf16)),
            });
        }
    }
    Ok(needed)
}

fn print_dry_run(out: &mut dyn Write, is_json: bool, needed: &[Needed], settings: &HubSettings) -> io::Result<()> {
    for Needed { what, location, bytes } in needed {
        let cached = settings.cached(location);
        if is_json {
            let line = json!({
                "what": what,
                "repository": location.repository(),
                "revision": location.revision(),
                "file": location.file(),
                "bytes": bytes,
                "cached": cached,
            });
            writeln!(out, "{line}")?;
        } else {
            let size = bytes.map_or_else(String::new, |bytes| format!(" about {},", bytes_text(bytes)));
            let state = cached.map_or_else(|| "to fetch".to_owned(), |path| format!("here: {}", path.display()));
            writeln!(out, "{what:<13} {location},{size} {state}")?;
        }
    }
    if !is_json {
        writeln!(out, "from {} into {}", settings.endpoint, settings.cache.display())?;
    }
    Ok(())
}

/// Fetches a file, with its shards if it is an index; none if the user asked to stop.
fn fetch(needed: &Needed, settings: &HubSettings, stop: &StopFlag) -> Result<Option<Vec<PathBuf>>, HubError> {
    let mut shown: Option<(HubLocation, Progress)> = None;
    let paths = settings.locate_all(&needed.location, |location, received| {
        if shown.as_ref().is_none_or(|(before, _)| before != location) {
            if let Some((_, progress)) = shown.take() {
                progress.finish();
            }
            let name = location.file().rsplit('/').next().unwrap_or_default();
            shown = Some((location.clone(), Progress::new(name, received.total)));
        }
        if let Some((_, progress)) = &mut shown {
            progress.set(received.bytes, &format!("of {}", bytes_text(received.total)));
        }
        if stop.is_set() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    if let Some((_, progress)) = shown {
        progress.finish();
    }
    match paths {
        Err(HubError::BrokenOff { .. }) if stop.is_set() => Ok(None),
        paths => paths.map(Some),
    }
}
