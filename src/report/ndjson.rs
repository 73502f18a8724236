//! One record a line, in the order in which things become known; the summary last.

use std::io::{self, Write};

use super::record::{BeatRecord, CaptureRecord, ExchangeRecord, FindingRecord, PairRecord, SummaryRecord};
use super::sink::Sink;
use super::{Beat, Report, Shape};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::verdict::{Finding, Judged};

/// Newline-delimited JSON (`--format ndjson`).
#[derive(Debug)]
pub struct Ndjson<W> {
    sink: Sink<W>,
    shape: Shape,
}

impl<W: Write> Ndjson<W> {
    /// Writes to `out`, which it expects to be buffered.
    pub fn new(out: W, shape: Shape) -> Ndjson<W> {
        Ndjson { sink: Sink::new(out), shape }
    }

    fn line(&mut self, record: &impl serde::Serialize) {
        self.sink.record(record);
        self.sink.text("\n");
    }
}

impl<W: Write> Output for Ndjson<W> {
    fn pair(&mut self, judged: Judged) {
        if !self.shape.only_findings && !self.shape.exchanges {
            self.sink.record(&PairRecord::new(&judged, &self.shape.files));
            self.sink.text("\n");
        }
    }

    fn loss(&mut self, loss: Loss) {
        if !self.shape.only_findings {
            self.line(&CaptureRecord::new(&loss));
        }
    }

    fn finding(&mut self, finding: Finding) {
        if !self.shape.exchanges {
            self.line(&FindingRecord::new(&finding));
        }
    }

    fn exchange(&mut self, leg: Leg) {
        if self.shape.exchanges {
            self.sink.record(&ExchangeRecord::new(&leg, &self.shape.files));
            self.sink.text("\n");
        }
    }

    fn wants_exchanges(&self) -> bool {
        self.shape.exchanges
    }
}

impl<W: Write> Report for Ndjson<W> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.line(&SummaryRecord::new(summary));
        self.sink.finish()
    }

    fn beat(&mut self, beat: &Beat) {
        self.line(&BeatRecord::new(beat));
    }

    fn flush(&mut self) {
        self.sink.flush();
    }

    fn failed(&self) -> bool {
        self.sink.failed()
    }
}
