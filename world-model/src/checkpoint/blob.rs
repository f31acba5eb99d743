//! Bytes that tensors are cut from: a file read piece by piece, or memory.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A file or a byte string that can be read at any offset.
///
/// Files are read with explicit offsets instead of being mapped: a file that shrinks while it is open is then an error,
/// not a signal that ends the process.
pub(super) enum Blob {
    File { file: Mutex<File>, len: u64 },
    Memory(Cow<'static, [u8]>),
}

impl Blob {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self::File {
            file: Mutex::new(file),
            len,
        })
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::File { len, .. } => *len,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Reads `len` bytes at `start`, refusing ranges outside the blob before allocating.
    pub(super) fn read(&self, start: u64, len: usize) -> io::Result<Cow<'_, [u8]>> {
        let end = start.checked_add(len as u64).filter(|end| *end <= self.len());
        let Some(end) = end else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        };
        match self {
            Self::File { file, .. } => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = vec![0; len];
                file.read_exact(&mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
            // The range is inside the slice, whose length is a `usize`.
            Self::Memory(bytes) => Ok(Cow::Borrowed(&bytes[start as usize..end as usize])),
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::File { .. } => "File",
            Self::Memory(_) => "Memory",
        };
        write!(f, "{kind}({} bytes)", self.len())
    }
}
