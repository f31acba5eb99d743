//! What can go wrong on the way from a prompt to its embedding.

use std::path::PathBuf;

use worldloop_world_model::catalog::RecognizeError;
use worldloop_world_model::checkpoint::CheckpointError;
use worldloop_world_model::text_encoder::{TextEmbeddingError, TextEncoderConfigFileError};

/// Why there is no embedding of a prompt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// This build can't split texts into tokens.
    #[error(
        "this build has no tokenizer, which a text encoder needs: build it with `cargo run --release \
         --features tokenizer -- …`, or name an embedding that was written elsewhere"
    )]
    NoTokenizer,
    /// The tokenizer is missing, damaged, or refused a prompt.
    #[error(transparent)]
    Tokenizer(Box<dyn std::error::Error + Send + Sync>),
    /// A checkpoint of something else.
    #[error("`{}` holds no text encoder but {found}: name the folder of nvidia/Cosmos-Reason1-7B", folder.display())]
    NoTextEncoder {
        /// The folder.
        folder: PathBuf,
        /// What it holds.
        found: &'static str,
    },
    /// The checkpoint is not known.
    #[error(transparent)]
    Recognize(#[from] RecognizeError),
    /// The checkpoint can't be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The config beside the weights does not fit.
    #[error(transparent)]
    ConfigFile(#[from] TextEncoderConfigFileError),
    /// An embedding can't be computed, read or written.
    #[error(transparent)]
    Embedding(#[from] TextEmbeddingError),
    /// A file that is there is not an embedding of the width that a network takes.
    #[error(
        "the embedding `{}` has shape {found:?}, this network takes [tokens, {width}]: encode the prompt with the text \
         encoder that the network was trained with",
        path.display()
    )]
    Width {
        /// The file.
        path: PathBuf,
        /// Its sizes.
        found: Vec<usize>,
        /// The width that is needed.
        width: usize,
    },
    /// A folder of embeddings can't be listed.
    #[error("cannot read `{}`: {source}; check that it exists and is readable", path.display())]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No embedding of a prompt, and nothing to make one with.
    #[error(
        "there is no embedding of {what} {prompt:?}{}: write one with `worldloop embed --text-encoder DIR --prompt TEXT --out \
         FILE.safetensors` and pass it with --prompt-embedding, or pass --text-encoder DIR",
        others(known)
    )]
    NoEmbedding {
        /// Which prompt.
        what: &'static str,
        /// The prompt.
        prompt: String,
        /// Prompts whose embeddings are there.
        known: Vec<String>,
    },
    /// Neither a prompt nor one embedding to take instead.
    #[error(
        "`{name}` has no prompt{}: pass --prompt TEXT, or one --prompt-embedding FILE from `worldloop embed`",
        others(known)
    )]
    NoPrompt {
        /// The sample.
        name: String,
        /// Prompts whose embeddings are there.
        known: Vec<String>,
    },
}

/// Characters of a prompt that tell it from others.
const BEGINNING: usize = 40;

/// Quotes a prompt; of a long one, its beginning.
fn beginning(prompt: &str) -> String {
    match prompt.char_indices().nth(BEGINNING) {
        Some((end, _)) => format!("{:?}...", &prompt[..end]),
        None => format!("{prompt:?}"),
    }
}

fn others(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => {
            let known: Vec<String> = known.iter().map(|prompt| beginning(prompt)).collect();
            format!(" (there are embeddings of {})", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_prompts_the_beginning_is_listed() {
        let long = "ü".repeat(50);
        let listed = others(&["rain".to_owned(), long]);
        assert_eq!(
            listed,
            format!(" (there are embeddings of \"rain\", \"{}\"...)", "ü".repeat(40))
        );
        assert_eq!(others(&[]), "");
    }
}
