//! One JSON document of the same records. The long list is written as it comes, so that memory does not follow the capture.

use std::io::{self, Write};

use super::record::{CaptureRecord, ExchangeRecord, FindingRecord, PairRecord, SummaryRecord};
use super::sink::Sink;
use super::{Report, Shape};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::verdict::{Finding, Judged};

/// A single document (`--format json`): `{"pairs":[..],"findings":[..],"captures":[..],"summary":{..}}`, or with `exchanges` in the
/// place of pairs and findings.
#[derive(Debug)]
pub struct Json<W> {
    sink: Sink<W>,
    shape: Shape,
    listed: bool,
    findings: Vec<Finding>,
}

impl<W: Write> Json<W> {
    /// Writes to `out`, which it expects to be buffered.
    pub fn new(out: W, shape: Shape) -> Json<W> {
        let mut sink = Sink::new(out);
        sink.text(if shape.exchanges { "{\"exchanges\":[" } else { "{\"pairs\":[" });
        Json { sink, shape, listed: false, findings: Vec::new() }
    }

    fn between(&mut self) {
        self.sink.text(if self.listed { ",\n" } else { "\n" });
        self.listed = true;
    }
}

impl<W: Write> Output for Json<W> {
    fn pair(&mut self, judged: Judged) {
        if !self.shape.only_findings && !self.shape.exchanges {
            self.between();
            self.sink.record(&PairRecord::new(&judged, &self.shape.files));
        }
    }

    /// The summary has them all.
    fn loss(&mut self, _: Loss) {}

    fn finding(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn exchange(&mut self, leg: Leg) {
        if self.shape.exchanges {
            self.between();
            self.sink.record(&ExchangeRecord::new(&leg, &self.shape.files));
        }
    }

    fn wants_exchanges(&self) -> bool {
        self.shape.exchanges
    }
}

impl<W: Write> Report for Json<W> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.sink.text("]");
        if !self.shape.exchanges {
            self.sink.text(",\n\"findings\":");
            self.sink.record(&self.findings.iter().map(FindingRecord::new).collect::<Vec<_>>());
        }
        self.sink.text(",\n\"captures\":");
        let losses = summary.losses.iter().filter(|_| !self.shape.only_findings);
        self.sink.record(&losses.map(CaptureRecord::new).collect::<Vec<_>>());
        self.sink.text(",\n\"summary\":");
        self.sink.record(&SummaryRecord::new(summary));
        self.sink.text("}\n");
        self.sink.finish()
    }

    fn failed(&self) -> bool {
        self.sink.failed()
    }
}
