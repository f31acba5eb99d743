//! A Python with the packages that the tests compare with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// What is installed from the package index. Pillow 13 resizes some shapes in another order.
pub(crate) const PACKAGES: [&str; 4] = ["numpy", "pillow<12", "safetensors", "huggingface_hub"];

/// Runs a script of `peers/` and returns the JSON that it prints.
pub(crate) fn ask(script: &str, arguments: &[&str]) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/peers").join(script);
    let output = run(Command::new(python()).arg(&path).args(arguments));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{script} printed no JSON: {error}"))
}

/// Returns the interpreter of the virtual environment, which is made once and kept.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
        let python = folder.join("bin/python");
        let mark = folder.join(PACKAGES.join("+"));
        if !mark.exists() {
            run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            run(Command::new(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(PACKAGES));
            std::fs::write(&mark, "").expect("the environment is writable");
        }
        python
    })
}

fn run(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start ({error}): install Python 3 with venv and pip"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {message}");
    output
}
