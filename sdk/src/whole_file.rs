//! Files and folders that appear whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

/// Writes beside a path and renames, in the place of what was there.
pub(crate) fn put(path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let attempt = || {
        remove(&partial)?;
        write(&partial)?;
        if partial.is_dir() {
            remove(path)?;
        }
        std::fs::rename(&partial, path)
    };
    attempt().inspect_err(|_| {
        // What is left of the attempt only takes space; that it may not be there is fine.
        let _ = remove(&partial);
    })
}

/// Removes a file or folder if there is one.
fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
