//! The text encoder as commands use it: opened for a network, with progress.

use std::path::Path;

use anyhow::bail;
use worldloop::device::{DType, Device};
use worldloop::text::{EmbeddingCache, PromptEncoder, TextError};
use worldloop::world_model::checkpoint::SaveDtype;
use worldloop::world_model::text_encoder::TextEmbedding;

use crate::progress::Progress;

/// Opens a text encoder whose embeddings have the width that a network takes: in bfloat16, as it was released, where the device
/// computes in it.
pub(super) fn open(folder: &Path, width: usize, device: &Device) -> anyhow::Result<PromptEncoder> {
    let dtype = match device.supports_dtype(DType::BF16) {
        true => SaveDtype::Bf16,
        false => SaveDtype::F32,
    };
    let encoder = PromptEncoder::open(folder, None, dtype, device, EmbeddingCache::of_user())?;
    if encoder.width() != width {
        bail!(
            "the text encoder `{}` makes embeddings of width {}, this network takes {width}: use the one that it was \
             trained with",
            folder.display(),
            encoder.width()
        );
    }
    Ok(encoder)
}

/// Encodes a prompt, or takes it from the cache.
pub(super) fn encode(encoder: &mut PromptEncoder, prompt: &str) -> Result<TextEmbedding, TextError> {
    let mut progress: Option<Progress> = None;
    let embedding = encoder.encode(prompt, |done| {
        let shown = progress.get_or_insert_with(|| Progress::new("encoding", done.of as u64));
        let message = if done.layers == 0 { "reading weights" } else { "" };
        shown.set(done.layers as u64, message);
    })?;
    if let Some(progress) = progress {
        progress.finish();
    }
    Ok(embedding)
}
