//! Judged pairs come in as they are known; which streams make a finding's evidence goes out once the findings are.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::{Addr, ConnId, Limits, Via};
use crate::correlate::Leg;
use crate::http::Version;
use crate::mcp::Peers;
use crate::report::ladder::Ladder;
use crate::report::record::{FindingRecord, PairRecord};
use crate::verdict::{CauseKind, Failure, Finding, Judged, Reason, Verdict};

/// Remembers what pairs are made of: a few of each kind.
#[derive(Debug)]
pub struct Picker {
    traces: Vec<Trace>,
    known: BTreeMap<Key, usize>,
    /// An answered pair for each upstream server: beside silence, it shows that the server is one.
    sound: BTreeMap<(Addr, Addr), Trace>,
    files: Vec<String>,
    limits: Limits,
}

type Key = (Verdict, &'static str, Option<Failure>, Option<CauseKind>, Option<Reason>, String, Option<Addr>);

/// A pair, as far as its evidence needs it.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) number: u64,
    pub(super) gateway: Addr,
    pub(super) expected: Expected,
    pub(super) ladder: String,
    pub(super) record: Value,
    pub(super) parts: Vec<Part>,
}

/// What a bundle must be judged to hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// Who asked.
    pub client: Addr,
    /// On which route.
    pub route: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How upstream failed.
    pub failure: Option<Failure>,
}

/// One connection's share of a pair.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) conn: ConnId,
    /// Numbers of its exchanges on the connection.
    pub(super) exchanges: Vec<u32>,
    pub(super) peers: Peers,
    /// From which packet of the input to which.
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) how: How,
    /// `pair 17, gateway to upstream`.
    pub(super) label: String,
}

/// How a connection's bytes get into a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its own packets, overwritten in place.
    Plain,
    /// Messages in packets that are made up; the string says why.
    Made(&'static str),
    /// Its own packets, with nothing of them readable.
    Opaque,
}

/// What of the input shows a pair, for whoever cannot read the input again: packets of one connection.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// Client and server, by every address that they have.
    pub ends: Vec<(Addr, Addr)>,
    /// From which place of the input.
    pub from: u64,
    /// To which.
    pub until: u64,
}

/// A finding and the pairs that show it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub(super) finding: u64,
    pub(super) record: Value,
    pub(super) traces: Vec<Trace>,
    /// Another pair that shows who is who.
    pub(super) context: Option<Trace>,
    /// Pairs of the finding that are not in the bundle.
    pub(super) untold: u64,
}

impl Picker {
    /// `files` names the captures, where there are several.
    pub fn new(files: Vec<String>, limits: &Limits) -> Picker {
        Picker { traces: Vec::new(), known: BTreeMap::new(), sound: BTreeMap::new(), files, limits: limits.clone() }
    }

    /// A pair was judged. Gives what it takes of the input to show it, where it was picked.
    pub fn pair(&mut self, judged: &Judged) -> Vec<Stretch> {
        let context = self.note_context(judged);
        self.pick(judged).or(context).iter().flat_map(|trace| &trace.parts).map(Stretch::new).collect()
    }

    fn pick(&mut self, judged: &Judged) -> Option<Trace> {
        let flagged = judged.verdict.flagged();
        if !(flagged || judged.verdict == Verdict::Unresolved) || self.traces.len() >= self.limits.evidence_pairs {
            return None;
        }
        let cause = judged.cause.as_ref().map(|cause| cause.kind);
        let key = (judged.verdict, judged.rule, judged.failure, cause, judged.because, judged.pair.down.path().to_owned(), judged.server);
        let kept = self.known.entry(key).or_default();
        // One shows a finding; what is certain only of many pairs together needs them all.
        if *kept >= if flagged { OF_A_KIND } else { self.limits.evidence_bundle_pairs } {
            return None;
        }
        *kept += 1;
        self.traces.push(Trace::new(judged, &self.files));
        self.traces.last().cloned()
    }

    fn note_context(&mut self, judged: &Judged) -> Option<Trace> {
        let pair = &judged.pair;
        let answered = matches!(judged.verdict, Verdict::Healthy | Verdict::Propagated | Verdict::Swallowed | Verdict::Partial);
        if !answered || judged.failure == Some(Failure::Timeout) {
            return None;
        }
        // Any that was answered will do, a healthy one is better.
        let better = |known: &Trace| judged.verdict == Verdict::Healthy && known.expected.verdict != Verdict::Healthy;
        let new = |server: &Addr| self.sound.get(&(pair.gateway, *server)).is_none_or(better);
        let servers: Vec<Addr> = pair.up.iter().map(|link| link.leg.peers.server).filter(new).collect();
        if servers.is_empty() || self.sound.len() >= self.limits.evidence_bundle_pairs || pair.up.len() > MOST_SOUND {
            return None;
        }
        let trace = Trace::new(judged, &self.files);
        for server in servers {
            self.sound.insert((pair.gateway, server), trace.clone());
        }
        Some(trace)
    }

    /// The evidence for findings, in their order; and how many findings go without.
    pub fn choose(self, findings: &[Finding]) -> (Vec<Wanted>, usize) {
        let mut all = Vec::new();
        for finding in findings.iter().take(self.limits.evidence_bundles) {
            let of = |numbers: &[u64]| -> Vec<Trace> {
                let held = |trace: &&Trace| numbers.binary_search(&trace.number).is_ok();
                self.traces.iter().filter(held).take(self.limits.evidence_bundle_pairs).cloned().collect()
            };
            let mut traces = of(&finding.pairs);
            if traces.is_empty() {
                traces = of(&finding.candidates);
            }
            let untold = (finding.count.max(finding.candidates.len() as u64)).saturating_sub(traces.len() as u64);
            // Who never answers cannot be told from a server of another kind, but for what it did at another time.
            // The same where the client's own request was lost: then nothing in the bundle says what is asked here.
            let lost = |trace: &Trace| {
                trace.record["downstream"]["mcp"]["method"].is_null() && trace.record["downstream"]["mcp"]["lists"].is_null()
            };
            let silent = finding.verdict == Verdict::Stalled || finding.failure == Some(Failure::Timeout) || traces.iter().any(lost);
            let gateway = traces.first().map(|trace| trace.gateway);
            let context = gateway.zip(finding.server).filter(|_| silent).and_then(|key| self.sound.get(&key)).cloned();
            let record = serde_json::to_value(FindingRecord::new(finding)).unwrap_or_default();
            all.push(Wanted { finding: finding.number, record, traces, context, untold });
        }
        (all, findings.len().saturating_sub(self.limits.evidence_bundles))
    }
}

impl Stretch {
    fn new(part: &Part) -> Stretch {
        let clients: Vec<Addr> = part.peers.clients().collect();
        let ends = part.peers.servers().flat_map(|server| clients.iter().map(move |client| (*client, server)).collect::<Vec<_>>());
        Stretch { ends: ends.collect(), from: part.from, until: part.until }
    }
}

impl Wanted {
    /// Pairs that somebody chose, found or not; `untold` counts those beyond what one bundle holds.
    pub fn chosen<'a>(pairs: impl Iterator<Item = &'a Judged>, files: &[String], limits: &Limits) -> Wanted {
        let mut traces: Vec<Trace> = Vec::new();
        let mut untold = 0;
        for judged in pairs {
            if traces.len() < limits.evidence_bundle_pairs {
                traces.push(Trace::new(judged, files));
            } else {
                untold += 1;
            }
        }
        Wanted { finding: 0, record: Value::Null, traces, context: None, untold }
    }

    /// Pairs that are not in the bundle.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    /// The finding's number.
    pub fn number(&self) -> u64 {
        self.finding
    }

    /// Where the gateways of its pairs listen.
    pub fn gateways(&self) -> Vec<Addr> {
        let mut all: Vec<Addr> = self.traces.iter().map(|trace| trace.gateway).collect();
        all.sort();
        all.dedup();
        all
    }

    /// What its pairs were judged to be.
    pub fn expected(&self) -> Vec<Expected> {
        let mut all: Vec<Expected> = self.traces.iter().map(|trace| trace.expected.clone()).collect();
        all.sort();
        all
    }
}

impl Expected {
    /// Of a judged pair.
    pub fn of(judged: &Judged) -> Expected {
        let down = &judged.pair.down;
        Expected { client: down.peers.client, route: down.path().to_owned(), verdict: judged.verdict, failure: judged.failure }
    }
}

impl Trace {
    fn new(judged: &Judged, files: &[String]) -> Trace {
        let pair = &judged.pair;
        let number = judged.number;
        let mut parts = Vec::new();
        exchange(&mut parts, &pair.down, format!("pair {number}, client to gateway"));
        for link in &pair.up {
            exchange(&mut parts, &link.leg, format!("pair {number}, gateway to upstream"));
        }
        for leg in &pair.authorization {
            exchange(&mut parts, leg, format!("pair {number}, authorization"));
        }
        if judged.verdict == Verdict::Unresolved {
            for leg in pair.others.iter().flat_map(|other| &other.legs) {
                exchange(&mut parts, leg, "what the pairs may have caused as well".to_owned());
            }
        }
        for one in &pair.conduits {
            add(
                &mut parts,
                Part {
                    conn: one.id.conn,
                    exchanges: Vec::new(),
                    peers: one.peers.clone(),
                    from: one.id.conn.0,
                    until: one.last.ord,
                    how: How::Opaque,
                    label: format!("pair {number}, gateway to upstream, not readable"),
                },
            );
        }
        Trace {
            number,
            gateway: pair.gateway,
            expected: Expected::of(judged),
            ladder: Ladder::new(judged, files).text(),
            record: serde_json::to_value(PairRecord::new(judged, files)).unwrap_or_default(),
            parts,
        }
    }
}

fn exchange(parts: &mut Vec<Part>, leg: &Leg, label: String) {
    let version = leg.request.as_ref().map(|request| request.head.common.version);
    let version = version.or_else(|| leg.response.as_ref().map(|response| response.head.common.version));
    let how = match (leg.peers.via, version) {
        (Via::Packets, Some(Version::Http2)) => How::Made("HTTP/2, whose heads are coded"),
        (Via::Packets, _) => How::Plain,
        _ => How::Made("decrypted from TLS"),
    };
    // What is read from its beginning needs its beginning.
    let whole = leg.id.n == 0 || how != How::Plain;
    let from = if whole { leg.id.conn.0 } else { leg.start().ord };
    let mut peers = leg.peers.clone();
    if let Some(outer) = &leg.outer {
        let theirs: Vec<Addr> = outer.peers.clients().chain(outer.peers.servers()).collect();
        peers.client_aliases.retain(|alias| !theirs.contains(alias));
        peers.server_aliases.retain(|alias| !theirs.contains(alias));
        exchange(parts, outer, format!("{label}, as it came to a relay"));
    }
    add(parts, Part { conn: leg.id.conn, exchanges: vec![leg.id.n], peers, from, until: leg.last().ord, how, label });
}

pub(super) fn add(parts: &mut Vec<Part>, part: Part) {
    match parts.iter_mut().find(|known| known.conn == part.conn) {
        Some(known) => {
            known.from = known.from.min(part.from);
            known.until = known.until.max(part.until);
            known.exchanges.extend(part.exchanges);
            known.exchanges.sort_unstable();
            known.exchanges.dedup();
            if !known.label.contains(&part.label) && known.label.len() < MOST_LABEL {
                known.label = format!("{}; {}", known.label, part.label);
            }
        }
        None => parts.push(part),
    }
}

/// Pairs of one kind that are remembered.
const OF_A_KIND: usize = 2;
/// Upstream exchanges of a pair that serves as context: a small one is enough.
const MOST_SOUND: usize = 16;
const MOST_LABEL: usize = 200;
