//! Texts of all videos: encoded before the transformer takes the memory, projected one after the other.

use std::collections::BTreeMap;

use worldloop::generation::{Generator, join_view_texts};
use worldloop::text::{PromptEncoder, TextError, TextSource, TextSources};
use worldloop::world_model::dit::Context;
use worldloop::world_model::text_encoder::TextEmbedding;

use super::super::text_encoder;

/// Embeddings that were encoded, by their prompts.
pub(super) type Encoded = BTreeMap<String, TextEmbedding>;

/// Encodes every prompt that needs it, once.
pub(super) fn encode<'a>(
    texts: impl Iterator<Item = &'a TextSources>,
    mut encoder: PromptEncoder,
) -> Result<Encoded, TextError> {
    let mut encoded = Encoded::new();
    let sources = texts.flat_map(|texts| [Some(&texts.prompt), texts.negative.as_ref()]);
    for source in sources.flatten() {
        let TextSource::Prompt(prompt) = source else {
            continue;
        };
        if encoded.contains_key(prompt) {
            continue;
        }
        let embedding = text_encoder::encode(&mut encoder, prompt)?;
        encoded.insert(prompt.clone(), embedding);
    }
    Ok(encoded)
}

/// Projects texts for one network, and keeps the last one: neighbours in a request often share theirs.
#[derive(Debug, Default)]
pub(super) struct Projected {
    last: Option<(TextSource, Context)>,
}

impl Projected {
    /// Returns the projection of a text, of `tokens` tokens where it is left out.
    fn get(
        &mut self,
        source: &TextSource,
        encoded: &Encoded,
        generator: &Generator,
        [tokens, width]: [usize; 2],
    ) -> Result<&Context, TextError> {
        let kept = self.last.take().filter(|(last, _)| last == source);
        let entry = match kept {
            Some(kept) => kept,
            None => {
                let text = match source {
                    TextSource::File(path) => TextEmbedding::load(path, width, &generator.device)?.text(),
                    TextSource::Prompt(prompt) => encoded_text(encoded, prompt)?.text(),
                    TextSource::LeftOut => generator.left_out_text(tokens, width),
                };
                (source.clone(), generator.dit.project_context(text))
            }
        };
        Ok(&self.last.insert(entry).1)
    }

    /// Returns the projections of the texts of all views, joined; of a single text, its own.
    pub(super) fn joined<'a>(
        &mut self,
        sources: impl Iterator<Item = &'a TextSource>,
        encoded: &Encoded,
        generator: &Generator,
        size: [usize; 2],
    ) -> anyhow::Result<Context> {
        let mut texts = Vec::new();
        for source in sources {
            texts.push(self.get(source, encoded, generator, size)?.clone());
        }
        Ok(join_view_texts(texts)?)
    }
}

fn encoded_text<'a>(encoded: &'a Encoded, prompt: &str) -> Result<&'a TextEmbedding, TextError> {
    encoded.get(prompt).ok_or_else(|| TextError::NoEmbedding {
        what: "the prompt",
        prompt: prompt.to_owned(),
        known: encoded.keys().cloned().collect(),
    })
}
