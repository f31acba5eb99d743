//! What can go wrong between a checkpoint on disk and a module in memory.

use std::path::PathBuf;

use super::report::LoadReport;
use crate::hub::HubError;

/// Explains why a checkpoint could not be read, loaded or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file or folder could not be read.
    #[error("cannot read checkpoint {location}: {source}; check that the path exists and is readable")]
    Read {
        /// The file or folder.
        location: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("cannot write checkpoint {}: {source}; check free space and permissions of the folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The content is neither safetensors nor a PyTorch archive.
    #[error(
        "{location} is not a checkpoint: it starts with {found:?}; \
         expected a .safetensors file, a PyTorch .pt/.pth file or a folder in the diffusers layout"
    )]
    UnknownFormat {
        /// The file.
        location: String,
        /// Its first bytes, at most eight.
        found: Vec<u8>,
    },
    /// The file is a TAR archive, as PyTorch saved before 0.1.10.
    #[error(
        "{location} is a TAR archive, expected a .safetensors file or a .pt file of torch.save; if it was saved by PyTorch \
         before 0.1.10, load it and save it again with torch >= 1.6; if the weights were packed into it, unpack them"
    )]
    TarArchive {
        /// The file.
        location: String,
    },
    /// The file stands for a large one that Git did not bring.
    #[error(
        "{location} is a pointer of Git LFS, not the weights that it stands for; fetch the file itself: `git lfs pull` in \
         its repository, or download it"
    )]
    LfsPointer {
        /// The file.
        location: String,
    },
    /// What was downloaded is the answer of a web server.
    #[error(
        "{location} is a web page (HTML or XML) saved under the name of weights; fetch the file itself: where a licence has \
         to be accepted, do that and download it with a token"
    )]
    WebPage {
        /// The file.
        location: String,
    },
    /// The file is shorter or longer than its own header says.
    #[error("{location} is truncated or corrupt: its header describes {expected} bytes, found {found}; fetch it again")]
    WrongLength {
        /// The file.
        location: String,
        /// Bytes that the header describes.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The bytes of a tensor are not there, or not those that were written.
    #[error("tensor `{key}` of {location} can't be read: {source}; the file is damaged: fetch it again")]
    Damaged {
        /// The file.
        location: String,
        /// The tensor.
        key: String,
        /// What is wrong with the bytes.
        source: std::io::Error,
    },
    /// The header of a safetensors file contradicts itself.
    #[error("{location} has an invalid safetensors header: {source}; fetch the file again")]
    Header {
        /// The file.
        location: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A PyTorch file could not be parsed.
    #[error(
        "{location} is not a readable PyTorch checkpoint: {source}; fetch it again or save it anew with torch.save"
    )]
    Pytorch {
        /// The file.
        location: String,
        /// What the reader said.
        source: pytorch_reader::PytorchError,
    },
    /// A PyTorch file claims more than it can hold.
    #[error(
        "{location} claims {claimed} bytes for {what}, expected at most {available}; it is corrupt or hostile: fetch it \
         again from where it was published"
    )]
    Oversized {
        /// The file.
        location: String,
        /// The entry, tensor or part.
        what: String,
        /// Bytes that it claims.
        claimed: u64,
        /// Bytes that it may have.
        available: u64,
    },
    /// A PyTorch file holds an object that is not plain data.
    #[error(
        "{location} holds a Python object of type `{class}` {place}; only tensors and plain values are read \
         and nothing is ever executed. Save the weights alone, as torch.save(model.state_dict(), path) or as safetensors"
    )]
    ForbiddenObject {
        /// The file.
        location: String,
        /// Where in the pickle the object sits.
        place: String,
        /// The Python type.
        class: String,
    },
    /// Two entries of a PyTorch file have one name.
    #[error(
        "{location} has two entries `{key}`, and only one can be meant; remove one of them, or save the weights anew with \
         torch.save(model.state_dict(), path)"
    )]
    RepeatedKey {
        /// The file.
        location: String,
        /// The name, with a point between a dictionary's and its entry's.
        key: String,
    },
    /// The index of a sharded checkpoint could not be parsed.
    #[error("{} is not a valid shard index: {source}", path.display())]
    ShardIndex {
        /// The index file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The index of a sharded checkpoint promises a tensor that its shard lacks, or a shard outside the folder.
    #[error("{} says that `{key}` is in `{shard}`, which {problem}; fetch the whole folder again", path.display())]
    Shard {
        /// The index file.
        path: PathBuf,
        /// The tensor.
        key: String,
        /// The shard named for it.
        shard: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A raw checkpoint of distributed training, in pieces.
    #[error(
        "{} is a distributed PyTorch checkpoint as training saves it (`.metadata`, `*.distcp`), expected one .pt or \
         .safetensors file; convert it with `scripts/convert_distcp_to_pt.py` of cosmos-predict2.5 and open the result",
        path.display()
    )]
    Distributed {
        /// The folder or file.
        path: PathBuf,
    },
    /// A file of the Hugging Face Hub could not be had.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// A folder holds no weights, or several candidates.
    #[error("no weights chosen in folder {}: found {found:?}; name one file, or a folder with one model in it", path.display())]
    AmbiguousFolder {
        /// The folder.
        path: PathBuf,
        /// Files and subfolders that might have been meant.
        found: Vec<String>,
    },
    /// A tensor that was asked for is not in the checkpoint.
    #[error("{location} has no tensor `{key}`; its keys start with {available:?}")]
    MissingTensor {
        /// The checkpoint.
        location: String,
        /// The key that was asked for.
        key: String,
        /// A few keys that are there.
        available: Vec<String>,
    },
    /// A tensor has an element type that weights cannot have.
    #[error("tensor `{key}` in {location} has element type {dtype}; expected a floating-point type")]
    ElementType {
        /// The checkpoint.
        location: String,
        /// The tensor.
        key: String,
        /// Its element type.
        dtype: String,
    },
    /// Two stored tensors claim the same parameter.
    #[error("`{first}` and `{second}` in {location} both belong to parameter `{parameter}`; remove one of them")]
    Ambiguous {
        /// The checkpoint.
        location: String,
        /// The parameter of the module.
        parameter: String,
        /// The stored key seen first.
        first: String,
        /// The stored key seen second.
        second: String,
    },
    /// Parameters are missing or mismatched, or stored tensors are left over.
    #[error("{location} does not fit the model: {report}")]
    Incomplete {
        /// The checkpoint.
        location: String,
        /// Every key and what became of it.
        report: Box<LoadReport>,
    },
}
