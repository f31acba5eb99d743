//! Prompts to the token ids of the text encoder.
//!
//! Source: `cosmos_predict2/_src/predict2/text_encoders/text_encoder.py@50369b8` (`compute_text_embeddings_online`).
//! Differs: nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokenizers::Tokenizer;

use super::prompt::{CONTEXT_TOKENS, PAD_TOKEN, chat_prompt, pad_or_cut};

/// File that describes a tokenizer, beside the weights of every checkpoint.
const FILE: &str = "tokenizer.json";

/// Tokens of the chat template.
const CHAT_TOKENS: [&str; 2] = ["<|im_start|>", "<|im_end|>"];

/// Turns prompts into ids as the released networks were trained with.
#[derive(Debug, Clone)]
pub struct PromptTokenizer {
    tokenizer: Tokenizer,
    pad_id: u32,
}

/// Explains why a tokenizer could not be opened or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PromptTokenizerError {
    /// The folder has no tokenizer.
    #[error(
        "there is no `tokenizer.json` in folder {}; copy it there from the repository of the text encoder's weights \
         (nvidia/Cosmos-Reason1-7B), or name the folder that holds it", folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is there and could not be read.
    #[error("cannot read {}: {source}; check that it is a readable file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file does not describe a tokenizer.
    #[error("{} does not describe a tokenizer: {source}; fetch it again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: tokenizers::Error,
    },
    /// The tokenizer is not one of a chat model of the Qwen family.
    #[error(
        "the tokenizer in {} has no token `{token}`, which prompts need; use the one of the text encoder's weights \
         (nvidia/Cosmos-Reason1-7B)", path.display()
    )]
    MissingToken {
        /// The file.
        path: PathBuf,
        /// The token.
        token: &'static str,
    },
    /// The tokenizer refused a prompt.
    #[error("the tokenizer cannot encode prompt {prompt:?}: {source}; use the one of the text encoder's weights")]
    Encode {
        /// The prompt.
        prompt: String,
        /// What the tokenizer said.
        source: tokenizers::Error,
    },
}

impl PromptTokenizer {
    /// Opens the `tokenizer.json` of a folder.
    ///
    /// # Errors
    /// Every variant of [`PromptTokenizerError`] but [`Encode`](PromptTokenizerError::Encode).
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, PromptTokenizerError> {
        let folder = folder.as_ref();
        let path = folder.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let folder = folder.to_path_buf();
                return Err(PromptTokenizerError::Missing { folder });
            }
            Err(source) => return Err(PromptTokenizerError::Read { path, source }),
        };
        let mut tokenizer = match Tokenizer::from_bytes(bytes) {
            Ok(tokenizer) => tokenizer,
            Err(source) => return Err(PromptTokenizerError::Format { path, source }),
        };
        // Padding that the file asks for would come before the one that the networks know.
        tokenizer.with_padding(None);
        if let Err(source) = tokenizer.with_truncation(None) {
            return Err(PromptTokenizerError::Format { path, source });
        }
        let id = |token| {
            let path = path.clone();
            tokenizer
                .token_to_id(token)
                .ok_or(PromptTokenizerError::MissingToken { path, token })
        };
        for token in CHAT_TOKENS {
            id(token)?;
        }
        let pad_id = id(PAD_TOKEN)?;
        Ok(Self { tokenizer, pad_id })
    }

    /// Returns the ids of a prompt in its chat, padded or cut to [`CONTEXT_TOKENS`].
    ///
    /// # Errors
    /// [`PromptTokenizerError::Encode`].
    pub fn encode(&self, prompt: &str) -> Result<Vec<u32>, PromptTokenizerError> {
        let encoding = self.tokenizer.encode_fast(chat_prompt(prompt), false);
        let encoding = encoding.map_err(|source| PromptTokenizerError::Encode {
            prompt: prompt.to_string(),
            source,
        })?;
        Ok(pad_or_cut(encoding.get_ids().to_vec(), self.pad_id, CONTEXT_TOKENS))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use tempfile::TempDir;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;

    /// How the released tokenizer splits texts into words.
    const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// Ids of the merged tokens; single bytes have those below.
    const CU: u32 = 256;
    const CUBE: u32 = 258;

    /// Ids of the special tokens, which follow those of the vocabulary.
    const PAD: u32 = 259;
    const START: u32 = 260;
    const END: u32 = 261;

    /// Writes a byte-level tokenizer with three merges into a new folder.
    fn folder() -> TempDir {
        let mut letters: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        letters.sort_unstable();
        let tokens = letters.iter().map(char::to_string);
        let tokens = tokens.chain(["cu", "be", "cube"].map(String::from)).zip(0..);
        let vocab: Map<String, Value> = tokens.map(|(token, id): (_, u32)| (token, id.into())).collect();
        let special = [(PAD, PAD_TOKEN), (START, "<|im_start|>"), (END, "<|im_end|>")];
        let added = special.map(|(id, content)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true })
        });
        let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false,
                                 "use_regex": false });
        let split = json!({ "type": "Split", "pattern": { "Regex": WORDS }, "behavior": "Isolated", "invert": false });
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": { "type": "NFC" },
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": [split, byte_level.clone()] },
            "post_processor": byte_level.clone(), "decoder": byte_level,
            "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
                       "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "vocab": vocab,
                       "merges": ["c u", "b e", "cu be"] },
        });
        write(&tokenizer)
    }

    fn write(tokenizer: &Value) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE), tokenizer.to_string()).expect("writable");
        folder
    }

    #[test]
    fn ids_are_those_of_the_chat_and_then_padding() {
        let tokenizer = PromptTokenizer::open(folder().path()).expect("a tokenizer");
        let ids = tokenizer.encode("cube, cut").expect("any text can be encoded");
        assert_eq!(ids.len(), CONTEXT_TOKENS);
        let padding = ids.iter().position(|id| *id == PAD).expect("a short prompt");
        assert!(ids[padding..].iter().all(|id| *id == PAD));
        let text = tokenizer.tokenizer.decode(&ids[..padding], false).expect("known ids");
        assert_eq!(text, chat_prompt("cube, cut"));
        assert_eq!(ids[0], START);
        assert_eq!(ids[padding - 2], END, "the last token is a line break");
        let merged = |token| ids.iter().filter(|id| **id == token).count();
        assert_eq!((merged(CUBE), merged(CU)), (1, 1));
    }

    #[test]
    fn a_long_prompt_is_cut_at_its_end() {
        let tokenizer = PromptTokenizer::open(folder().path()).expect("a tokenizer");
        let ids = tokenizer.encode(&"cube ".repeat(400)).expect("any text can be encoded");
        assert_eq!((ids.len(), ids[0]), (CONTEXT_TOKENS, START));
        assert!(!ids.contains(&PAD) && ids[CONTEXT_TOKENS - 1] != END);
        assert_eq!(
            ids.iter().filter(|id| **id == END).count(),
            1,
            "only that of the system"
        );
    }

    #[test]
    fn any_text_can_be_encoded() {
        let tokenizer = PromptTokenizer::open(folder().path()).expect("a tokenizer");
        for prompt in ["", " ", "e\u{301}\u{0}\r\n", "方块 🤖"] {
            assert_eq!(tokenizer.encode(prompt).expect("bytes").len(), CONTEXT_TOKENS);
        }
    }

    #[test]
    fn a_missing_file_is_named_with_its_folder_and_source() {
        let empty = tempfile::tempdir().expect("a folder");
        let message = PromptTokenizer::open(empty.path())
            .expect_err("an empty folder")
            .to_string();
        let folder = empty.path().display().to_string();
        for part in ["`tokenizer.json`", &folder, "nvidia/Cosmos-Reason1-7B"] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let wrong = write(&json!({ "model_type": "qwen2_5_vl" }));
        let error = PromptTokenizer::open(wrong.path()).expect_err("a config");
        assert!(matches!(error, PromptTokenizerError::Format { .. }), "{error}");
    }

    #[test]
    fn a_tokenizer_without_the_chat_tokens_is_refused() {
        let text = std::fs::read_to_string(folder().path().join(FILE)).expect("just written");
        let other = text.replace("<|im_end|>", "</s>");
        let other = write(&serde_json::from_str(&other).expect("still JSON"));
        let error = PromptTokenizer::open(other.path()).expect_err("no end of a message");
        assert!(
            matches!(
                error,
                PromptTokenizerError::MissingToken {
                    token: "<|im_end|>",
                    ..
                }
            ),
            "{error}"
        );
    }
}
