//! Judged pairs, findings, exchanges and losses come in; bytes for a person or a script go out, one file a form. It refuses to know
//! where they go: files, terminals and exit codes are the command line's.

pub mod compare;
mod digest;
pub mod evidence;
mod html;
mod json;
mod junit;
mod ladder;
mod markdown;
mod ndjson;
#[cfg(feature = "live")]
mod otlp;
mod record;
mod sarif;
mod sink;
mod text;
mod view;
mod whole;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

pub use json::Json;
pub use ndjson::Ndjson;
#[cfg(feature = "live")]
pub use otlp::{Otlp, Parcel};
pub use text::{Level, Lined, Lines, Live, Log, Text};
pub(crate) use text::{page, say, words};
pub use whole::{Form, Whole};

use text::explain;

use std::io;

use crate::base::Ts;
use crate::pipeline::{Output, Summary};
use crate::verdict::Judged;

/// One pair with all its evidence, as `--explain` tells it, in so many columns.
pub(crate) fn explained(judged: &Judged, files: &[String], width: usize) -> String {
    explain::pair(page::Page::wide(width), judged, files)
}

/// Something that shows a run. Writing may fail halfway: the first error is kept, nothing is written after it, and
/// [`Report::finish`] returns it.
pub trait Report: Output {
    /// The run is over: the last words, then everything is flushed.
    fn finish(&mut self, summary: &Summary) -> io::Result<()>;
    /// A live run goes on: what was held back is shown.
    fn flush(&mut self) {}
    /// A live run is alive, and this is what it has lost so far.
    fn beat(&mut self, _: &Beat) {}
    /// Nothing more can be written (the reader has gone): going on is of no use.
    fn failed(&self) -> bool;
}

/// The state of a live run: an output without findings is good news only where this goes on coming.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// When.
    pub at: Ts,
    /// Packets captured.
    pub received: u64,
    /// Packets that the kernel dropped.
    pub kernel_drops: u64,
    /// Packets that came faster than they could be judged.
    pub own_drops: u64,
}

/// What a report shows, whatever its form.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// Findings alone, without pairs and losses (`--only findings`).
    pub only_findings: bool,
    /// Names of the capture files, in input order: told beside frame numbers where there are several.
    pub files: Vec<String>,
    /// Every HTTP exchange instead of pairs (the `exchanges` command).
    pub exchanges: bool,
}
