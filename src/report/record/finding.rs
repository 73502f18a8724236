//! Findings and losses.

use serde::Serialize;

use super::{Shown, shown};
use crate::base::{Addr, Ts};
use crate::pipeline::Loss;
use crate::report::Beat;
use crate::verdict::{CauseKind, Failure, Finding, Verdict};

#[derive(Debug, Serialize)]
pub(in crate::report) struct FindingRecord<'a> {
    record: &'static str,
    finding: u64,
    verdict: Verdict,
    rule: &'static str,
    failure: Option<Failure>,
    cause: Option<CauseKind>,
    route: &'a str,
    server: Option<Shown<Addr>>,
    servers: Vec<Shown<Addr>>,
    first: Shown<Ts>,
    last: Shown<Ts>,
    recovered: Option<Shown<Ts>>,
    count: u64,
    at_least: u64,
    at_most: u64,
    pairs: &'a [u64],
    candidates: &'a [u64],
    clients: u64,
    tokens: u64,
    advice: &'a str,
    declared: bool,
}

impl<'a> FindingRecord<'a> {
    pub(in crate::report) fn new(finding: &'a Finding) -> FindingRecord<'a> {
        FindingRecord {
            record: "finding",
            finding: finding.number,
            verdict: finding.verdict,
            rule: finding.rule,
            failure: finding.failure,
            cause: finding.cause,
            route: &finding.route,
            server: finding.server.map(Shown),
            servers: shown(&finding.servers),
            first: Shown(finding.first),
            last: Shown(finding.last),
            recovered: finding.recovered.map(Shown),
            count: finding.count,
            at_least: finding.at_least,
            at_most: finding.at_most,
            pairs: &finding.pairs,
            candidates: &finding.candidates,
            clients: finding.clients,
            tokens: finding.tokens,
            advice: &finding.advice,
            declared: finding.declared,
        }
    }
}

/// Something that the witness could not see.
#[derive(Debug, Serialize)]
pub(in crate::report) struct CaptureRecord<'a> {
    record: &'static str,
    #[serde(flatten)]
    loss: LossRecord<'a>,
}

impl<'a> CaptureRecord<'a> {
    pub(in crate::report) fn new(loss: &'a Loss) -> CaptureRecord<'a> {
        CaptureRecord { record: "capture", loss: LossRecord::new(loss) }
    }
}

/// A live run's sign of life.
#[derive(Debug, Serialize)]
pub(in crate::report) struct BeatRecord {
    record: &'static str,
    kind: &'static str,
    place: &'static str,
    detail: &'static str,
    at: Shown<Ts>,
    received: u64,
    kernel_drops: u64,
    own_drops: u64,
}

impl BeatRecord {
    pub(in crate::report) fn new(beat: &Beat) -> BeatRecord {
        let Beat { at, received, kernel_drops, own_drops } = *beat;
        let detail = "the run goes on; numbers count from its beginning";
        BeatRecord { record: "capture", kind: "heartbeat", place: "", detail, at: Shown(at), received, kernel_drops, own_drops }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct LossRecord<'a> {
    kind: &'a str,
    place: &'a str,
    detail: &'a str,
    at: Option<Shown<Ts>>,
}

impl<'a> LossRecord<'a> {
    pub(super) fn new(loss: &'a Loss) -> LossRecord<'a> {
        let Loss { kind, place, detail, at } = loss;
        LossRecord { kind, place, detail, at: at.map(Shown) }
    }
}
