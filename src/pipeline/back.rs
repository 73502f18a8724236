//! The last stretch of the road, which has to see everything in order: what was asked and answered comes in, judged pairs go out.

use std::net::IpAddr;

use super::exchanges::Exchanges;
use super::front::Walked;
use super::middle::Hear;
use super::{Loss, Output, Summary};
use crate::base::{Count, Counts, Limits, Stamp, Ts};
use crate::correlate::{Correlator, Pair};
use crate::mcp::{Joiner, Seen};
use crate::verdict::{Finding, Findings, Judge, Verdict};

/// Pairs, verdicts, findings.
pub struct Back<O> {
    exchanges: Exchanges,
    joiner: Joiner,
    counts: Counts,
    joined: Vec<Seen>,
    correlator: Correlator,
    pairs: Vec<Pair>,
    judge: Judge,
    findings: Findings,
    summary: Summary,
    most_losses: usize,
    pub(super) out: O,
}

impl<O: Output> Back<O> {
    pub(super) fn new(limits: &Limits, correlator: Correlator, judge: Judge, out: O) -> Back<O> {
        Back {
            exchanges: Exchanges::default(),
            joiner: Joiner::new(limits),
            counts: Counts::default(),
            joined: Vec::new(),
            correlator,
            pairs: Vec::new(),
            judge,
            findings: Findings::new(limits),
            summary: Summary::default(),
            most_losses: limits.losses,
            out,
        }
    }

    /// Nothing more will come: everything open is judged with what is known. `walked`, `counts`: what the stretches before this one knew.
    pub fn finish(mut self, walked: Walked, counts: &Counts) -> (Summary, O) {
        let now = walked.now;
        self.joiner.finish(&mut self.joined);
        for seen in self.joined.drain(..) {
            self.correlator.push(seen, &mut self.pairs);
        }
        for leg in self.exchanges.rest() {
            self.out.exchange(leg);
        }
        self.judge(now);
        self.correlator.finish(&mut self.pairs);
        self.judge(now);
        let findings = self.findings.all();
        self.summary.findings = findings.len() as u64;
        for finding in findings {
            self.out.finding(finding);
        }
        (self.summary(walked, counts), self.out)
    }

    /// The run so far.
    pub(super) fn summary(&self, walked: Walked, counts: &Counts) -> Summary {
        let Walked { counts: mut all, first, now, names } = walked;
        all.merge(counts);
        all.merge(&self.counts);
        Summary {
            first,
            last: first.map(|_| now.ts),
            counts: all,
            exchanges: self.exchanges.count,
            gateways: self.correlator.gateways(),
            names,
            ..self.summary.clone()
        }
    }

    /// The findings as they stand, in order of their first pair.
    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.all()
    }

    /// The gateways found so far, in address order.
    pub(super) fn gateways(&self) -> Vec<crate::correlate::Gateway> {
        self.correlator.gateways()
    }

    /// Exchanges that wait for their pair.
    pub(super) fn open(&self) -> usize {
        self.correlator.open()
    }

    /// An eighth of the open requests, the oldest, are judged with what is known.
    pub(super) fn relieve(&mut self, now: Stamp) {
        self.correlator.relieve(&mut self.pairs);
        self.judge(now);
    }

    pub(super) fn name_gateways(&mut self, named: Vec<(IpAddr, Option<u16>)>) {
        self.correlator.name_gateways(named);
    }

    fn judge(&mut self, now: Stamp) {
        for pair in self.pairs.drain(..) {
            let judged = self.judge.judge(pair, now);
            self.summary.pairs += 1;
            *self.summary.verdicts.entry(judged.verdict).or_default() += 1;
            if judged.verdict == Verdict::Unresolved
                && let Some(reason) = judged.because
            {
                *self.summary.unresolved.entry(reason).or_default() += 1;
            }
            self.findings.add(&judged);
            self.out.pair(judged);
        }
    }
}

impl<O: Output> Hear for Back<O> {
    fn seen(&mut self, seen: &mut Vec<Seen>, at: Stamp) {
        for seen in seen.drain(..) {
            if let Some(leg) = self.exchanges.watch(&seen, self.out.wants_exchanges()) {
                self.out.exchange(leg);
            }
            self.joiner.push(seen, &mut self.counts, &mut self.joined);
        }
        for seen in self.joined.drain(..) {
            self.correlator.push(seen, &mut self.pairs);
        }
        self.judge(at);
    }

    fn tick(&mut self, now: Ts, held: Option<Ts>, at: Stamp) {
        self.correlator.tick(now, held, &mut self.pairs);
        self.judge(at);
    }

    fn loss(&mut self, loss: Loss) {
        if self.summary.losses.len() < self.most_losses {
            self.summary.losses.push(loss.clone());
        } else {
            self.counts.add(Count::LossesUntold, 1);
        }
        self.out.loss(loss);
    }
}
