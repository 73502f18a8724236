//! The one-thread reference: captured frames go in, judged pairs come out.

use std::net::IpAddr;

use super::exchanges::Exchanges;
use super::streams::Streams;
use super::{Loss, Output, Summary};
use crate::base::{Count, Counts, Keyer, Limits, Stamp, Ts};
use crate::correlate::Correlator;
use crate::mcp::{Joiner, Seen};
use crate::packet::{Decoder, Frame, Sight, Sightings};
use crate::tcp::Table;
use crate::tls::KeyLog;
use crate::verdict::{Finding, Findings, Judge, Verdict};

/// What a run may be told.
#[derive(Clone)]
pub struct Options {
    /// Bounds.
    pub limits: Limits,
    /// Makes fingerprints.
    pub keyer: Keyer,
    /// Gateways that the user named; any port where none is given.
    pub gateways: Vec<(IpAddr, Option<u16>)>,
    /// When silence counts as a stalled answer, nanoseconds of packet time.
    pub stall_after: i64,
}

/// Walks the road.
pub struct Engine<O: Output> {
    limits: Limits,
    counts: Counts,
    decoder: Decoder,
    sightings: Sightings,
    table: Table,
    streams: Streams,
    ordered: Ordered<O>,
    first: Option<Ts>,
    now: Stamp,
    ticked: Ts,
}

/// The part of the road that sees everything in order.
struct Ordered<O> {
    exchanges: Exchanges,
    joiner: Joiner,
    counts: Counts,
    joined: Vec<Seen>,
    correlator: Correlator,
    pairs: Vec<crate::correlate::Pair>,
    judge: Judge,
    findings: Findings,
    summary: Summary,
    out: O,
}

impl<O: Output> Engine<O> {
    /// Ready for the first frame.
    pub fn new(options: Options, out: O) -> Engine<O> {
        let Options { limits, keyer, gateways, stall_after } = options;
        let seed = keyer.mark(b"connections").0;
        Engine {
            counts: Counts::default(),
            decoder: Decoder::new(&limits),
            sightings: Sightings::new(&limits),
            table: Table::new(seed),
            streams: Streams::new(keyer, &limits),
            ordered: Ordered {
                exchanges: Exchanges::default(),
                joiner: Joiner::new(&limits),
                counts: Counts::default(),
                joined: Vec::new(),
                correlator: Correlator::new(gateways, limits.clone()),
                pairs: Vec::new(),
                judge: Judge::new(stall_after),
                findings: Findings::new(&limits),
                summary: Summary::default(),
                out,
            },
            first: None,
            now: Stamp::default(),
            ticked: Ts(i64::MIN),
            limits,
        }
    }

    /// A frame was captured.
    pub fn frame(&mut self, frame: Frame<'_>) {
        let at = frame.at;
        self.counts.bump(Count::Packets);
        self.counts.add(Count::PacketBytes, u64::from(frame.orig_len));
        if self.first.is_none() {
            self.first = Some(at.ts);
        }
        if at.ts < self.now.ts {
            self.counts.bump(Count::TimeSteps);
        }
        self.now = Stamp { ts: self.now.ts.max(at.ts), ..at };
        // Time passes before the packet is looked at: what a timer decides must not depend on it.
        if at.ts.since(self.ticked) >= TICK {
            self.tick(at.ts);
        }
        let Some(mut decoded) = self.decoder.decode(frame, &mut self.counts) else { return };
        match self.sightings.push(&mut decoded, at, &mut self.counts) {
            Sight::Again => return,
            Sight::New => {}
            Sight::Tied { tied, again } => {
                self.table.tie((tied.a, tied.b), (tied.alias_a, tied.alias_b), &self.limits);
                if again {
                    return;
                }
            }
            Sight::Apart { opener, at } => self.table.push(&opener, at, &self.limits, &mut self.counts, &mut self.streams),
        }
        self.table.push(&decoded.segment, at, &self.limits, &mut self.counts, &mut self.streams);
        if !self.streams.seen.is_empty() {
            self.ordered.take(&mut self.streams, self.now);
        }
    }

    /// Packet time has come to `now`, with or without a packet.
    pub fn tick(&mut self, now: Ts) {
        self.ticked = now;
        self.table.tick(now, &self.limits, &mut self.counts, &mut self.streams);
        self.streams.tick(now);
        self.ordered.take(&mut self.streams, self.now);
        // Where records wait for keys, what comes after them waits with them, and so does time.
        let now = self.streams.held_since().map_or(now, |held| held.min(now));
        self.ordered.correlator.tick(now, self.table.held_since(), &mut self.ordered.pairs);
        self.ordered.judge(self.now);
    }

    /// TLS secrets of key logs that were read beforehand, and what was counted while reading them.
    pub fn key_log(&mut self, keys: KeyLog, counts: &Counts) {
        self.streams.key_log(keys, counts);
    }

    /// TLS secrets became known (NSS key log format): what waits for them is read now.
    pub fn secrets(&mut self, text: &[u8]) {
        self.streams.secrets(text);
        self.ordered.take(&mut self.streams, self.now);
    }

    /// No more TLS secrets will come: what no key fits need not be kept any longer.
    pub fn secrets_complete(&mut self) {
        self.streams.complete();
        self.ordered.take(&mut self.streams, self.now);
    }

    /// Whether TLS was met, so that secrets matter from now on.
    pub fn met_tls(&self) -> bool {
        self.streams.met_tls()
    }

    /// Packets were lost before they reached the capture.
    pub fn dropped(&mut self, packets: u64) {
        self.counts.add(Count::KernelDrops, packets);
    }

    /// Packets were captured and dropped, because they came faster than they could be judged.
    pub fn overloaded(&mut self, packets: u64) {
        self.counts.add(Count::OwnDrops, packets);
    }

    /// Who gets the results, to be spoken to while the run goes on.
    pub fn out(&mut self) -> &mut O {
        &mut self.ordered.out
    }

    /// The findings as they stand, in order of their first pair.
    pub fn findings(&self) -> Vec<Finding> {
        self.ordered.findings.all()
    }

    /// Something else could not be read.
    pub fn loss(&mut self, loss: Loss) {
        self.ordered.summary.losses.push(loss.clone());
        self.ordered.out.loss(loss);
    }

    /// Nothing more will come: everything open is judged with what is known.
    pub fn finish(mut self, captures: Vec<String>) -> (Summary, O) {
        self.decoder.finish(&mut self.counts);
        self.streams.complete();
        self.table.finish(self.now, &self.limits, &mut self.counts, &mut self.streams);
        self.ordered.take(&mut self.streams, self.now);
        self.counts.merge(&self.streams.counts());
        self.counts.merge(&self.ordered.counts);
        self.ordered.finish(self.now);
        let mut summary = std::mem::take(&mut self.ordered.summary);
        summary.exchanges = self.ordered.exchanges.count;
        summary.captures = captures;
        summary.first = self.first;
        summary.last = self.first.map(|_| self.now.ts);
        summary.counts = self.counts;
        summary.gateways = self.ordered.correlator.gateways();
        (summary, self.ordered.out)
    }

    /// The run so far. What it finds is known to whoever was given the pairs.
    pub fn summary(&self) -> Summary {
        let mut counts = self.counts.clone();
        counts.merge(&self.streams.counts());
        counts.merge(&self.ordered.counts);
        Summary {
            first: self.first,
            last: self.first.map(|_| self.now.ts),
            counts,
            exchanges: self.ordered.exchanges.count,
            gateways: self.ordered.correlator.gateways(),
            ..self.ordered.summary.clone()
        }
    }

    /// Open connections, and exchanges that wait for their pair.
    pub fn open(&self) -> (usize, usize) {
        (self.table.open(), self.ordered.correlator.open())
    }

    /// What was counted so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl<O: Output> Ordered<O> {
    /// Takes what the streams saw.
    fn take(&mut self, streams: &mut Streams, now: Stamp) {
        for seen in streams.seen.drain(..) {
            if let Some(leg) = self.exchanges.watch(&seen, self.out.wants_exchanges()) {
                self.out.exchange(leg);
            }
            self.joiner.push(seen, &mut self.counts, &mut self.joined);
        }
        for seen in self.joined.drain(..) {
            self.correlator.push(seen, &mut self.pairs);
        }
        self.judge(now);
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

    fn finish(&mut self, now: Stamp) {
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
    }
}

/// How often timers are looked at, nanoseconds of packet time.
const TICK: i64 = 10_000_000;
