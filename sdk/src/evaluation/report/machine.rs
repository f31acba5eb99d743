//! Where figures were measured.

use std::fmt;

use serde::Serialize;

/// The machine and the program that measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Name of the processor, as the system tells it.
    pub processor: String,
    /// Threads that this program may use.
    pub threads: usize,
    /// Operating system and architecture.
    pub system: String,
    /// Version of this program.
    pub version: String,
}

impl Machine {
    /// Asks the present machine.
    pub fn current() -> Self {
        let described = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = described
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            processor: model.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned()),
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            threads,
            system,
            version,
        } = self;
        write!(f, "{processor}, {threads} threads, {system}, worldloop {version}")
    }
}
