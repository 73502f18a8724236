//! How far the run is, on a terminal's standard error, once it takes long enough to wonder; and whether somebody wants it to end.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Asked between two inputs.
#[derive(Debug)]
pub(super) struct Meter {
    started: Instant,
    /// Where the clock was looked at last.
    looked: u64,
    terminal: bool,
    bar: Option<ProgressBar>,
    ended: Arc<AtomicBool>,
}

impl Meter {
    /// Begins to count, and to listen for Ctrl-C. A second Ctrl-C ends the process at once.
    pub(super) fn start() -> anyhow::Result<Meter> {
        let ended = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&ended))
                .context("signals cannot be listened for")?;
            signal_hook::flag::register(signal, Arc::clone(&ended)).context("signals cannot be listened for")?;
        }
        Ok(Meter { started: Instant::now(), looked: 0, terminal: io::stderr().is_terminal(), bar: None, ended })
    }

    /// `read` bytes of `total` are done.
    pub(super) fn at(&mut self, read: u64, total: Option<u64>) {
        // Looking at the clock costs more than some packets do.
        if !self.terminal || read < self.looked.saturating_add(STEP) {
            return;
        }
        self.looked = read;
        if self.bar.is_none() && self.started.elapsed() > PATIENCE {
            self.bar = Some(bar(total));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(read);
        }
    }

    /// Somebody pressed Ctrl-C.
    pub(super) fn interrupted(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Takes the bar off the screen.
    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
    let template =
        if total.is_some() { "reading {bar:40} {percent:>3} % {bytes}/{total_bytes} {eta}" } else { "reading {bytes} {bytes_per_sec}" };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes between two looks at the clock.
const STEP: u64 = 262_144;
