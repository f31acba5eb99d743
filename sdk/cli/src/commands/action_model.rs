//! Action-conditioned models as commands load them.

use std::path::Path;

use anyhow::bail;
use worldloop::device::{self, Device};
use worldloop::world_model::dit::DitConfig;
use worldloop::world_model::pipeline::{ActionRolloutOptions, CheckpointFolder, Predict, ReleasedCheckpoint};
use worldloop::world_model::text_encoder::TextEmbedding;

use super::checkpoint::AdapterArgs;

/// What a model is loaded from.
pub(super) struct ActionModel<'a> {
    pub(super) folder: &'a CheckpointFolder,
    pub(super) dtype: &'a str,
    pub(super) adapter: &'a AdapterArgs,
    /// Network of the model that was named, where its weights could be another's too.
    pub(super) network: Option<DitConfig>,
    /// Embedding of the empty prompt in place of the folder's, with the flag that names it.
    pub(super) text: Option<(&'static str, &'a Path)>,
}

impl ActionModel<'_> {
    /// Loads the model that plays actions; the text that was named becomes that of the options.
    pub(super) fn load(self, mut options: ActionRolloutOptions, device: &Device) -> anyhow::Result<Predict> {
        let dtype = device::precision(self.dtype, device)?;
        let mut found = self.folder.action_conditioned()?.clone();
        if let Some(network) = self.network {
            found.transformer.config = network;
        }
        let width = found.transformer.config.text_channels();
        if let Some((flag, path)) = self.text {
            let embedding = TextEmbedding::load(path, width, device)?;
            if !embedding.prompt.is_empty() {
                bail!(
                    "{flag} holds the prompt {:?}: the model was trained with the empty one",
                    embedding.prompt
                );
            }
            options.text = Some(embedding);
        }
        let mut checkpoint = ReleasedCheckpoint::load(self.folder, &found, dtype, device)?;
        if let Some((path, scale)) = self.adapter.adapter() {
            checkpoint.merge_adapter(path, scale)?;
        }
        Ok(checkpoint.into_predict(options, device)?)
    }
}
