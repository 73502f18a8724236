//! The report for a person, at most 100 columns wide: what was captured, the gateway, the verdicts, a story a finding. Of the pairs it
//! keeps only what stories need, so that memory does not follow the capture.

pub(super) mod explain;
mod finding;
mod groups;
mod lines;
mod live;
mod log;
pub(super) mod overview;
pub(crate) mod page;
pub(crate) mod say;
pub(super) mod story;
pub(crate) mod words;

#[cfg(feature = "live")]
pub(super) use groups::{Groups, title};
pub use lines::Lines;
pub use live::Live;
pub use log::{Level, Lined, Log};

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use self::finding::Told;
use self::page::Page;
use self::story::Story;
use super::sink::Sink;
use super::{Report, Shape};
use crate::base::Addr;
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::verdict::{CauseKind, Failure, Finding, Judged, Reason, Verdict};

/// The text report (`--format text`).
#[derive(Debug)]
pub struct Text<W> {
    sink: Sink<W>,
    shape: Shape,
    colour: bool,
    explain: Option<u64>,
    explained: Option<String>,
    stories: Vec<Story>,
    known: BTreeSet<Key>,
    reasons: BTreeMap<Reason, Sample>,
    findings: Vec<Told>,
}

/// What pairs of one finding have in common, as far as a single pair shows it.
type Key = (Verdict, &'static str, Option<Failure>, Option<CauseKind>, Option<Reason>, String, Option<Addr>);

/// One unresolved pair of many.
#[derive(Debug)]
struct Sample {
    pair: u64,
    detail: Option<String>,
}

impl<W: Write> Text<W> {
    /// Writes to `out`, in colour or not.
    pub fn new(out: W, shape: Shape, colour: bool) -> Text<W> {
        Text {
            sink: Sink::new(out),
            shape,
            colour,
            explain: None,
            explained: None,
            stories: Vec::new(),
            known: BTreeSet::new(),
            reasons: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    /// Tells one pair with all its evidence instead of the whole run (`--explain`).
    pub fn explaining(mut self, pair: Option<u64>) -> Text<W> {
        self.explain = pair;
        self
    }

    fn keep(&mut self, judged: &Judged) {
        if let Some(because) = judged.because.filter(|_| judged.verdict == Verdict::Unresolved) {
            self.reasons.entry(because).or_insert_with(|| Sample { pair: judged.number, detail: judged.because_detail.clone() });
        }
        // Unresolved pairs too: a finding that is certain only as a number has nothing but candidates.
        if !(judged.verdict.flagged() || judged.verdict == Verdict::Unresolved) || self.stories.len() >= MOST_STORIES {
            return;
        }
        if self.known.insert(key(judged)) {
            self.stories.push(Story::new(judged, &self.shape.files));
        }
    }

    fn page(&self, summary: &Summary) -> String {
        let mut page = Page::new(self.colour);
        if self.explain.is_some() {
            return self.explained.clone().unwrap_or_default();
        }
        if !self.shape.only_findings {
            overview::headline(&mut page, summary);
            overview::captured(&mut page, summary);
            overview::gateways(&mut page, summary);
            overview::verdicts(&mut page, summary);
        }
        finding::all(&mut page, &self.findings, &self.stories, summary);
        if !self.shape.only_findings || self.findings.is_empty() {
            overview::conclusion(&mut page, summary, |reason| {
                self.reasons.get(&reason).map(|sample| (sample.pair, sample.detail.as_deref()))
            });
        }
        page.into_text()
    }
}

fn key(judged: &Judged) -> Key {
    let cause = judged.cause.as_ref().map(|cause| cause.kind);
    let route = judged.pair.down.path().to_owned();
    (judged.verdict, judged.rule, judged.failure, cause, judged.because, route, judged.server)
}

impl<W: Write> Output for Text<W> {
    fn pair(&mut self, judged: Judged) {
        match self.explain {
            Some(number) if number == judged.number => {
                self.explained = Some(explain::pair(Page::new(self.colour), &judged, &self.shape.files));
            }
            Some(_) => {}
            None => self.keep(&judged),
        }
    }

    /// The summary tells them all at the end.
    fn loss(&mut self, _: Loss) {}

    fn finding(&mut self, finding: Finding) {
        self.findings.push(Told::new(finding, &self.stories));
    }

    fn exchange(&mut self, _: Leg) {}
}

impl<W: Write> Report for Text<W> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        let text = self.page(summary);
        self.sink.text(text.trim_start_matches('\n'));
        self.sink.finish()
    }

    fn failed(&self) -> bool {
        self.sink.failed()
    }
}

/// Stories kept in memory, each a few hundred bytes.
const MOST_STORIES: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::swallowed;

    #[test]
    fn memory_follows_kinds_of_pairs_and_not_their_number() {
        let mut report = Text::new(Vec::new(), Shape::default(), false);
        for number in 1..=5_000 {
            report.pair(swallowed(number));
            let mut unclear = swallowed(number);
            (unclear.verdict, unclear.because) = (Verdict::Unresolved, Some(Reason::Ambiguous));
            report.pair(unclear);
        }
        assert_eq!((report.stories.len(), report.reasons.len()), (2, 1));
    }
}
