//! Why a file of the Hub is not here: one reason each, with what to do about it.

use std::path::PathBuf;

use super::location::HubLocation;

/// Explains why a file of the Hub could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// The server does not know who asks (status 401).
    #[error(
        "{location} is only for those who say who they are (401), and {}: make a token at \
         https://huggingface.co/settings/tokens, put it into HF_TOKEN, and accept the licence at {}",
        if *has_token { "the token was refused" } else { "there is no token" },
        location.page()
    )]
    Unauthorized {
        /// The file.
        location: Box<HubLocation>,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The account has not accepted the licence, or its token may not read what has one (status 403).
    #[error(
        "{location} is not open to this account (403): {}. Open {}, accept it, and run this again",
        if *is_gated {
            "the token is fine, but the licence was not accepted"
        } else {
            "the licence was not accepted, or the token may not read repositories that have one"
        },
        location.page()
    )]
    Forbidden {
        /// The file.
        location: Box<HubLocation>,
        /// Whether the server says that it is the licence.
        is_gated: bool,
    },
    /// There is no such thing (status 404).
    #[error("there is no such {what} on the server (404): {location}. Compare the names with {}/tree/main", location.page())]
    NotFound {
        /// The file.
        location: Box<HubLocation>,
        /// What is missing: repository, revision or file.
        what: &'static str,
    },
    /// The weights exist in NVIDIA's own storage alone.
    #[error(
        "{address} is in NVIDIA's own storage, which is not open to the public: no token and no licence gives access. \
         `worldloop models` lists the weights that were released"
    )]
    Internal {
        /// The address.
        address: String,
    },
    /// Only the cache may be used.
    #[error(
        "{location} is not in the cache {}, and HF_HUB_OFFLINE forbids to fetch it: unset the variable, or copy \
         the cache of a machine that has it",
        cache.display()
    )]
    Offline {
        /// The file.
        location: Box<HubLocation>,
        /// The cache.
        cache: PathBuf,
    },
    /// The server can't be reached.
    #[error(
        "{endpoint} can't be reached for {location}: {reason}. Check the network, HF_ENDPOINT for a mirror and HTTPS_PROXY \
         for a proxy; files that are in the cache work without"
    )]
    Unreachable {
        /// The server.
        endpoint: String,
        /// The file.
        location: Box<HubLocation>,
        /// What went wrong.
        reason: String,
    },
    /// The transfer ended early.
    #[error(
        "the transfer of {location} broke off after {received} of {expected} bytes ({reason}): run this again, it goes \
         on where it stopped"
    )]
    BrokenOff {
        /// The file.
        location: Box<HubLocation>,
        /// Bytes that are here.
        received: u64,
        /// Bytes of the file.
        expected: u64,
        /// What went wrong.
        reason: String,
    },
    /// All bytes are here, and they are others than those of the file.
    #[error(
        "{location} arrived damaged: its SHA-256 is {found}, expected {expected}. What came was thrown away; run this again"
    )]
    Damaged {
        /// The file.
        location: Box<HubLocation>,
        /// The digest that the server announced.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// Another process fetches the same file.
    #[error("{location} is being fetched by another process: wait for it")]
    Busy {
        /// The file.
        location: Box<HubLocation>,
    },
    /// The server failed, or answered with something else.
    #[error("the server's answer for {location} can't be used: {problem}; try again later, or another HF_ENDPOINT")]
    Answer {
        /// The file.
        location: Box<HubLocation>,
        /// What is wrong with it.
        problem: String,
    },
    /// An address that is none.
    #[error(
        "`{address}` is no file on the Hub: expected hf://OWNER/NAME@REVISION/FILE, with %2F for a slash in the revision"
    )]
    Address {
        /// The address.
        address: String,
    },
    /// A name that nothing on the Hub has.
    #[error("`{name}` is no name of a {what} on the Hub: expected plain names, with slashes between them")]
    Name {
        /// Repository, revision or file.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The cache can't be written.
    #[error("cannot write {}: {source}; check free space and permissions, or set HF_HUB_CACHE", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// This program can't fetch anything.
    #[error(
        "{location} is not in the cache {}, and this program was built without the feature `hub`: build it with \
         `cargo run --release --features hub -- …`, or fetch the file with Hugging Face's own tools",
        cache.display()
    )]
    NotBuiltIn {
        /// The file.
        location: Box<HubLocation>,
        /// The cache.
        cache: PathBuf,
    },
}
