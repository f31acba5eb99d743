//! Progress on standard error: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(15);

/// Shows how far a command is.
#[derive(Debug)]
pub(crate) struct Progress {
    label: String,
    total: u64,
    position: u64,
    started: Instant,
    display: Display,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
}

impl Progress {
    /// Starts with a label and the number of things to do.
    pub(crate) fn new(label: impl Into<String>, total: u64) -> Self {
        let label = label.into();
        let display = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(total).with_prefix(label.clone());
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {elapsed} (left {eta}) {msg}");
            bar.set_style(style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> ")));
            Display::Bar(bar)
        } else {
            Display::Lines { last: None }
        };
        Self {
            label,
            total,
            position: 0,
            started: Instant::now(),
            display,
        }
    }

    /// Returns the time since the start in seconds.
    pub(crate) fn elapsed_secs(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Counts one more thing as done.
    pub(crate) fn advance(&mut self, message: &str) {
        self.set(self.position + 1, message);
    }

    /// Says how many things are done, and what goes on.
    pub(crate) fn set(&mut self, position: u64, message: &str) {
        self.position = position;
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(position);
                bar.set_message(message.to_owned());
            }
            Display::Lines { last } => {
                if position == self.total || last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) {
                    *last = Some(Instant::now());
                    let secs = self.started.elapsed().as_secs();
                    let left = time_left(position, self.total, secs);
                    eprintln!(
                        "{} {position}/{} after {secs} s{left} {message}",
                        self.label, self.total
                    );
                }
            }
        }
    }

    /// Prints a line that stays.
    pub(crate) fn say(&self, line: &str) {
        match &self.display {
            Display::Bar(bar) => bar.suspend(|| eprintln!("{line}")),
            Display::Lines { .. } => eprintln!("{line}"),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let Display::Bar(bar) = self.display {
            bar.finish_and_clear();
        }
    }
}

/// Says how long the rest takes at the same pace, once that can be told.
fn time_left(position: u64, total: u64, secs: u64) -> String {
    match total.checked_sub(position) {
        Some(rest) if rest > 0 && position > 0 && secs > 0 => format!(", about {} s left", secs * rest / position),
        _ => String::new(),
    }
}
