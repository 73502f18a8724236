//! A judged pair becomes a ladder: who sent what to whom, in order. Text and pictures are laid out from it, so that the pair itself
//! need not be kept.

use std::fmt::Write;

use serde::Serialize;

use super::record::frames as frames_of;
use super::text::explain::{rival, why};
use super::text::say::{clock, day, frames, span};
use super::text::story::looks_failed;
use super::text::words::{answered, asked, asked_where, conduit, credential, reasons};
use crate::base::{Addr, Stamp, Ts};
use crate::correlate::{Leg, Link};
use crate::verdict::Judged;

/// What happened in one pair, and what speaks for and against it.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// The pair's number.
    pub(super) pair: u64,
    /// When it began.
    pub(super) start: Ts,
    /// Client, gateway, then each upstream server.
    pub(super) lanes: Vec<String>,
    /// In order of time.
    pub(super) steps: Vec<Step>,
    /// Steps that did not fit.
    pub(super) untold: usize,
    /// Why it is thought to belong together.
    pub(super) because: Vec<String>,
    /// What else it could be.
    pub(super) against: Vec<String>,
    /// Verdict, rule, cause, credential: label and words.
    pub(super) facts: Vec<(&'static str, String)>,
}

/// An arrow.
#[derive(Clone, Debug)]
pub(super) struct Step {
    at: Stamp,
    /// The time of day and since the first step.
    pub(super) when: String,
    /// Lanes.
    pub(super) from: usize,
    pub(super) to: usize,
    /// What was sent.
    pub(super) text: String,
    /// Frame numbers, and what a server said.
    pub(super) under: Vec<String>,
    pub(super) tone: Tone,
}

/// How a step is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tone {
    /// A request.
    Asks,
    /// A sound answer.
    Fine,
    /// A failure.
    Fails,
    /// The answer that the verdict is about.
    Told,
}

impl Ladder {
    pub(super) fn new(judged: &Judged, files: &[String]) -> Ladder {
        let (pair, down) = (&judged.pair, &*judged.pair.down);
        let mut lanes = vec![format!("client {}", down.peers.client), format!("gateway {}", pair.gateway)];
        let mut servers: Vec<Addr> = Vec::new();
        for server in pair.up.iter().map(|link| link.leg.peers.server).chain(pair.conduits.iter().map(|one| one.peers.server)) {
            if !servers.contains(&server) && servers.len() < MOST_SERVERS {
                servers.push(server);
                lanes.push(lane(server, pair.up.iter().find(|link| link.leg.peers.server == server)));
            }
        }
        let mut steps = Vec::new();
        for link in &pair.up {
            if let Some(to) = servers.iter().position(|server| *server == link.leg.peers.server) {
                both(&mut steps, &link.leg, 0, (1, to + 2), files, if looks_failed(&link.leg) { Tone::Fails } else { Tone::Fine });
            }
        }
        for one in &pair.conduits {
            if let Some(to) = servers.iter().position(|server| *server == one.peers.server) {
                steps.push(Step::new(one.start, (1, to + 2), conduit(one), Vec::new(), Tone::Fails));
            }
        }
        // Nothing that a gateway does for a request stands before the request, whatever the clocks of two capture points say.
        steps.iter_mut().for_each(|step| step.at = step.at.max(down.start()));
        both(&mut steps, down, pair.element, (0, 1), files, Tone::Told);
        steps.sort_by_key(|step| step.at);
        let untold = steps.len().saturating_sub(MOST_STEPS);
        if untold > 0 {
            // The client's own answer is the point of it all, and mostly the last.
            let last = steps.iter().rposition(|step| step.tone == Tone::Told).map(|at| steps.remove(at));
            steps.truncate(MOST_STEPS - 1);
            steps.extend(last);
        }
        let start = down.start().ts;
        for step in &mut steps {
            step.when = format!("{} (+{})", clock(step.at.ts), span(step.at.ts.since(start)));
        }
        Ladder {
            pair: judged.number,
            start,
            lanes,
            steps,
            untold,
            because: pair.up.iter().take(MOST_STEPS).map(|link| format!("{}: {}", asked_of(link), why(link))).collect(),
            against: against(judged, files),
            facts: facts(judged),
        }
    }

    /// As plain text, a line an arrow.
    pub(super) fn text(&self) -> String {
        let mut out = format!("Pair {}, {} UTC\n\n", self.pair, day(self.start));
        for (n, lane) in self.lanes.iter().enumerate() {
            let _ = writeln!(out, "  {}  {lane}", mark(n));
        }
        out.push('\n');
        for step in &self.steps {
            let _ = writeln!(out, "  {}  {} -> {}  {}", step.when, mark(step.from), mark(step.to), step.text);
            for line in &step.under {
                let _ = writeln!(out, "      {line}");
            }
        }
        if self.untold > 0 {
            let _ = writeln!(out, "  ... and {} more", self.untold);
        }
        out.push('\n');
        for (label, text) in &self.facts {
            let _ = writeln!(out, "  {label:11} {text}");
        }
        for (label, all) in [("For it:", &self.because), ("Against it:", &self.against)] {
            let _ = writeln!(out, "\n{label}");
            for line in all {
                let _ = writeln!(out, "  {line}");
            }
        }
        out
    }
}

impl Step {
    fn new(at: Stamp, (from, to): (usize, usize), text: String, under: Vec<String>, tone: Tone) -> Step {
        Step { at, when: String::new(), from, to, text, under, tone }
    }
}

/// A lane's letters in text: C, G, then S1, S2, ...
fn mark(lane: usize) -> String {
    match lane {
        0 => "C ".to_owned(),
        1 => "G ".to_owned(),
        n => format!("S{}", n - 1),
    }
}

fn lane(server: Addr, link: Option<&Link>) -> String {
    let host = link.and_then(|link| link.leg.request.as_ref()).and_then(|request| request.head.host.as_deref());
    match host.filter(|host| *host != server.to_string()) {
        Some(host) => format!("{host} at {server}"),
        None => server.to_string(),
    }
}

/// A request and its answer.
fn both(steps: &mut Vec<Step>, leg: &Leg, element: usize, (from, to): (usize, usize), files: &[String], tone: Tone) {
    let place = frames_of(leg).map(|range| {
        let file = files.get(usize::from(leg.start().file)).filter(|_| files.len() > 1);
        format!("{}{}", frames(range), file.map(|name| format!(" of {name}")).unwrap_or_default())
    });
    let words = if tone == Tone::Told { asked_where(leg, element) } else { asked(leg, element) };
    steps.push(Step::new(leg.start(), (from, to), words, place.into_iter().collect(), Tone::Asks));
    let asker = if tone == Tone::Told { "the client" } else { "the gateway" };
    steps.push(Step::new(leg.last(), (to, from), answered(leg, element, asker), reasons(leg), tone));
}

fn asked_of(link: &Link) -> String {
    format!("{} at {}", asked(&link.leg, 0), link.leg.peers.server)
}

fn against(judged: &Judged, files: &[String]) -> Vec<String> {
    let pair = &judged.pair;
    let mut all = vec![rival(pair.rival.as_ref(), files)];
    if !pair.others.is_empty() {
        all.push(format!("{} other upstream visits could belong to it by time; the verdict holds with any of them.", pair.others.len()));
    }
    for link in &pair.up {
        for mark in &link.against {
            all.push(format!("{}: {} speaks against it ({:+.1} nats)", asked_of(link), mark.word, mark.weight));
        }
    }
    all.truncate(MOST_STEPS);
    all
}

fn facts(judged: &Judged) -> Vec<(&'static str, String)> {
    let mut all = vec![("verdict", format!("{}: {}", judged.verdict, judged.verdict.doc().trim()))];
    all.push(("certainty", format!("{:.3}, by rule {}", judged.confidence, judged.rule)));
    if let Some(because) = judged.because {
        all.push(("not judged", format!("{because}: {}", judged.because_detail.as_deref().unwrap_or(because.doc()).trim())));
    }
    if let Some(failure) = judged.failure {
        all.push(("failure", format!("{failure}: {}", failure.doc().trim())));
    }
    if let Some(cause) = &judged.cause {
        all.push(("cause", format!("{}: {}", cause.kind, cause.detail)));
    }
    all.extend(credential(&judged.pair.down, &judged.pair.up).map(|words| ("credential", words.to_owned())));
    if judged.declared {
        all.push(("declared", "the answer's body names the failed servers".to_owned()));
    }
    if !judged.notes.is_empty() {
        all.push(("noticed", judged.notes.join(", ")));
    }
    all
}

/// Arrows of one ladder, and lanes beside the client's and the gateway's.
const MOST_STEPS: usize = 40;
const MOST_SERVERS: usize = 8;
