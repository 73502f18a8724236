//! Where the sources are tied to the engine.

use std::path::PathBuf;

use super::keylogs::{self, KeyLogs};
use super::run::Settings;
use super::spool::Spool;
use super::walk::{Moment, Walk};
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

    fn walk(self, settings: Settings, spool: Option<&mut Spool>) -> Walk<'_> {
        let Settings { limits, keyer, gateways, stall_after } = settings;
        Walk { inputs: self.inputs, keys: self.keys, options: Options { limits, keyer, gateways, stall_after }, spool }
    }
}

/// Finds the files and looks at their beginnings: what cannot be read at all is told here, before anything is written.
pub(super) fn open(captures: &[PathBuf], keylogs: &[PathBuf], limits: &Limits) -> anyhow::Result<Opened> {
    Ok(Opened { keys: keylogs::read(keylogs, limits)?, inputs: source::plan(captures, limits)? })
}

/// Reads everything on this thread, or until `go_on` says no; then ends the engine in order.
pub(super) fn walk<O: Output>(
    opened: Opened,
    settings: Settings,
    out: O,
    go_on: impl FnMut(Moment<'_, O>) -> bool,
) -> anyhow::Result<Summary> {
    Ok(opened.walk(settings, None).alone(out, go_on))
}

/// The same on so many threads. What cannot be read twice goes into the `spool`, if one is given. `go_on` is asked with bytes
/// read, and bytes in all.
pub(super) fn walk_on<O: Output>(
    threads: usize,
    opened: Opened,
    settings: Settings,
    spool: Option<&mut Spool>,
    out: O,
    mut go_on: impl FnMut(u64, Option<u64>) -> bool,
) -> Summary {
    let walk = opened.walk(settings, spool);
    // What comes through a pipe is told as it comes, and may stop coming: it is not gathered for another thread.
    let piped = walk.inputs.progress().total().is_none();
    if threads > 1 && !piped { walk.threaded(out, go_on) } else { walk.alone(out, |moment| go_on(moment.read, moment.total)) }
}
