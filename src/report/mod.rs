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
pub use text::{Lines, Text};
pub use whole::{Form, Whole};

use std::io;

use crate::pipeline::{Output, Summary};

/// Something that shows a run. Writing may fail halfway: the first error is kept, nothing is written after it, and
/// [`Report::finish`] returns it.
pub trait Report: Output {
    /// The run is over: the last words, then everything is flushed.
    fn finish(&mut self, summary: &Summary) -> io::Result<()>;
    /// Nothing more can be written (the reader has gone): going on is of no use.
    fn failed(&self) -> bool;
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
