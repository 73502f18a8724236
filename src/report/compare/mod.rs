//! Two runs come in, digested; what a change of the gateway mended, left, broke, and what cannot be told goes out. It compares
//! situations: what a client asked, and what failed behind the gateway. A failure that never happened after the change tells nothing.

mod text;

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::Shape;
use super::digest::{Digest, Situation};
use super::record::SummaryRecord;
use super::text::say::many;
use super::view::{health, versions};
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::verdict::{Failure, Finding, Judged, Reason, Verdict};

pub use text::Layout;

/// One of the two runs, while it goes on.
#[derive(Debug)]
pub struct Side {
    digest: Digest,
}

impl Side {
    /// `files` names its captures, where there are several.
    pub fn new(files: Vec<String>) -> Side {
        Side { digest: Digest::new(Shape { files, ..Shape::default() }, 0) }
    }
}

impl Output for Side {
    fn pair(&mut self, judged: Judged) {
        self.digest.pair(judged);
    }

    fn loss(&mut self, _: Loss) {}

    fn finding(&mut self, finding: Finding) {
        self.digest.finding(finding);
    }

    fn exchange(&mut self, _: Leg) {}
}

/// What became of a situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Hidden after the change, and not hidden before it though the same had failed: a step back.
    Broken,
    /// Hidden after the change; before it nothing of the kind was seen.
    New,
    /// Hidden before and after.
    Still,
    /// Hidden before, and after the change told of though the same failed.
    Stopped,
    /// Hidden before; after the change the same did not fail, or it could not be judged.
    CannotTell,
    /// Never hidden.
    Never,
}

/// The comparison.
#[derive(Debug, Serialize)]
pub struct Comparison {
    schema: u32,
    version: &'static str,
    /// `mended`, `not mended`, `cannot tell`, `nothing was hidden`.
    pub(super) answer: &'static str,
    pub(super) rows: Vec<Row>,
    /// Situations beyond those listed.
    pub(super) untold: usize,
    /// Routes and servers, side by side.
    pub(super) routes: Vec<Route>,
    pub(super) before: Run,
    pub(super) after: Run,
}

/// A situation in both runs.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) change: Change,
    pub(super) route: String,
    pub(super) asked: String,
    pub(super) failure: Option<Failure>,
    pub(super) stage: String,
    pub(super) server: Option<String>,
    pub(super) before: BTreeMap<Verdict, u64>,
    pub(super) after: BTreeMap<Verdict, u64>,
    pub(super) because: String,
}

/// All pairs of a route and an upstream server.
#[derive(Debug, Serialize)]
pub(super) struct Route {
    pub(super) route: String,
    pub(super) server: Option<String>,
    pub(super) before: BTreeMap<Verdict, u64>,
    pub(super) after: BTreeMap<Verdict, u64>,
}

/// One run as a whole.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    pub(super) captures: Vec<String>,
    pub(super) software: Vec<(String, Vec<String>)>,
    pub(super) gateways: Vec<String>,
    pub(super) pairs: u64,
    pub(super) flagged: u64,
    pub(super) unresolved: u64,
    pub(super) health: Vec<String>,
    summary: serde_json::Value,
}

/// What a script is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing is hidden after the change, and what was hidden before was put to the test.
    Clean,
    /// Something is hidden after the change.
    Hidden,
    /// Nothing was found after the change, but it cannot tell.
    CannotTell,
}

impl Comparison {
    /// Of two runs that are over.
    pub fn new(before: (Side, &Summary), after: (Side, &Summary)) -> Comparison {
        let ((before, before_summary), (after, after_summary)) = (before, after);
        let (mut rows, cannot) = rows(&before.digest, &after.digest);
        // Unresolved pairs, or nothing at all, may hide what is asked for.
        let blind = after_summary.unresolved.iter().any(|(reason, n)| *reason != Reason::ClientLeft && *n > 0) || after_summary.pairs == 0;
        let hidden = rows.iter().any(|row| matches!(row.change, Change::Broken | Change::New | Change::Still))
            || after.digest.findings.iter().any(|told| told.finding.at_least >= 1);
        let was = rows.iter().any(|row| row.change == Change::Stopped);
        let answer = match (hidden, cannot || blind, was) {
            (true, ..) => "not mended",
            (false, true, _) => "cannot tell",
            (false, false, true) => "mended",
            (false, false, false) => "nothing was hidden",
        };
        let untold = rows.len().saturating_sub(MOST_ROWS);
        rows.truncate(MOST_ROWS);
        Comparison {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            answer,
            rows,
            untold,
            routes: routes(&before.digest, &after.digest),
            before: Run::new(&before.digest, before_summary),
            after: Run::new(&after.digest, after_summary),
        }
    }

    /// For the exit code.
    pub fn answer(&self) -> Answer {
        match self.answer {
            "not mended" => Answer::Hidden,
            "cannot tell" => Answer::CannotTell,
            _ => Answer::Clean,
        }
    }

    /// As one JSON document.
    pub fn json(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl Run {
    fn new(digest: &Digest, summary: &Summary) -> Run {
        let of = |verdict: &Verdict| summary.verdicts.get(verdict).copied().unwrap_or(0);
        Run {
            captures: summary.captures.clone(),
            software: versions(digest, summary),
            gateways: summary.gateways.iter().map(|gateway| gateway.listen.to_string()).collect(),
            pairs: summary.pairs,
            flagged: Verdict::ALL.iter().filter(|verdict| verdict.flagged()).map(of).sum(),
            unresolved: of(&Verdict::Unresolved),
            health: health(summary),
            summary: serde_json::to_value(SummaryRecord::new(summary)).unwrap_or_default(),
        }
    }
}

type Counted = BTreeMap<Verdict, u64>;

/// Every situation in which something failed, and whether one that was hidden cannot be told of.
fn rows(before: &Digest, after: &Digest) -> (Vec<Row>, bool) {
    let mut all: BTreeMap<Situation, [Counted; 2]> = BTreeMap::new();
    for (n, digest) in [before, after].into_iter().enumerate() {
        for (situation, verdicts) in digest.lanes.iter().filter(|(situation, _)| situation.failure.is_some()) {
            if let Some(side) = all.entry(situation.clone()).or_default().get_mut(n) {
                verdicts.iter().for_each(|(verdict, count)| *side.entry(*verdict).or_default() += count);
            }
        }
    }
    let mut cannot = false;
    let mut rows: Vec<Row> = Vec::new();
    for (situation, [was, is]) in &all {
        // The same failure of another server on the same route is the same to a gateway.
        let elsewhere = |side: usize| -> Counted {
            let alike = all.iter().filter(|(other, _)| {
                (&other.route, &other.asked, other.failure, &other.stage)
                    == (&situation.route, &situation.asked, situation.failure, &situation.stage)
            });
            let mut sum = Counted::new();
            alike.filter_map(|(_, sides)| sides.get(side)).flatten().for_each(|(verdict, n)| *sum.entry(*verdict).or_default() += n);
            sum
        };
        let (was_alike, is_alike) = (elsewhere(0), elsewhere(1));
        let (change, because) = judge(was, is, &was_alike, &is_alike, situation, after);
        cannot |= change == Change::CannotTell;
        rows.push(Row {
            change,
            route: situation.route.clone(),
            asked: situation.asked.clone(),
            failure: situation.failure,
            stage: situation.stage.clone(),
            server: situation.server.map(|server| server.to_string()),
            before: was.clone(),
            after: is.clone(),
            because,
        });
    }
    rows.sort_by_key(|row| row.change);
    (rows, cannot)
}

fn hidden(counted: &Counted) -> u64 {
    counted.iter().filter(|(verdict, _)| verdict.flagged()).map(|(_, n)| n).sum()
}

fn told(counted: &Counted) -> u64 {
    counted.get(&Verdict::Propagated).copied().unwrap_or(0)
}

fn judge(was: &Counted, is: &Counted, was_alike: &Counted, is_alike: &Counted, situation: &Situation, after: &Digest) -> (Change, String) {
    let now = hidden(is);
    if now > 0 {
        return match (hidden(was_alike), told(was_alike)) {
            (0, 0) => (Change::New, format!("{}; before, nothing of the kind was seen", many(now, "pair"))),
            (0, n) => (Change::Broken, format!("{}; before, the client was told ({})", many(now, "pair"), many(n, "pair"))),
            (n, _) => (Change::Still, format!("{}; before: {}", many(now, "pair"), many(n, "pair"))),
        };
    }
    let then = hidden(was);
    if then == 0 {
        return (Change::Never, "the client was told whenever it was seen".to_owned());
    }
    let alike = told(is_alike);
    if hidden(is_alike) > 0 {
        return (Change::Still, format!("{} before; after, the same failure of another server is hidden", many(then, "pair")));
    }
    if alike > 0 {
        return (Change::Stopped, format!("{} before; after, the client was told each time ({})", many(then, "pair"), many(alike, "pair")));
    }
    let on = |other: &&Situation| other.route == situation.route && other.asked == situation.asked;
    let asked: u64 = after.lanes.iter().filter(|(other, _)| on(other)).flat_map(|(_, verdicts)| verdicts.values()).sum();
    let unclear: u64 =
        after.lanes.iter().filter(|(other, _)| on(other)).filter_map(|(_, verdicts)| verdicts.get(&Verdict::Unresolved)).sum();
    let because = match (asked, unclear) {
        (0, _) => "this route was not asked for it after the change".to_owned(),
        (_, 0) => format!("after the change, this failure did not happen here (asked {asked} times)"),
        (_, n) => format!("after the change, {} here could not be judged", many(n, "pair")),
    };
    (Change::CannotTell, format!("{} before; {because}", many(then, "pair")))
}

fn routes(before: &Digest, after: &Digest) -> Vec<Route> {
    let mut all: BTreeMap<(String, Option<String>), [Counted; 2]> = BTreeMap::new();
    for (n, digest) in [before, after].into_iter().enumerate() {
        for (situation, verdicts) in &digest.lanes {
            let key = (situation.route.clone(), situation.server.map(|server| server.to_string()));
            if let Some(side) = all.entry(key).or_default().get_mut(n) {
                verdicts.iter().for_each(|(verdict, count)| *side.entry(*verdict).or_default() += count);
            }
        }
    }
    let rows = all.into_iter().take(MOST_ROWS).map(|((route, server), [before, after])| Route { route, server, before, after });
    rows.collect()
}

/// Situations and routes listed.
const MOST_ROWS: usize = 500;
