//! The files of a checkpoint in the released layout, told apart by their tensors.

use std::path::{Path, PathBuf};

use super::random_checkpoint::RANDOM_MARK;
use super::released_error::ReleasedError;
use crate::catalog::{RecognizeError, Recognized, Transformer, recognize};
use crate::checkpoint::{CheckpointError, CheckpointSource, is_distributed_part};
use crate::vae::WanVaeConfig;

/// Folders inside folders that are looked through.
const DEPTH: usize = 3;

/// Most files of weights that are opened.
const MOST_FILES: usize = 64;

/// Name of the released VAE's file.
const RELEASED_VAE: &str = "tokenizer.pth";

/// Ending of the file that says which tensor is in which shard.
const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// The networks in a folder. Only headers were read.
#[derive(Debug)]
pub struct CheckpointFolder {
    path: PathBuf,
    transformers: Vec<FoundTransformer>,
    vaes: Vec<(PathBuf, WanVaeConfig)>,
    empty_prompts: Vec<PathBuf>,
    embeddings: Vec<PathBuf>,
    /// Raw checkpoints of training, in pieces.
    distributed: Vec<PathBuf>,
    /// What else there is, in words.
    others: Vec<String>,
    is_random: bool,
}

/// A transformer in a folder.
#[derive(Debug, Clone)]
pub struct FoundTransformer {
    /// The file, or the folder of its shards.
    pub path: PathBuf,
    /// What it is.
    pub transformer: Transformer,
}

impl FoundTransformer {
    /// Returns the transformer as one of the older class, whose embedding sees all `actions` of a chunk; the shapes of its
    /// weights do not tell.
    ///
    /// # Errors
    /// [`ReleasedError::NotActionConditioned`], and [`ReleasedError::WholeChunk`] where the columns are those of no such chunk.
    pub fn with_whole_chunk_actions(mut self, actions: usize) -> Result<Self, ReleasedError> {
        let Some(action) = self.transformer.config.conditioning.action.take() else {
            return Err(ReleasedError::NotActionConditioned {
                found: describe(&self.transformer),
                path: self.path,
            });
        };
        let columns = action.action_dim * action.actions_per_group();
        let Some(action) = action.of_whole_chunk(actions) else {
            let path = self.path;
            return Err(ReleasedError::WholeChunk { path, columns, actions });
        };
        self.transformer.config.conditioning.action = Some(action);
        Ok(self)
    }
}

impl CheckpointFolder {
    /// Looks through a folder: NVIDIA's layout (`robot/action-cond/*.pt`, `tokenizer.pth`), that of diffusers
    /// (`transformer/`, `vae/`), or a mixture.
    ///
    /// Given the file of a transformer, the VAE and the text embedding are looked for in the folders above it.
    ///
    /// # Errors
    /// [`ReleasedError::Read`], [`ReleasedError::TooManyFiles`], the errors of damaged files, and
    /// [`CheckpointError::Distributed`] where the only transformer is one in the pieces that training saves.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReleasedError> {
        let path = path.as_ref();
        let mut folder = Self {
            path: path.to_path_buf(),
            transformers: Vec::new(),
            vaes: Vec::new(),
            empty_prompts: Vec::new(),
            embeddings: Vec::new(),
            distributed: Vec::new(),
            others: Vec::new(),
            is_random: false,
        };
        let metadata = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
        if metadata.is_dir() {
            folder.is_random = path.ancestors().take(DEPTH).any(has_mark);
            folder.add_all(&candidates(path, DEPTH)?)?;
        } else {
            folder.add(path)?;
            folder.add_from_above(path)?;
        }
        // Training saves the network beside the states of optimizer and scheduler.
        let is_network = |path: &&PathBuf| path.file_name().is_some_and(|name| name == "model");
        let network = folder.distributed.iter().find(is_network);
        match network.or(folder.distributed.first()) {
            Some(path) if folder.transformers.is_empty() => {
                Err(CheckpointError::Distributed { path: path.clone() }.into())
            }
            _ => Ok(folder),
        }
    }

    /// Lists the files of weights in a folder, and its folders of shards or pieces, whether they can be read or not; a file is
    /// listed alone. Nothing is opened.
    ///
    /// # Errors
    /// [`ReleasedError::Read`] and [`ReleasedError::TooManyFiles`].
    pub fn files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, ReleasedError> {
        let path = path.as_ref();
        if path.is_dir() {
            candidates(path, DEPTH)
        } else {
            Ok(vec![path.to_path_buf()])
        }
    }

    /// Opens the file of a transformer with a VAE that lies elsewhere, as in a cache where each has its own folder.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn of_files(transformer: &Path, vae: &Path) -> Result<Self, ReleasedError> {
        let mut folder = Self::open(transformer)?;
        if folder.vaes.is_empty() {
            folder.add(vae)?;
        }
        Ok(folder)
    }

    /// Returns the folder or file that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the transformers that were found.
    pub fn transformers(&self) -> &[FoundTransformer] {
        &self.transformers
    }

    /// Returns whether the weights are marked as drawn, not trained.
    pub fn is_random(&self) -> bool {
        self.is_random
    }

    /// Returns the one transformer that `accepts` takes; `wanted` names it in messages.
    ///
    /// # Errors
    /// [`ReleasedError::NotFound`] and [`ReleasedError::Several`].
    pub fn transformer(
        &self,
        wanted: &'static str,
        accepts: impl Fn(&Transformer) -> bool,
    ) -> Result<&FoundTransformer, ReleasedError> {
        let found: Vec<_> = self
            .transformers
            .iter()
            .filter(|found| accepts(&found.transformer))
            .collect();
        match found[..] {
            [only] => Ok(only),
            [] => Err(self.not_found(wanted, "name the folder or the file of a released checkpoint")),
            _ => Err(ReleasedError::Several {
                path: self.path.clone(),
                wanted,
                found: list(found.iter().map(|found| &found.path)),
            }),
        }
    }

    /// Returns the transformer that takes actions.
    ///
    /// # Errors
    /// [`ReleasedError::NotActionConditioned`] if there are others only, and those of [`transformer`](Self::transformer).
    pub fn action_conditioned(&self) -> Result<&FoundTransformer, ReleasedError> {
        let takes_actions = |transformer: &Transformer| transformer.config.conditioning.action.is_some();
        let none = !self.transformers.iter().any(|found| takes_actions(&found.transformer));
        match self.transformers.first() {
            Some(other) if none => Err(ReleasedError::NotActionConditioned {
                path: other.path.clone(),
                found: describe(&other.transformer),
            }),
            _ => self.transformer("action-conditioned transformer", takes_actions),
        }
    }

    /// Returns the VAE: `tokenizer.pth` where there are several.
    ///
    /// # Errors
    /// [`ReleasedError::NotFound`] and [`ReleasedError::Several`].
    pub fn vae(&self) -> Result<(&Path, &WanVaeConfig), ReleasedError> {
        let named = |(path, _): &&(PathBuf, WanVaeConfig)| path.file_name().is_some_and(|name| name == RELEASED_VAE);
        let released: Vec<_> = self.vaes.iter().filter(named).collect();
        match (released.as_slice(), self.vaes.as_slice()) {
            ([(path, config)], _) | (_, [(path, config)]) => Ok((path, config)),
            (_, []) => Err(self.not_found(
                "video VAE",
                "put `tokenizer.pth` or the folder `vae` beside the transformer",
            )),
            _ => Err(ReleasedError::Several {
                path: self.path.clone(),
                wanted: "video VAE",
                found: list(self.vaes.iter().map(|(path, _)| path)),
            }),
        }
    }

    /// Returns the embedding of the empty prompt, if one is there.
    pub fn empty_prompt(&self) -> Option<&Path> {
        self.empty_prompts.first().map(PathBuf::as_path)
    }

    /// Returns all text embeddings that are there, that of the empty prompt included.
    pub fn embeddings(&self) -> &[PathBuf] {
        &self.embeddings
    }

    fn add_from_above(&mut self, file: &Path) -> Result<(), ReleasedError> {
        let absolute = std::path::absolute(file).map_err(|source| read_error(file, source))?;
        for above in absolute.ancestors().skip(1).take(DEPTH) {
            self.is_random |= has_mark(above);
            let mut beside = candidates(above, 0)?;
            if above.join("vae").is_dir() {
                beside.extend(candidates(&above.join("vae"), 0)?);
            }
            // Other transformers beside this one were not meant.
            let before = [self.transformers.len(), self.distributed.len(), self.others.len()];
            self.add_all(&beside)?;
            self.transformers.truncate(before[0]);
            self.distributed.truncate(before[1]);
            self.others.truncate(before[2]);
            if !self.vaes.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn add_all(&mut self, candidates: &[PathBuf]) -> Result<(), ReleasedError> {
        candidates.iter().try_for_each(|candidate| self.add(candidate))
    }

    fn add(&mut self, path: &Path) -> Result<(), ReleasedError> {
        let source = match CheckpointSource::open(path) {
            Ok(source) => source,
            // What lies beside it may be the same, converted.
            Err(CheckpointError::Distributed { path }) => {
                self.others.push(format!("pieces of training in `{}`", path.display()));
                self.distributed.push(path);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let other = match recognize(&source) {
            Ok(Recognized::Transformer(transformer)) => {
                let transformer = *transformer;
                let path = path.to_path_buf();
                self.transformers.push(FoundTransformer { path, transformer });
                return Ok(());
            }
            Ok(Recognized::Vae(config)) => {
                self.vaes.push((path.to_path_buf(), config));
                return Ok(());
            }
            Ok(Recognized::TextEmbedding(header)) => {
                if header.prompt.is_empty() {
                    self.empty_prompts.push(path.to_path_buf());
                }
                self.embeddings.push(path.to_path_buf());
                return Ok(());
            }
            Ok(Recognized::Control(_)) => "a control network",
            Ok(Recognized::TextEncoder(_)) => "a text encoder",
            Ok(Recognized::World(_)) => "a world of Worldloop",
            Ok(Recognized::Judge(_)) => "a judge of Worldloop",
            Err(RecognizeError::Unknown { .. }) => "unknown tensors",
            Err(error) => return Err(error.into()),
        };
        self.others.push(format!("{other} in `{}`", path.display()));
        Ok(())
    }

    fn not_found(&self, wanted: &'static str, advice: &'static str) -> ReleasedError {
        let transformers = self.transformers.iter();
        let transformers =
            transformers.map(|found| format!("{} in `{}`", describe(&found.transformer), found.path.display()));
        let vaes = self
            .vaes
            .iter()
            .map(|(path, _)| format!("a video VAE in `{}`", path.display()));
        let all: Vec<String> = transformers.chain(vaes).chain(self.others.iter().cloned()).collect();
        ReleasedError::NotFound {
            path: self.path.clone(),
            wanted,
            found: if all.is_empty() {
                "no weights at all".to_owned()
            } else {
                all.join(", ")
            },
            advice,
        }
    }
}

/// Says in words what a transformer is.
fn describe(transformer: &Transformer) -> String {
    let names: Vec<&str> = transformer.released.iter().map(|model| model.name).collect();
    if names.is_empty() {
        "a transformer of no released size".to_owned()
    } else {
        names.join(" or ")
    }
}

/// Returns the files of weights in a folder, sorted; a folder of shards counts as one, and so do the pieces of training.
fn candidates(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, ReleasedError> {
    let mut found = Vec::new();
    collect(folder, depth, &mut found)?;
    found.sort();
    if found.len() > MOST_FILES {
        return Err(ReleasedError::TooManyFiles {
            path: folder.to_path_buf(),
            most: MOST_FILES,
        });
    }
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ReleasedError> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| read_error(folder, source))? {
        entries.push(entry.map_err(|source| read_error(folder, source))?.path());
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if entries.iter().any(|path| name(path).ends_with(INDEX_SUFFIX)) {
        found.push(folder.to_path_buf());
        return Ok(());
    }
    if entries.iter().any(|path| is_distributed_part(path)) {
        found.push(folder.to_path_buf());
    }
    for path in entries {
        let hidden = name(&path).starts_with('.');
        let is_weights = path
            .extension()
            .is_some_and(|ending| ["safetensors", "pt", "pth"].iter().any(|known| ending == *known));
        if path.is_dir() {
            if depth > 0 && !hidden && found.len() <= MOST_FILES {
                collect(&path, depth - 1, found)?;
            }
        } else if is_weights && !hidden {
            found.push(path);
        }
    }
    Ok(())
}

fn has_mark(folder: &Path) -> bool {
    folder.join(RANDOM_MARK).is_file()
}

fn list<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> String {
    let shown: Vec<String> = paths.map(|path| format!("`{}`", path.display())).collect();
    shown.join(", ")
}

fn read_error(path: &Path, source: std::io::Error) -> ReleasedError {
    ReleasedError::Read {
        path: path.to_path_buf(),
        source,
    }
}
