//! Where the sources are tied to the engine: the only place that knows both.

use std::path::PathBuf;

use anyhow::bail;

use super::run::Settings;
use crate::base::Limits;
use crate::pipeline::{Output, Summary};

/// Captures that can be read.
pub(super) struct Opened {
    files: Vec<String>,
}

impl Opened {
    /// Names of the files in the order of [`crate::base::Stamp::file`].
    pub(super) fn files(&self) -> Vec<String> {
        self.files.clone()
    }
}

/// Finds the files and looks at their beginnings: what cannot be read at all is told here, before anything is written.
pub(super) fn open(captures: &[PathBuf], keylogs: &[PathBuf], limits: &Limits) -> anyhow::Result<Opened> {
    let _ = (keylogs, limits);
    Ok(Opened { files: captures.iter().map(|path| path.display().to_string()).collect() })
}

/// Reads everything, or until `go_on` (asked with bytes read, and bytes in all) says no; then ends the engine in order.
pub(super) fn walk(
    opened: Opened,
    settings: Settings,
    out: impl Output,
    mut go_on: impl FnMut(u64, Option<u64>) -> bool,
) -> anyhow::Result<Summary> {
    let Settings { limits, keyer, gateways, stall_after } = settings;
    let _ = (opened, limits, keyer, gateways, stall_after, out, go_on(0, None));
    bail!("the engine is not wired yet")
}
