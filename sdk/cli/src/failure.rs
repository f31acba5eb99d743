//! How failures reach a person: one message, and an exit code.

use std::fmt::Write;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// Exit code of a run that was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// The user asked to stop; what is missing can be resumed.
    Stopped,
}

/// Replaces the text of a panic by a sentence for the user; the details are there with `RUST_BACKTRACE=1`.
pub(crate) fn install_panic_message() {
    let details = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if std::env::var_os("RUST_BACKTRACE").is_some() {
            details(info);
        }
    }));
}

/// Runs a command and turns its end into an exit code, with a message on standard error if it failed.
pub(crate) fn report(command: impl FnOnce() -> anyhow::Result<Outcome>) -> ExitCode {
    match panic::catch_unwind(AssertUnwindSafe(command)) {
        Ok(Ok(Outcome::Done)) => ExitCode::SUCCESS,
        Ok(Ok(Outcome::Stopped)) => ExitCode::from(INTERRUPTED),
        // A reader that has seen enough, such as `head`, is no failure.
        Ok(Err(error)) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("error: {}", message(&error));
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!(
                "error: worldloop stopped because of a fault in itself. Finished episodes and checkpoints are kept. \
                 Please report the command together with its output under RUST_BACKTRACE=1."
            );
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Joins an error with those of its causes that it does not already tell.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            // Writing to a string can't fail.
            let _ = write!(text, "\n  because: {cause}");
        }
    }
    text
}
