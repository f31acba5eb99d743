//! Files that are here already.
//!
//! Looked up without the crate `hf-hub`, which only the feature `hub` brings: it takes any text in a reference for a commit, does
//! not know the start of one, and depends on MPL-2.0 code, which default features must not.

use std::fs;
use std::path::{Path, PathBuf};

use super::location::{HubLocation, is_hexadecimal};
use super::settings::HubSettings;

/// Digits of a whole commit.
pub(super) const COMMIT_LEN: usize = 40;

impl HubSettings {
    /// Returns the path of a file that is in the cache.
    pub fn cached(&self, location: &HubLocation) -> Option<PathBuf> {
        let folder = self.repository_folder(location);
        let snapshots = folder.join("snapshots");
        let commit = commit_of(&folder, location)?;
        let path = snapshots.join(commit).join(location.file());
        path.is_file().then_some(path)
    }

    /// Returns the folder of a repository in the cache.
    fn repository_folder(&self, location: &HubLocation) -> PathBuf {
        let name = format!("models--{}", location.repository().replace('/', "--"));
        self.cache.join(name)
    }
}

/// Finds the commit that a revision stands for, as far as the cache knows.
fn commit_of(folder: &Path, location: &HubLocation) -> Option<String> {
    let revision = location.revision();
    if let Ok(text) = fs::read_to_string(folder.join("refs").join(revision)) {
        let commit = text.trim();
        return is_commit(commit).then(|| commit.to_owned());
    }
    if is_commit(revision) {
        return Some(revision.to_owned());
    }
    if !location.is_short_commit() {
        return None;
    }
    let names = fs::read_dir(folder.join("snapshots")).ok()?.flatten();
    let mut commits = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_commit(name) && name.starts_with(revision));
    let first = commits.next();
    // Two commits with the same start are no answer.
    first.filter(|_| commits.next().is_none())
}

pub(super) fn is_commit(text: &str) -> bool {
    text.len() == COMMIT_LEN && is_hexadecimal(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "15a82a2e0123456789abcdef0123456789abcdef";

    fn settings(cache: &Path) -> HubSettings {
        HubSettings {
            endpoint: "http://127.0.0.1:1".to_owned(),
            token: None,
            cache: cache.to_path_buf(),
            is_offline: true,
        }
    }

    #[test]
    fn what_hugging_faces_tools_fetched_is_found_by_branch_commit_and_its_start() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--nvidia--Cosmos-Predict2.5-2B");
        let snapshot = folder.join("snapshots").join(COMMIT);
        fs::create_dir_all(snapshot.join("base")).unwrap();
        fs::create_dir_all(folder.join("refs/diffusers/base")).unwrap();
        fs::write(snapshot.join("base/model.pt"), "weights").unwrap();
        fs::write(folder.join("refs/main"), COMMIT).unwrap();
        fs::write(folder.join("refs/diffusers/base/pre-trained"), format!("{COMMIT}\n")).unwrap();
        let settings = settings(cache.path());
        let find = |revision: &str, file: &str| {
            let location = HubLocation::new("nvidia/Cosmos-Predict2.5-2B", revision, file).unwrap();
            settings.cached(&location)
        };
        for revision in ["main", COMMIT, "15a82a2e", "diffusers/base/pre-trained"] {
            assert_eq!(
                find(revision, "base/model.pt"),
                Some(snapshot.join("base/model.pt")),
                "{revision}"
            );
        }
        assert_eq!(find("main", "base/other.pt"), None);
        assert_eq!(find("other", "base/model.pt"), None);
        assert_eq!(find("15a82a2f", "base/model.pt"), None);

        let twin = format!("15a82a2e{}", "f".repeat(32));
        fs::create_dir_all(folder.join("snapshots").join(twin)).unwrap();
        assert_eq!(find("15a82a2e", "base/model.pt"), None, "two commits start so");
        fs::write(folder.join("refs/main"), "../../../etc").unwrap();
        assert_eq!(find("main", "base/model.pt"), None, "a reference is a commit");
    }
}
