//! Equal flagged pairs become one finding: since when, how often, whom it touches, whether it is over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

use super::advice::advice;
use super::history::caller;
use super::{CauseKind, Failure, Finding, Judged, Verdict};
use crate::base::{Addr, Fingerprint, Limits, Ts};

/// Gathers findings.
#[derive(Debug, Default)]
pub struct Findings {
    groups: BTreeMap<FindingKey, Gathered>,
    limit: usize,
    pair_limit: usize,
}

/// What the pairs of a finding share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FindingKey {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that gave it.
    pub rule: &'static str,
    /// How upstream failed.
    pub failure: Option<Failure>,
    /// Why.
    pub cause: Option<CauseKind>,
    /// The gateway's route, safe to show.
    pub route: String,
    /// The failed upstream.
    pub server: Option<Addr>,
}

impl FindingKey {
    /// Of a pair that was flagged.
    fn of(judged: &Judged) -> FindingKey {
        FindingKey {
            verdict: judged.verdict,
            rule: judged.rule,
            failure: judged.failure,
            cause: judged.cause.as_ref().map(|cause| cause.kind),
            route: judged.pair.down.path().to_owned(),
            server: judged.server,
        }
    }

    /// Findings told apart are bounded: the rest is counted together, and says so.
    fn rest(self) -> FindingKey {
        FindingKey { failure: None, cause: None, route: "(others)".to_owned(), server: None, ..self }
    }
}

/// Of a set of candidates, so many belong to the finding whatever the pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SetBound {
    at_least: u64,
    at_most: u64,
}

#[derive(Debug)]
struct Gathered {
    order: u64,
    first: Ts,
    last: Ts,
    recovered: Option<Ts>,
    count: u64,
    pairs: Vec<u64>,
    /// Pairs that may belong to it, and how many of them are in no set of `sets`.
    candidates: Vec<u64>,
    alone: u64,
    sets: Vec<SetBound>,
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

    /// A pair was judged. Returns the number of its finding, if it has one, and whether that is new: the finding that it belongs to, or
    /// the one that it may belong to (a candidate) where its pairing is ambiguous.
    pub fn add(&mut self, judged: &Judged) -> Option<(u64, bool)> {
        let start = judged.pair.down.start().ts;
        if judged.verdict == Verdict::Healthy {
            self.heal(judged, start);
        }
        let certain = judged.verdict.flagged();
        let name = if certain { FindingKey::of(judged) } else { judged.may_be.clone()? };
        let most = self.pair_limit;
        let (group, new) = self.group(name, start);
        group.first = group.first.min(start);
        if start >= group.last {
            group.last = start;
            group.recovered = None;
        }
        let numbers = if certain { &mut group.pairs } else { &mut group.candidates };
        if numbers.len() < most {
            numbers.push(judged.number);
        }
        if certain {
            group.count += 1;
            group.servers.extend(judged.servers.iter().copied());
            group.declared &= judged.declared;
        } else {
            group.alone += 1;
        }
        if group.clients.len() < KEPT {
            group.clients.insert(judged.pair.down.peers.client.ip());
        }
        if let Some(caller) = caller(&judged.pair)
            && group.tokens.len() < KEPT
        {
            group.tokens.insert(caller);
        }
        Some((group.order, new))
    }

    /// Of `of` candidates that were added to a finding, at least and at most so many belong to it whatever the pairing: tighter than none
    /// and all of them. Each candidate may be in one such set only.
    pub fn bound(&mut self, key: &FindingKey, of: u64, at_least: u64, at_most: u64) {
        let rest = key.clone().rest();
        let known = if self.groups.contains_key(key) { key } else { &rest };
        let Some(group) = self.groups.get_mut(known) else { return };
        let of = of.min(group.alone);
        group.alone -= of;
        group.sets.push(SetBound { at_least: at_least.min(of), at_most: at_most.min(of) });
    }

    fn group(&mut self, mut name: FindingKey, start: Ts) -> (&mut Gathered, bool) {
        if self.groups.len() >= self.limit && !self.groups.contains_key(&name) {
            name = name.rest();
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
                candidates: Vec::new(),
                alone: 0,
                sets: Vec::new(),
                servers: BTreeSet::new(),
                clients: HashSet::new(),
                tokens: HashSet::new(),
                declared: true,
            }
        });
        (group, new)
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
        for (FindingKey { route, server, .. }, group) in &mut self.groups {
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

fn finding(key: &FindingKey, group: &Gathered) -> Finding {
    let FindingKey { verdict, rule, failure, cause, route, server } = key.clone();
    let sets = |of: fn(&SetBound) -> u64| group.sets.iter().map(of).sum::<u64>();
    Finding {
        number: group.order,
        verdict,
        rule,
        failure,
        cause,
        route,
        server,
        servers: group.servers.iter().copied().chain(server).collect::<BTreeSet<Addr>>().into_iter().collect(),
        first: group.first,
        last: group.last,
        recovered: group.recovered,
        count: group.count,
        at_least: group.count + sets(|set| set.at_least),
        at_most: group.count + group.alone + sets(|set| set.at_most),
        pairs: group.pairs.clone(),
        candidates: group.candidates.clone(),
        clients: group.clients.len() as u64,
        tokens: group.tokens.len() as u64,
        declared: group.declared && group.count > 0,
        advice: advice(verdict, failure, cause),
    }
}

/// Clients and credentials told apart in one finding.
const KEPT: usize = 100_000;
