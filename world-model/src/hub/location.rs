//! A file on the Hub by name.

use std::fmt;
use std::str::FromStr;

use super::error::HubError;
use crate::catalog::HubFile;

/// Fewest digits of a commit that are taken for the start of one; a whole one has forty.
const SHORT_COMMIT: std::ops::Range<usize> = 7..40;

/// How addresses on the Hub begin.
const SCHEME: &str = "hf://";

/// How addresses of NVIDIA's own storage begin.
const INTERNAL_SCHEME: &str = "s3://";

/// A file in a repository at a revision, with names that are safe to make paths and addresses of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HubLocation {
    repository: String,
    revision: String,
    file: String,
}

impl HubLocation {
    /// Names a file: `repository` is owner and name, `revision` a branch, a commit or the start of one.
    ///
    /// # Errors
    /// [`HubError::Internal`] for addresses of NVIDIA's own storage, [`HubError::Name`] for names that no repository,
    /// revision or file has.
    pub fn new(repository: &str, revision: &str, file: &str) -> Result<Self, HubError> {
        for part in [repository, file] {
            if part.starts_with(INTERNAL_SCHEME) {
                return Err(HubError::Internal {
                    address: part.to_owned(),
                });
            }
        }
        let is_repository = repository.split('/').count() == 2 && is_relative(repository);
        for (what, name, is_fine) in [
            ("repository", repository, is_repository),
            ("revision", revision, is_relative(revision)),
            ("file", file, is_relative(file)),
        ] {
            if !is_fine {
                return Err(HubError::Name {
                    what,
                    name: name.to_owned(),
                });
            }
        }
        Ok(Self {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            file: file.to_owned(),
        })
    }

    /// Returns owner and name of the repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the branch, the commit or the start of one.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Returns the path inside the repository.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the same file at another revision.
    #[cfg(feature = "hub")]
    pub(super) fn at(&self, revision: &str) -> Self {
        Self {
            revision: revision.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the page where the licence of the repository can be accepted.
    pub fn page(&self) -> String {
        format!("https://huggingface.co/{}", self.repository)
    }

    /// Returns whether the revision is the start of a commit, which the Hub does not understand by itself.
    pub(super) fn is_short_commit(&self) -> bool {
        SHORT_COMMIT.contains(&self.revision.len()) && is_hexadecimal(&self.revision)
    }
}

impl FromStr for HubLocation {
    type Err = HubError;

    /// Reads an address as Hugging Face's tools write it, `hf://OWNER/NAME@REVISION/FILE`: a slash in the revision is `%2F`, and
    /// without `@REVISION` it is `main`.
    fn from_str(address: &str) -> Result<Self, HubError> {
        let parts = || {
            let (owner, rest) = address.strip_prefix(SCHEME)?.split_once('/')?;
            let (name, file) = rest.split_once('/')?;
            let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
            Some((format!("{owner}/{name}"), revision.replace("%2F", "/"), file))
        };
        let (repository, revision, file) = parts().ok_or_else(|| {
            let is_internal = address.starts_with(INTERNAL_SCHEME);
            let address = address.to_owned();
            match is_internal {
                true => HubError::Internal { address },
                false => HubError::Address { address },
            }
        })?;
        Self::new(&repository, &revision, file)
    }
}

impl TryFrom<HubFile> for HubLocation {
    type Error = HubError;

    fn try_from(file: HubFile) -> Result<Self, HubError> {
        Self::new(file.repository, file.revision, file.file)
    }
}

impl fmt::Display for HubLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` of {} at {}", self.file, self.repository, self.revision)
    }
}

pub(super) fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns whether every part of a path is a plain name of letters, digits and a few signs.
fn is_relative(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    path.split('/')
        .all(|part| !part.is_empty() && part.bytes().any(|byte| byte != b'.') && part.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_are_refused() {
        assert!(
            HubLocation::new(
                "nvidia/Cosmos-Predict2.5-2B",
                "diffusers/base/pre-trained",
                "vae/config.json"
            )
            .is_ok()
        );
        for (repository, revision, file) in [
            ("nvidia", "main", "a"),
            ("nvidia/a/b", "main", "a"),
            ("nvidia/..", "main", "a"),
            ("nvidia/a", "../main", "a"),
            ("nvidia/a", "main", "/etc/passwd"),
            ("nvidia/a", "main", "a/../../b"),
            ("nvidia/a", "main", "a?b"),
            ("nvidia/a", "", "a"),
        ] {
            let error = HubLocation::new(repository, revision, file).expect_err("an unsafe name");
            assert!(matches!(error, HubError::Name { .. }), "{error}");
        }
    }

    #[test]
    fn addresses_are_those_of_hugging_faces_tools() {
        let whole = "hf://nvidia/Cosmos-Predict2.5-2B@diffusers%2Fgeneral/transformer/model.safetensors";
        let expected = HubLocation::new(
            "nvidia/Cosmos-Predict2.5-2B",
            "diffusers/general",
            "transformer/model.safetensors",
        );
        assert_eq!(whole.parse::<HubLocation>().unwrap(), expected.unwrap());
        let short: HubLocation = "hf://me/mine/a.pt".parse().unwrap();
        assert_eq!((short.revision(), short.file()), ("main", "a.pt"));
        for wrong in [
            "hf://me/mine",
            "hf://mine",
            "https://huggingface.co/me/mine/a.pt",
            "hf://",
        ] {
            let error = wrong.parse::<HubLocation>().unwrap_err().to_string();
            assert!(
                error.contains(wrong) && error.contains("hf://OWNER/NAME@REVISION/FILE"),
                "{error}"
            );
        }
        let internal = "s3://bucket/model.pt".parse::<HubLocation>().unwrap_err();
        assert!(matches!(internal, HubError::Internal { .. }), "{internal}");
        let outside = "hf://me/mine/../../a.pt".parse::<HubLocation>().unwrap_err();
        assert!(matches!(outside, HubError::Name { what: "file", .. }), "{outside}");
    }

    #[test]
    fn internal_storage_is_told_from_the_hub() {
        let error = HubLocation::new("s3://bucket/cosmos", "main", "model").expect_err("no repository");
        let message = error.to_string();
        assert!(
            message.contains("s3://bucket/cosmos") && message.contains("NVIDIA"),
            "{message}"
        );
    }

    #[test]
    fn the_start_of_a_commit_is_told_from_a_branch() {
        let at = |revision| HubLocation::new("nvidia/a", revision, "b").expect("plain names");
        assert!(at("15a82a2e").is_short_commit());
        for other in [
            "main",
            "15a82a",
            "diffusers/general",
            "0123456789abcdef0123456789abcdef01234567",
        ] {
            assert!(!at(other).is_short_commit(), "{other}");
        }
    }
}
