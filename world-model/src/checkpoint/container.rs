//! What kind of file it is, told from its first bytes.

use std::path::Path;

/// Bytes that are enough to tell.
pub(super) const START_BYTES: u64 = 512;

/// Where the header of a TAR archive says what it is.
const TAR_MARK: std::ops::Range<usize> = 257..262;

/// How a pointer of Git LFS starts.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec";

/// How answers of web servers start, in lower case.
const PAGES: [&str; 3] = ["<!doctype", "<html", "<?xml"];

/// Names what a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Safetensors,
    /// A ZIP archive, or a pickle as older files are.
    Pytorch,
    Tar,
    /// The few lines that Git keeps in the place of a large file.
    LfsPointer,
    WebPage,
    Unknown,
}

/// Tells what a file is; its name decides only where its content says nothing.
pub(super) fn tell(start: &[u8], path: &Path) -> Container {
    if start.get(8) == Some(&b'{') {
        return Container::Safetensors;
    }
    if start.starts_with(b"PK\x03\x04") {
        return Container::Pytorch;
    }
    // Before pickles: the name of an archive's first entry may start as one.
    if start.get(TAR_MARK) == Some(b"ustar") {
        return Container::Tar;
    }
    match start {
        [0x80, 2..=5, ..] => Container::Pytorch,
        _ if start.starts_with(POINTER) => Container::LfsPointer,
        _ if is_page(start) => Container::WebPage,
        _ if path.extension().is_some_and(|extension| extension == "safetensors") => Container::Safetensors,
        _ => Container::Unknown,
    }
}

fn is_page(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    PAGES.iter().any(|page| text.starts_with(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(start: &[u8]) -> Container {
        tell(start, Path::new("weights.safetensors"))
    }

    #[test]
    fn pages_and_pointers_are_told_from_weights() {
        for page in [
            "<!DOCTYPE html>",
            "\u{feff}\r\n <HTML lang=\"en\">",
            "<?xml version=\"1.0\"?><Error>",
        ] {
            assert_eq!(told(page.as_bytes()), Container::WebPage, "{page}");
        }
        assert_eq!(
            told(b"version https://git-lfs.github.com/spec/v1\noid"),
            Container::LfsPointer
        );
        assert_eq!(told(b"version 2"), Container::Safetensors);
        assert_eq!(tell(b"<", Path::new("weights.pt")), Container::Unknown);
    }

    #[test]
    fn an_archive_is_a_tar_whatever_its_first_entry_is_called() {
        let mut start = [0; START_BYTES as usize];
        start[TAR_MARK].copy_from_slice(b"ustar");
        assert_eq!(told(&start), Container::Tar);
        start[..2].copy_from_slice(b"\x80\x02");
        assert_eq!(told(&start), Container::Tar);
        start[8] = b'{';
        assert_eq!(told(&start), Container::Safetensors);
    }
}
