//! The last line: what the run saw, lost and found, as a whole.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::finding::LossRecord;
use super::{Shown, shown};
use crate::base::{Addr, Count, Counts, Ts};
use crate::correlate::Gateway;
use crate::pipeline::Summary;
use crate::verdict::{Reason, Verdict};

#[derive(Debug, Serialize)]
pub(in crate::report) struct SummaryRecord<'a> {
    record: &'static str,
    /// Rises when a key changes its meaning; new keys do not raise it.
    schema: u32,
    version: &'static str,
    captures: &'a [String],
    first: Option<Shown<Ts>>,
    last: Option<Shown<Ts>>,
    exchanges: u64,
    pairs: u64,
    verdicts: BTreeMap<Verdict, u64>,
    unresolved: BTreeMap<Reason, u64>,
    findings: u64,
    gateways: Vec<GatewayRecord<'a>>,
    /// Names of addresses, where the capture has any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    names: BTreeMap<IpAddr, Vec<&'a str>>,
    losses: Vec<LossRecord<'a>>,
    counts: CountsRecord<'a>,
}

impl<'a> SummaryRecord<'a> {
    pub(in crate::report) fn new(summary: &'a Summary) -> SummaryRecord<'a> {
        // Every verdict and reason stands here, so that a script reads 0 and not null.
        let verdicts = Verdict::ALL.iter().map(|verdict| (*verdict, summary.verdicts.get(verdict).copied().unwrap_or(0)));
        let unresolved = Reason::ALL.iter().map(|reason| (*reason, summary.unresolved.get(reason).copied().unwrap_or(0)));
        SummaryRecord {
            record: "summary",
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            captures: &summary.captures,
            first: summary.first.map(Shown),
            last: summary.last.map(Shown),
            exchanges: summary.exchanges,
            pairs: summary.pairs,
            verdicts: verdicts.collect(),
            unresolved: unresolved.collect(),
            findings: summary.findings,
            gateways: summary.gateways.iter().map(GatewayRecord::new).collect(),
            names: names(summary),
            losses: summary.losses.iter().map(LossRecord::new).collect(),
            counts: CountsRecord(&summary.counts),
        }
    }
}

fn names(summary: &Summary) -> BTreeMap<IpAddr, Vec<&str>> {
    let mut all: BTreeMap<IpAddr, Vec<&str>> = BTreeMap::new();
    for (addr, name) in summary.names.iter() {
        all.entry(*addr).or_default().push(name);
    }
    all
}

#[derive(Debug, Serialize)]
struct GatewayRecord<'a> {
    listen: Shown<Addr>,
    named: bool,
    how: &'a str,
    software: Option<&'a str>,
    upstreams: Vec<Shown<Addr>>,
    opaque: Vec<Shown<Addr>>,
    relays: Vec<Shown<Addr>>,
    downstream: u64,
    upstream: u64,
}

impl<'a> GatewayRecord<'a> {
    fn new(gateway: &'a Gateway) -> GatewayRecord<'a> {
        GatewayRecord {
            listen: Shown(gateway.listen),
            named: gateway.named,
            how: &gateway.how,
            software: gateway.software.as_deref(),
            upstreams: shown(&gateway.upstreams),
            opaque: shown(&gateway.opaque),
            relays: shown(&gateway.relays),
            downstream: gateway.downstream,
            upstream: gateway.upstream,
        }
    }
}

#[derive(Debug)]
struct CountsRecord<'a>(&'a Counts);

impl Serialize for CountsRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Count::ALL.iter().map(|count| (count.as_str(), self.0.get(*count))))
    }
}
