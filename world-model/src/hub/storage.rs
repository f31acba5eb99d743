//! Where a file is written while it comes, and how it becomes part of the cache.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest, Sha256};

use super::cache::is_commit;
use super::error::HubError;
use super::location::HubLocation;
use super::settings::HubSettings;

/// Bytes that are read at once for a digest.
const PIECE: usize = 1 << 20;

/// A file of the cache that is being written; nobody else writes it meanwhile.
#[derive(Debug)]
pub(super) struct Incomplete {
    /// The file, at its end.
    pub(super) file: File,
    /// Bytes that were there already.
    pub(super) len: u64,
    path: PathBuf,
    blob: PathBuf,
}

/// Names a repository at a revision as Hugging Face's own crate does.
fn repository(location: &HubLocation) -> Repo {
    let (name, revision) = (location.repository(), location.revision());
    Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned())
}

/// Returns the folder of whole files, which go by their digests.
pub(super) fn blobs(settings: &HubSettings, location: &HubLocation) -> PathBuf {
    let folder = settings.cache.join(repository(location).folder_name());
    folder.join("blobs")
}

/// Returns an error about a path of the cache.
pub(super) fn write_error(path: &Path) -> impl FnOnce(io::Error) -> HubError {
    move |source| HubError::Write {
        path: path.to_path_buf(),
        source,
    }
}

impl Incomplete {
    /// Opens what there is of a file, or starts it.
    pub(super) fn open(settings: &HubSettings, location: &HubLocation, etag: &str) -> Result<Self, HubError> {
        let blobs = blobs(settings, location);
        fs::create_dir_all(&blobs).map_err(write_error(&blobs))?;
        let (blob, path) = (blobs.join(etag), blobs.join(format!("{etag}.incomplete")));
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.map_err(write_error(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let location = Box::new(location.clone());
                return Err(HubError::Busy { location });
            }
            // Some network file systems have no locks; two downloads at once are then the user's own doing.
            Err(TryLockError::Error(_)) => {}
        }
        let len = file.metadata().map_err(write_error(&path))?.len();
        Ok(Self { file, len, path, blob })
    }

    /// Starts anew.
    pub(super) fn restart(&mut self) -> Result<(), HubError> {
        self.file.set_len(0).map_err(write_error(&self.path))?;
        self.len = 0;
        Ok(())
    }

    /// Returns an error about the file itself.
    pub(super) fn error(&self, source: io::Error) -> HubError {
        write_error(&self.path)(source)
    }

    /// Returns the SHA-256 of what is here, in hexadecimal digits.
    pub(super) fn digest(&self) -> Result<String, HubError> {
        let digest = || {
            let mut file = File::open(&self.path)?;
            let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE]);
            loop {
                match file.read(&mut piece)? {
                    0 => return Ok(hasher.finalize()),
                    len => hasher.update(&piece[..len]),
                }
            }
        };
        let digest = digest().map_err(write_error(&self.path))?;
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Gives the file its name, now that it is whole.
    pub(super) fn complete(self) -> Result<PathBuf, HubError> {
        self.file.sync_all().map_err(write_error(&self.path))?;
        fs::rename(&self.path, &self.blob).map_err(write_error(&self.blob))?;
        Ok(self.blob)
    }
}

/// Makes a whole file visible under its commit, and the commit under its branch; returns the path to open.
pub(super) fn publish(
    settings: &HubSettings,
    location: &HubLocation,
    commit: &str,
    blob: &Path,
) -> Result<PathBuf, HubError> {
    let cache = Cache::new(settings.cache.clone()).repo(repository(location));
    let path = cache.pointer_path(commit).join(location.file());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(write_error(parent))?;
    }
    if !path.is_file() {
        // A link that points nowhere would be in the way.
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(write_error(&path))?;
        }
        let up = "../".repeat(2 + location.file().matches('/').count());
        let name = blob.file_name().unwrap_or_default();
        link(&Path::new(&up).join("blobs").join(name), blob, &path).map_err(write_error(&path))?;
    }
    let revision = location.revision();
    if !is_commit(revision) && !location.is_short_commit() {
        cache.create_ref(commit).map_err(write_error(&settings.cache))?;
    }
    Ok(path)
}

#[cfg(unix)]
fn link(relative: &Path, _blob: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(relative, path)
}

/// Where links need a privilege, the file itself moves.
#[cfg(not(unix))]
fn link(_relative: &Path, blob: &Path, path: &Path) -> io::Result<()> {
    fs::rename(blob, path)
}
