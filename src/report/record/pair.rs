//! A judged pair: one client request and what it caused.

use serde::Serialize;

use super::leg::LegRecord;
use super::{Shown, frames, rounded, shown};
use crate::base::{Addr, Ts};
use crate::correlate::Rival;
use crate::mcp::{Conduit, ConduitKind};
use crate::tcp::Close;
use crate::verdict::{Cause, Failure, Judged, Reason, Verdict};

#[derive(Debug, Serialize)]
pub(in crate::report) struct PairRecord<'a> {
    record: &'static str,
    pair: u64,
    verdict: Verdict,
    rule: &'static str,
    failure: Option<Failure>,
    declared: bool,
    in_band: bool,
    confidence: f64,
    downstream: LegRecord<'a>,
    upstream: Vec<LegRecord<'a>>,
    authorization: Vec<LegRecord<'a>>,
    notes: &'a [&'static str],
    cause: Option<&'a Cause>,
    advice: Option<&'a str>,
    unresolved_because: Option<Reason>,
    unresolved_detail: Option<&'a str>,
    gateway: Shown<Addr>,
    server: Option<Shown<Addr>>,
    servers: Vec<Shown<Addr>>,
    rival: Option<RivalRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conduits: Vec<ConduitRecord<'a>>,
}

impl<'a> PairRecord<'a> {
    pub(in crate::report) fn new(judged: &'a Judged, files: &'a [String]) -> PairRecord<'a> {
        let pair = &judged.pair;
        let mut downstream = LegRecord::new(&pair.down, pair.element, files);
        downstream.items(judged.items);
        PairRecord {
            record: "pair",
            pair: judged.number,
            verdict: judged.verdict,
            rule: judged.rule,
            failure: judged.failure,
            declared: judged.declared,
            in_band: judged.in_band,
            confidence: rounded(judged.confidence),
            downstream,
            upstream: pair.up.iter().map(|link| LegRecord::linked(link, files)).collect(),
            authorization: pair.authorization.iter().map(|leg| LegRecord::new(leg, 0, files)).collect(),
            notes: &judged.notes,
            cause: judged.cause.as_ref(),
            advice: Some(judged.advice.as_str()).filter(|advice| !advice.is_empty()),
            unresolved_because: judged.because,
            unresolved_detail: judged.because_detail.as_deref(),
            gateway: Shown(pair.gateway),
            server: judged.server.map(Shown),
            servers: shown(&judged.servers),
            rival: pair.rival.as_ref().map(RivalRecord::new),
            conduits: pair.conduits.iter().map(|conduit| ConduitRecord::new(conduit)).collect(),
        }
    }
}

/// The best other client request for what is linked here.
#[derive(Debug, Serialize)]
struct RivalRecord {
    client: Shown<Addr>,
    start: Shown<Ts>,
    frames: Option<[u64; 2]>,
    margin: f64,
}

impl RivalRecord {
    fn new(rival: &Rival) -> RivalRecord {
        let down = &rival.down;
        let margin = rounded(rival.margin);
        RivalRecord { client: Shown(down.peers.client), start: Shown(down.start().ts), frames: frames(down), margin }
    }
}

/// An upstream connection that carried nothing readable.
#[derive(Debug, Serialize)]
struct ConduitRecord<'a> {
    client: Shown<Addr>,
    server: Shown<Addr>,
    start: Shown<Ts>,
    end: Shown<Ts>,
    kind: &'static str,
    close: Option<&'static str>,
    server_name: Option<&'a str>,
    failed: Option<&'a str>,
}

impl<'a> ConduitRecord<'a> {
    fn new(conduit: &'a Conduit) -> ConduitRecord<'a> {
        let (kind, server_name, failed) = match &conduit.kind {
            ConduitKind::NoData => ("no-data", None, None),
            ConduitKind::Tls { server_name, failed, .. } => ("tls", server_name.as_deref(), failed.as_deref()),
            ConduitKind::Unknown => ("unknown", None, None),
        };
        ConduitRecord {
            client: Shown(conduit.peers.client),
            server: Shown(conduit.peers.server),
            start: Shown(conduit.start.ts),
            end: Shown(conduit.last.ts),
            kind,
            close: conduit.close.map(close),
            server_name,
            failed,
        }
    }
}

fn close(how: Close) -> &'static str {
    match how {
        Close::Finished => "finished",
        Close::Reset(_) => "reset",
        Close::Refused => "refused",
        Close::Unanswered => "unanswered",
        Close::Reused => "reused",
        Close::Idle => "idle",
        Close::Evicted => "evicted",
        Close::CaptureEnd => "capture-end",
    }
}
