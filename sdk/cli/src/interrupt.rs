//! Ctrl-C: the first one asks to stop, the second one stops at once.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

/// Says whether the user asked to stop.
#[derive(Debug, Clone)]
pub(crate) struct StopFlag {
    asked: Arc<AtomicBool>,
}

impl StopFlag {
    /// Starts listening for Ctrl-C.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let flag = Self { asked: asked.clone() };
        ctrlc::set_handler(move || {
            if asked.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            eprintln!("\nstopping after what is under way (Ctrl-C again to stop at once)");
        })
        .context("cannot listen for Ctrl-C")?;
        Ok(flag)
    }

    /// Returns whether the user asked to stop.
    pub(crate) fn is_set(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Returns `Break` once the user asked to stop.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if self.is_set() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
