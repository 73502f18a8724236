//! Where the sources are tied to the engine: the only place that knows both.

use std::path::PathBuf;

use super::keylogs::{self, KeyLogs};
use super::run::Settings;
use super::walk::{GoOn, Walk};
use crate::base::Limits;
use crate::pipeline::{Options, Output, Summary};
use crate::source::{self, Inputs};

/// Captures that can be read.
pub(super) struct Opened {
    inputs: Inputs,
    keys: KeyLogs,
}

impl Opened {
    /// Names of the files in the order of [`crate::base::Stamp::file`].
    pub(super) fn files(&self) -> Vec<String> {
        self.inputs.files().iter().map(|file| file.path.display().to_string()).collect()
    }
}

/// Finds the files and looks at their beginnings: what cannot be read at all is told here, before anything is written.
pub(super) fn open(captures: &[PathBuf], keylogs: &[PathBuf], limits: &Limits) -> anyhow::Result<Opened> {
    Ok(Opened { keys: keylogs::read(keylogs, limits)?, inputs: source::plan(captures, limits)? })
}

/// Reads everything, or until `go_on` (asked with bytes read, and bytes in all) says no; then ends the run in order.
pub(super) fn walk(opened: Opened, settings: Settings, out: impl Output, go_on: impl GoOn) -> Summary {
    let Settings { limits, keyer, gateways, stall_after, threads } = settings;
    let Opened { inputs, keys } = opened;
    let walk = Walk { inputs, keys, options: Options { limits, keyer, gateways, stall_after } };
    if threads > 1 { walk.threaded(out, go_on) } else { walk.alone(out, go_on) }
}
