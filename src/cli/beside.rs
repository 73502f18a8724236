//! A report, and somebody who looks at what passes on its way there.

use std::io;

use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::report::{Beat, Report};
use crate::verdict::{Finding, Judged};

/// Who looks.
pub(super) trait Eye {
    /// At a pair.
    fn pair(&mut self, judged: &Judged);
    /// At what was lost.
    fn loss(&mut self, _: &Loss) {}
    /// At a finding.
    fn finding(&mut self, _: &Finding) {}
}

/// Hands everything on to the report, once the eye has seen it.
pub(super) struct Beside<'a, E> {
    pub(super) report: Box<dyn Report + 'a>,
    pub(super) eye: E,
}

impl<E: Eye> Output for Beside<'_, E> {
    fn pair(&mut self, judged: Judged) {
        self.eye.pair(&judged);
        self.report.pair(judged);
    }

    fn loss(&mut self, loss: Loss) {
        self.eye.loss(&loss);
        self.report.loss(loss);
    }

    fn finding(&mut self, finding: Finding) {
        self.eye.finding(&finding);
        self.report.finding(finding);
    }

    fn exchange(&mut self, leg: Leg) {
        self.report.exchange(leg);
    }

    fn wants_exchanges(&self) -> bool {
        self.report.wants_exchanges()
    }
}

impl<E: Eye> Report for Beside<'_, E> {
    fn finish(&mut self, summary: &Summary) -> io::Result<()> {
        self.report.finish(summary)
    }

    fn flush(&mut self) {
        self.report.flush();
    }

    fn beat(&mut self, beat: &Beat) {
        self.report.beat(beat);
    }

    fn failed(&self) -> bool {
        self.report.failed()
    }
}
