//! The bytes of a pickle, read as its instructions need them.

use std::io::{self, BufRead, Read};

/// Input that knows how many bytes were read.
pub(super) struct Counted<'a, R> {
    pub(super) pickle: &'a mut R,
    pub(super) read: u64,
}

impl<R: BufRead> Counted<'_, R> {
    pub(super) fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.pickle.read_exact(&mut bytes)?;
        self.read += N as u64;
        Ok(bytes)
    }

    /// Passes over bytes without holding them.
    pub(super) fn skip(&mut self, len: u64) -> io::Result<u64> {
        let skipped = io::copy(&mut self.pickle.by_ref().take(len), &mut io::sink())?;
        self.read += skipped;
        if skipped < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(len)
    }

    /// Reads bytes that are there, whatever length is claimed.
    pub(super) fn held(&mut self, len: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.pickle.by_ref().take(len).read_to_end(&mut bytes)? as u64;
        self.read += read;
        if read < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes)
    }

    /// Reads up to the end of a line, which is left out.
    pub(super) fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.read += self.pickle.read_until(b'\n', &mut line)? as u64;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line)
    }

    /// Reads a line as the reader reads names and numbers.
    pub(super) fn name(&mut self) -> io::Result<String> {
        let mut line = self.line()?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}
