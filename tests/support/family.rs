//! Where golden cases are, and which there are.

use std::io;
use std::path::{Path, PathBuf};

/// Variable that names another folder of golden cases.
const ROOT_VARIABLE: &str = "WORLDLOOP_GOLDEN";

/// A folder with one subfolder per family, each with one subfolder per case.
#[derive(Debug, Clone)]
pub struct GoldenRoot {
    /// The folder.
    pub path: PathBuf,
    /// Whether it is the small set inside the repository.
    pub is_fixtures: bool,
}

/// Finds the golden cases: the folder named by `WORLDLOOP_GOLDEN`, the shared one, or the small set of the repository.
///
/// A folder named by the variable is taken even if it does not exist, so that a misspelt path is not passed over.
pub fn find_root() -> GoldenRoot {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    if let Some(path) = std::env::var_os(ROOT_VARIABLE) {
        return GoldenRoot {
            path: path.into(),
            is_fixtures: false,
        };
    }
    let shared = tests.join("../../shared/golden");
    if shared.is_dir() {
        return GoldenRoot {
            path: shared,
            is_fixtures: false,
        };
    }
    GoldenRoot {
        path: tests.join("fixtures"),
        is_fixtures: true,
    }
}

/// Lists the folders of a family's cases with their names, sorted; none if there is no such family.
///
/// # Errors
/// If the family's folder exists and cannot be read.
pub fn list_cases(root: &Path, family: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let folder = root.join(family);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("case.json").is_file()
            && let Some(name) = path.file_name()
        {
            cases.push((name.to_string_lossy().into_owned(), path));
        }
    }
    cases.sort();
    Ok(cases)
}
