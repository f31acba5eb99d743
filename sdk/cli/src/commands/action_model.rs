//! Action-conditioned models as commands load them.

use std::path::Path;

use anyhow::bail;
use worldloop::device::{self, Device};
use worldloop::world_model::dit::DitConfig;
use worldloop::world_model::pipeline::{ActionRolloutOptions, CheckpointFolder, Predict, ReleasedCheckpoint};
use worldloop::world_model::text_encoder::TextEmbedding;

use super::checkpoint::AdapterArgs;
use super::text_encoder;

/// Actions of a chunk of the older class, where none are asked for.
const CHUNK_ACTIONS: usize = 12;

/// What a model is loaded from.
pub(super) struct ActionModel<'a> {
    pub(super) folder: &'a CheckpointFolder,
    pub(super) dtype: &'a str,
    pub(super) adapter: &'a AdapterArgs,
    /// What the shapes of its weights do not tell.
    pub(super) class: ActionClass,
    /// Where the embedding of the empty prompt comes from, if not from the folder.
    pub(super) text: Option<EmptyPrompt<'a>>,
}

/// What the shapes of the weights of a network with actions do not tell.
#[derive(Debug)]
pub(super) enum ActionClass {
    /// What was recognised: the released class.
    Recognised,
    /// The network of the model that was named.
    Named(Box<DitConfig>),
    /// A causal network without a name, whose time runs from 0 to 1.
    Causal,
    /// The older class, whose embedding sees all actions of a chunk.
    WholeChunk,
}

/// Where the embedding of the empty prompt comes from.
pub(super) enum EmptyPrompt<'a> {
    /// A file, with the flag that names it.
    File(&'static str, &'a Path),
    /// The folder of a text encoder; what it made of the empty prompt before is in the cache.
    Encoder(&'a Path),
}

impl<'a> EmptyPrompt<'a> {
    /// Returns where two flags say it is; a file before an encoder.
    pub(super) fn of((flag, file): (&'static str, Option<&'a Path>), encoder: Option<&'a Path>) -> Option<Self> {
        file.map(|file| Self::File(flag, file)).or(encoder.map(Self::Encoder))
    }

    fn embedding(self, width: usize, device: &Device) -> anyhow::Result<TextEmbedding> {
        match self {
            Self::File(flag, path) => {
                let embedding = TextEmbedding::load(path, width, device)?;
                if !embedding.prompt.is_empty() {
                    bail!(
                        "{flag} holds the prompt {:?}: the model was trained with the empty one",
                        embedding.prompt
                    );
                }
                Ok(embedding)
            }
            Self::Encoder(folder) => Ok(text_encoder::encode(
                &mut text_encoder::open(folder, width, device)?,
                "",
            )?),
        }
    }
}

impl ActionModel<'_> {
    /// Loads the model that plays actions; the text that was named becomes that of the options.
    pub(super) fn load(self, mut options: ActionRolloutOptions, device: &Device) -> anyhow::Result<Predict> {
        let dtype = device::precision(self.dtype, device)?;
        let mut found = self.folder.action_conditioned()?.clone();
        match self.class {
            ActionClass::Recognised => {}
            ActionClass::Named(network) => found.transformer.config = *network,
            ActionClass::Causal => found.transformer.config.timestep_scale = 1.0,
            ActionClass::WholeChunk => {
                let actions = *options.chunk_length.get_or_insert(CHUNK_ACTIONS);
                found = found.with_whole_chunk_actions(actions)?;
            }
        }
        let width = found.transformer.config.text_channels();
        if let Some(text) = self.text {
            options.text = Some(text.embedding(width, device)?);
        }
        let mut checkpoint = ReleasedCheckpoint::load(self.folder, &found, dtype, device)?;
        if let Some((path, scale)) = self.adapter.adapter()? {
            checkpoint.merge_adapter(path, scale)?;
        }
        Ok(checkpoint.into_predict(options, device)?)
    }
}
