//! What a report of the whole run needs, gathered while it goes on: memory follows the kinds of things seen, not their number.

mod seen;
mod timeline;

use std::collections::{BTreeMap, BTreeSet};

use super::Shape;
use super::ladder::Ladder;
use super::text::story::looks_failed;
use super::text::words::asked;
use crate::base::Addr;
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output};
use crate::verdict::{CauseKind, Failure, Finding, Judged, Reason, Verdict};

pub(super) use seen::Seen;
pub(super) use timeline::Timeline;

/// A run, digested.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) shape: Shape,
    /// Findings with their long lists cut, and which ladder shows each.
    pub(super) findings: Vec<Told>,
    pub(super) ladders: Vec<Ladder>,
    /// Kinds of pairs that would have had a ladder but for the limit.
    pub(super) beyond: u64,
    pub(super) timeline: Timeline,
    pub(super) seen: Seen,
    /// What was asked where, and what became of it.
    pub(super) lanes: BTreeMap<Situation, BTreeMap<Verdict, u64>>,
    /// One unresolved pair of each reason.
    pub(super) unresolved: BTreeMap<Reason, (u64, Option<String>)>,
    known: BTreeSet<Key>,
    most_ladders: usize,
}

/// A finding with the place of its ladder.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) finding: Finding,
    pub(super) candidates: usize,
    pub(super) ladder: Option<usize>,
}

/// What a client asked for, and what went wrong behind the gateway: the unit in which two runs are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Situation {
    /// The gateway's route.
    pub(super) route: String,
    /// The client's method, or its route where it has none.
    pub(super) asked: String,
    /// How upstream failed, if it did.
    pub(super) failure: Option<Failure>,
    /// At what the upstream failed (`initialize`, `tools/list`): a gateway may hide one and pass on the other.
    pub(super) stage: String,
    /// The failed upstream.
    pub(super) server: Option<Addr>,
}

type Key = (Verdict, &'static str, Option<Failure>, Option<CauseKind>, Option<Reason>, String, Option<Addr>);

impl Digest {
    /// With room for so many full ladders.
    pub(super) fn new(shape: Shape, most_ladders: usize) -> Digest {
        Digest {
            shape,
            findings: Vec::new(),
            ladders: Vec::new(),
            beyond: 0,
            timeline: Timeline::default(),
            seen: Seen::default(),
            lanes: BTreeMap::new(),
            unresolved: BTreeMap::new(),
            known: BTreeSet::new(),
            most_ladders,
        }
    }

    fn keep(&mut self, judged: &Judged) {
        if !(judged.verdict.flagged() || judged.verdict == Verdict::Unresolved) {
            return;
        }
        let cause = judged.cause.as_ref().map(|cause| cause.kind);
        let route = judged.pair.down.path().to_owned();
        let key = (judged.verdict, judged.rule, judged.failure, cause, judged.because, route, judged.server);
        if self.known.contains(&key) {
            return;
        }
        if self.ladders.len() >= self.most_ladders {
            self.beyond += 1;
            return;
        }
        self.known.insert(key);
        self.ladders.push(Ladder::new(judged, &self.shape.files));
    }

    fn count(&mut self, judged: &Judged) {
        if judged.verdict == Verdict::Background {
            return;
        }
        let situation = Situation::of(judged);
        if self.lanes.len() < MOST_LANES || self.lanes.contains_key(&situation) {
            *self.lanes.entry(situation).or_default().entry(judged.verdict).or_default() += 1;
        }
    }
}

impl Output for Digest {
    fn pair(&mut self, judged: Judged) {
        self.timeline.add(judged.pair.down.start().ts, judged.verdict);
        self.seen.pair(&judged);
        self.count(&judged);
        if let Some(because) = judged.because.filter(|_| judged.verdict == Verdict::Unresolved) {
            self.unresolved.entry(because).or_insert_with(|| (judged.number, judged.because_detail.clone()));
        }
        self.keep(&judged);
    }

    fn loss(&mut self, _: Loss) {}

    fn finding(&mut self, mut finding: Finding) {
        let holds = |numbers: &[u64], ladder: &Ladder| numbers.binary_search(&ladder.pair).is_ok();
        let own = self.ladders.iter().position(|ladder| holds(&finding.pairs, ladder));
        let ladder = own.or_else(|| self.ladders.iter().position(|ladder| holds(&finding.candidates, ladder)));
        let candidates = finding.candidates.len();
        finding.candidates = Vec::new();
        finding.pairs.truncate(MOST_NUMBERS);
        finding.pairs.shrink_to_fit();
        self.findings.push(Told { finding, candidates, ladder });
    }

    fn exchange(&mut self, _: Leg) {}
}

impl Situation {
    fn of(judged: &Judged) -> Situation {
        let pair = &judged.pair;
        let at = |leg: &Leg| judged.server == Some(leg.peers.server);
        let failing = pair.up.iter().map(|link| &*link.leg).rfind(|leg| at(leg) && looks_failed(leg));
        let stage = match (judged.failure, failing) {
            (None, _) => String::new(),
            (Some(_), Some(leg)) => asked(leg, 0),
            (Some(_), None) => "connecting".to_owned(),
        };
        Situation {
            route: pair.down.path().to_owned(),
            asked: asked(&pair.down, pair.element),
            failure: judged.failure,
            stage,
            server: judged.server,
        }
    }
}

/// Situations told apart, and pair numbers shown of one finding.
const MOST_LANES: usize = 20_000;
pub(super) const MOST_NUMBERS: usize = 12;
