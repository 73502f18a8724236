//! Forms that are one document about the whole run: it is digested while it goes on, and laid out when it is over.

use std::io::{self, Write};

use super::digest::Digest;
use super::sink::Sink;
use super::{Report, Shape, html, junit, markdown, sarif};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::verdict::{Finding, Judged, Verdict};

/// Which document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// One self-contained page (`--format html`).
    Html,
    /// `--format markdown`.
    Markdown,
    /// JUnit XML (`--format junit`): a test case for each finding, and one for each route without. `fails`: verdicts that fail a case,
    /// and whether those fail it that the answer's body declares.
    Junit {
        /// `--fail-on`
        fails: Vec<Verdict>,
        /// `--allow-declared`
        allow_declared: bool,
    },
    /// SARIF 2.1.0 (`--format sarif`).
    Sarif,
    /// Markdown for a gateway's maintainers (`--report-issue`).
    Issue,
}

/// A document, written when the run is over.
#[derive(Debug)]
pub struct Whole<W> {
    sink: Sink<W>,
    form: Form,
    digest: Digest,
}

impl<W: Write> Whole<W> {
    /// Writes to `out`, which it expects to be buffered.
    pub fn new(out: W, shape: Shape, form: Form) -> Whole<W> {
        let ladders = match form {
            Form::Html => html::MOST_LADDERS,
            Form::Markdown => markdown::MOST_LADDERS,
            Form::Issue => markdown::MOST_ISSUE_LADDERS,
            Form::Junit { .. } | Form::Sarif => MOST_LADDERS,
        };
        Whole { sink: Sink::new(out), form, digest: Digest::new(shape, ladders) }
    }
}

impl<W: Write> Output for Whole<W> {
    fn pair(&mut self, judged: Judged) {
        self.digest.pair(judged);
    }

    fn loss(&mut self, loss: Loss) {
        self.digest.loss(loss);
    }

    fn finding(&mut self, finding: Finding) {
        self.digest.finding(finding);
    }

    fn exchange(&mut self, _: Leg) {}
}

impl<W: Write> Report for Whole<W> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let text = match &self.form {
            Form::Html => html::page(&self.digest, summary)?,
            Form::Markdown => markdown::page(&self.digest, summary)?,
            Form::Issue => markdown::issue(&self.digest, summary)?,
            Form::Junit { fails, allow_declared } => junit::document(&self.digest, summary, fails, *allow_declared)?,
            Form::Sarif => sarif::document(&self.digest, summary)?,
        };
        self.sink.text(&text);
        self.sink.finish()
    }

    fn failed(&self) -> bool {
        self.sink.failed()
    }
}

const MOST_LADDERS: usize = 200;
