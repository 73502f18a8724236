//! Equal flagged pairs become one finding: since when, how often, whom it touches, whether it is over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use super::advice::advice;
use super::judge::key;
use super::{CauseKind, Failure, Finding, Judged, Verdict};
use crate::base::{Addr, Fingerprint, Limits, Ts};

/// Gathers findings.
#[derive(Debug, Default)]
pub struct Findings {
    groups: BTreeMap<Key, Gathered>,
    limit: usize,
    pair_limit: usize,
}

type Key = (Verdict, &'static str, Option<Failure>, Option<CauseKind>, String, Option<Addr>);

#[derive(Debug)]
struct Gathered {
    order: u64,
    first: Ts,
    last: Ts,
    recovered: Option<Ts>,
    count: u64,
    pairs: Vec<u64>,
    servers: BTreeSet<Addr>,
    clients: HashSet<IpAddr>,
    tokens: HashSet<Fingerprint>,
    declared: bool,
}

impl Findings {
    /// Empty.
    pub fn new(limits: &Limits) -> Findings {
        Findings { limit: limits.findings, pair_limit: limits.finding_pairs, ..Findings::default() }
    }

    /// A pair was judged. Returns the number of its finding, if it has one, and whether that is new.
    pub fn add(&mut self, judged: &Judged) -> Option<(u64, bool)> {
        let start = judged.pair.down.start().ts;
        if judged.verdict == Verdict::Healthy {
            self.heal(judged, start);
        }
        if !judged.verdict.flagged() {
            return None;
        }
        let mut name = key(judged);
        if self.groups.len() >= self.limit && !self.groups.contains_key(&name) {
            // Findings told apart are bounded: the rest is counted together, and says so.
            name = (name.0, name.1, None, None, "(others)".to_owned(), None);
        }
        let order = self.groups.len() as u64 + 1;
        let mut new = false;
        let group = self.groups.entry(name).or_insert_with(|| {
            new = true;
            Gathered {
                order,
                first: start,
                last: start,
                recovered: None,
                count: 0,
                pairs: Vec::new(),
                servers: BTreeSet::new(),
                clients: HashSet::new(),
                tokens: HashSet::new(),
                declared: true,
            }
        });
        group.first = group.first.min(start);
        if start >= group.last {
            group.last = start;
            group.recovered = None;
        }
        group.count += 1;
        if group.pairs.len() < self.pair_limit {
            group.pairs.push(judged.number);
        }
        group.servers.extend(judged.servers.iter().copied());
        if group.clients.len() < KEPT {
            group.clients.insert(judged.pair.down.peers.client.ip());
        }
        let head = judged.pair.down.request.as_ref().map(|request| &request.head);
        let caller =
            head.and_then(|head| head.credential.as_ref().or_else(|| head.other_credentials.first().map(|(_, credential)| credential)));
        if let Some(caller) = caller
            && group.tokens.len() < KEPT
        {
            group.tokens.insert(caller.mark);
        }
        group.declared &= judged.declared;
        Some((group.order, new))
    }

    /// All findings, in order of their first pair.
    pub fn all(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.groups.iter().map(|(key, group)| finding(key, group)).collect();
        findings.sort_by_key(|finding| finding.number);
        findings
    }

    /// A healthy answer on a route ends what was wrong there, if the failed server was among those that answered.
    fn heal(&mut self, judged: &Judged, at: Ts) {
        let servers: BTreeSet<Addr> = judged.pair.up.iter().map(|link| link.leg.peers.server).collect();
        for ((_, _, _, _, route, server), group) in &mut self.groups {
            if route == judged.pair.down.path()
                && server.is_none_or(|server| servers.contains(&server))
                && at > group.last
                && group.recovered.is_none()
            {
                group.recovered = Some(at);
            }
        }
    }
}

fn finding(key: &Key, group: &Gathered) -> Finding {
    let (verdict, rule, failure, cause, route, server) = key.clone();
    Finding {
        number: group.order,
        verdict,
        rule,
        failure,
        cause,
        route,
        server,
        servers: group.servers.iter().copied().collect(),
        first: group.first,
        last: group.last,
        recovered: group.recovered,
        count: group.count,
        at_least: group.count,
        at_most: group.count,
        pairs: group.pairs.clone(),
        candidates: Vec::new(),
        clients: group.clients.len() as u64,
        tokens: group.tokens.len() as u64,
        declared: group.declared,
        advice: advice(verdict, failure, cause),
    }
}

/// Clients and credentials told apart in one finding.
const KEPT: usize = 100_000;
