//! Text files of numbers: a row for each latent frame.

use std::path::Path;

use super::error::MultiviewError;
use crate::generation::error::GenerationError;

/// Reads the first `count` rows of `N` numbers; `meaning` says what they are. Empty lines, and what follows a `#`, do not
/// count.
///
/// # Errors
/// [`GenerationError::Read`], and [`MultiviewError`] with the line that is wrong.
pub(super) fn read_rows<const N: usize>(
    path: &Path,
    count: usize,
    meaning: &'static str,
) -> Result<Vec<[f64; N]>, GenerationError> {
    let text = std::fs::read_to_string(path).map_err(|source| GenerationError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut rows = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() || rows.len() == count {
            continue;
        }
        rows.push(row(path, line, text, meaning)?);
    }
    if rows.len() < count {
        let (path, found, expected) = (path.to_owned(), rows.len(), count);
        return Err(MultiviewError::CameraRows { path, found, expected }.into());
    }
    Ok(rows)
}

fn row<const N: usize>(
    path: &Path,
    line: usize,
    text: &str,
    meaning: &'static str,
) -> Result<[f64; N], MultiviewError> {
    let number = |text: &str| {
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| MultiviewError::CameraValue {
            path: path.to_owned(),
            line,
            found: text.to_owned(),
        })
    };
    let numbers = text.split_whitespace().map(number).collect::<Result<Vec<f64>, _>>()?;
    numbers
        .try_into()
        .map_err(|numbers: Vec<f64>| MultiviewError::CameraColumns {
            path: path.to_owned(),
            line,
            found: numbers.len(),
            expected: N,
            meaning,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<[f64; 2]>, GenerationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("camera.txt");
        std::fs::write(&path, text).unwrap();
        read_rows(&path, 2, "width and height")
    }

    #[test]
    fn rows_are_read_in_order_and_the_rest_is_left() {
        let rows = read("# a comment\n1 2.5\n\n 3e1\t-4 # and another\nthe rest\n").unwrap();
        assert_eq!(rows, [[1.0, 2.5], [30.0, -4.0]]);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        let cases: [(&str, &[&str]); 4] = [
            ("1 2\n", &["camera.txt", "1 rows", "2 are needed"]),
            ("1 2\n3 four\n", &["line 2", "`four`"]),
            ("1 nan\n", &["line 1", "`nan`"]),
            ("1 2 3\n", &["line 1", "3 numbers", "expected 2", "width and height"]),
        ];
        for (text, words) in cases {
            let message = read(text).unwrap_err().to_string();
            for word in words {
                assert!(message.contains(word), "{text:?} does not say {word:?}: {message}");
            }
        }
    }
}
