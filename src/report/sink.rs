//! Bytes come in, the first error stays: the pipeline's `Output` has no way to return one.

use std::io::{self, Write};

use serde::Serialize;

/// A writer that goes quiet after its first error.
#[derive(Debug)]
pub(super) struct Sink<W> {
    out: W,
    error: Option<io::Error>,
}

impl<W: Write> Sink<W> {
    pub(super) fn new(out: W) -> Sink<W> {
        Sink { out, error: None }
    }

    /// Writes text as it is.
    pub(super) fn text(&mut self, text: &str) {
        self.attempt(|out| out.write_all(text.as_bytes()));
    }

    /// Writes a record as JSON, without a line end.
    pub(super) fn record(&mut self, record: &impl Serialize) {
        self.attempt(|out| serde_json::to_writer(out, record).map_err(io::Error::from));
    }

    /// Whether an error has been met.
    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Hands on what is buffered.
    pub(super) fn flush(&mut self) {
        self.attempt(Write::flush);
    }

    /// Flushes, and gives back the first error of all.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.attempt(Write::flush);
        self.error.take().map_or(Ok(()), Err)
    }

    fn attempt(&mut self, write: impl FnOnce(&mut W) -> io::Result<()>) {
        if self.error.is_none() {
            self.error = write(&mut self.out).err();
        }
    }
}
