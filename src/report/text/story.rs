//! A judged pair becomes a short story of plain text, so that nothing of the pair itself has to be kept for a finding's sake.

use super::page::Page;
use super::say::{clock, frames};
use super::words::{answered, asked, asked_where, conduit, credential, reasons};
use crate::base::{Addr, Stamp, Ts};
use crate::correlate::{Leg, Link};
use crate::http::End;
use crate::mcp::{Asked, Outcome};
use crate::pipeline::Summary;
use crate::report::record::{frames as frames_of, outcome};
use crate::verdict::{Judged, Verdict};

/// What happened in one pair, step by step.
#[derive(Debug)]
pub(super) struct Story {
    /// The pair's number.
    pub(super) number: u64,
    steps: Vec<Step>,
    credential: Option<&'static str>,
    cause: Option<String>,
    notes: String,
}

#[derive(Debug)]
struct Step {
    at: Stamp,
    text: String,
    under: Vec<String>,
}

impl Story {
    /// `files` names the captures, where there are several.
    pub(super) fn new(judged: &Judged, files: &[String]) -> Story {
        let pair = &judged.pair;
        let down = &*pair.down;
        let place = where_seen(down, files);
        let asked = format!("client {} asked {}{place}", down.peers.client, asked_where(down, pair.element));
        let mut steps = upstream(judged, files);
        steps.sort_by_key(|step| step.at);
        steps.insert(0, Step { at: down.start(), text: asked, under: Vec::new() });
        steps.push(Step {
            at: down.last(),
            text: format!("the client got {}{}", answered(down, pair.element, "it"), lacking(judged)),
            under: reasons(down),
        });
        Story {
            number: judged.number,
            steps,
            credential: credential(down, &pair.up),
            cause: judged.cause.as_ref().map(|cause| format!("{}: {}", cause.kind, cause.detail)),
            notes: judged.notes.join(", "),
        }
    }

    /// When it begins.
    pub(super) fn start(&self) -> Ts {
        self.steps.first().map(|step| step.at.ts).unwrap_or_default()
    }

    /// Lays it out at an indent.
    pub(super) fn tell(&self, page: &mut Page, indent: usize, label: usize) {
        for step in &self.steps {
            page.field(indent, &clock(step.at.ts), label, &step.text);
            for line in &step.under {
                page.quote(indent + label, line);
            }
        }
        let facts = [("credential", self.credential.map(str::to_owned)), ("cause", self.cause.clone())];
        let notes = ("noticed", Some(self.notes.clone()).filter(|notes| !notes.is_empty()));
        for (name, text) in facts.into_iter().chain([notes]) {
            if let Some(text) = text {
                page.field(indent, name, label, &text);
            }
        }
    }
}

/// Session groups in order: a failed one in two steps, any other in one.
fn upstream(judged: &Judged, files: &[String]) -> Vec<Step> {
    let up = &judged.pair.up;
    let mut groups: Vec<usize> = up.iter().map(|link| link.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut steps = Vec::new();
    let mut untold = 0;
    for group in groups {
        let legs: Vec<&Link> = up.iter().filter(|link| link.group == group).collect();
        let failed = legs.iter().any(|link| judged.servers.contains(&link.leg.peers.server));
        if steps.len() >= MOST_STEPS {
            untold += 1;
        } else if failed {
            failed_group(&legs, files, &mut steps);
        } else {
            sound_group(&legs, files, &mut steps);
        }
    }
    let told = |server: &Addr| up.iter().any(|link| link.leg.peers.server == *server);
    for one in judged.pair.conduits.iter().filter(|one| !told(&one.peers.server)).take(MOST_STEPS) {
        steps.push(Step { at: one.start, text: conduit(one), under: Vec::new() });
    }
    if steps.is_empty() {
        steps.push(Step {
            at: judged.pair.down.start(),
            text: "no upstream request of the gateway for it was seen".to_owned(),
            under: Vec::new(),
        });
    }
    if untold > 0 {
        let at = steps.iter().map(|step| step.at).max().unwrap_or_default();
        steps.push(Step { at, text: format!("... and {untold} more upstream visits"), under: Vec::new() });
    }
    steps
}

fn failed_group(legs: &[&Link], files: &[String], steps: &mut Vec<Step>) {
    let Some(first) = legs.first() else { return };
    let Some(failing) = legs.iter().rev().find(|link| looks_failed(&link.leg)).or(legs.last()) else { return };
    let mut visits: Vec<String> = legs.iter().map(|link| asked(&link.leg, 0)).collect();
    visits.dedup();
    let more = visits.len().saturating_sub(MOST_VISITS);
    visits.truncate(MOST_VISITS);
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    let server = first.leg.peers.server;
    let text = format!("the gateway asked {} ({}{and})", named(&first.leg), visits.join(", "));
    steps.push(Step { at: first.leg.start(), text, under: Vec::new() });
    let said = answered(&failing.leg, 0, "the gateway");
    let to = if visits.len() > 1 { format!(" to {}", asked(&failing.leg, 0)) } else { String::new() };
    let said = if failing.leg.status().is_some() { format!("{server} answered {said}{to}") } else { format!("{server} gave {said}{to}") };
    steps.push(Step { at: failing.leg.last(), text: said + &where_seen(&failing.leg, files), under: reasons(&failing.leg) });
}

fn sound_group(legs: &[&Link], files: &[String], steps: &mut Vec<Step>) {
    let lists = |link: &&&Link| matches!(outcome(&link.leg, 0), Some(Outcome::Result { list: Some(_), .. }));
    let Some(told) = legs.iter().find(lists).or(legs.last()) else { return };
    let leg = &told.leg;
    let text = format!("{} answered {} to {}{}", named(leg), answered(leg, 0, "the gateway"), asked(leg, 0), where_seen(leg, files));
    steps.push(Step { at: leg.last(), text, under: Vec::new() });
}

/// By sight alone: the verdict knows better whether it mattered.
pub(in crate::report) fn looks_failed(leg: &Leg) -> bool {
    if matches!(leg.asked, Asked::Stream | Asked::EndSession) {
        return false;
    }
    let refused = leg.status().is_none_or(|status| status >= 300);
    let broken = leg.done.is_none_or(|done| done.end != End::Complete);
    let said = matches!(
        outcome(leg, 0),
        Some(Outcome::Error { .. } | Outcome::Refusal { .. } | Outcome::Nonsense | Outcome::Result { is_error: Some(true), .. })
    );
    refused || broken || said
}

fn lacking(judged: &Judged) -> String {
    match judged.verdict {
        Verdict::Partial if !judged.servers.is_empty() => format!(", without the share of {}", addresses(&judged.servers)),
        Verdict::Swallowed | Verdict::Partial if judged.declared => ", and the body names the failure".to_owned(),
        _ => String::new(),
    }
}

/// `a, b and 3 more`.
pub(in crate::report) fn addresses(all: &[Addr]) -> String {
    list(all, Addr::to_string)
}

/// The same, with the names that the capture knows.
pub(in crate::report) fn names(all: &[Addr], summary: &Summary) -> String {
    list(all, |addr| summary.called(*addr))
}

fn list(all: &[Addr], shown: impl Fn(&Addr) -> String) -> String {
    let shown: Vec<String> = all.iter().take(MOST_VISITS).map(shown).collect();
    let more = all.len().saturating_sub(shown.len());
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// `127.0.0.11:9001`, or `mcp.example at 127.0.0.11:9001`.
fn named(leg: &Leg) -> String {
    let server = leg.peers.server.to_string();
    match leg.request.as_ref().and_then(|request| request.head.host.as_deref()) {
        Some(host) if host != server => format!("{host} at {server}"),
        _ => server,
    }
}

/// ` · frames 4–24 of b.pcap`, to go on after what was seen there.
pub(in crate::report) fn where_seen(leg: &Leg, files: &[String]) -> String {
    let Some(range) = frames_of(leg) else { return String::new() };
    let file = files.get(usize::from(leg.start().file)).filter(|_| files.len() > 1);
    format!(" · {}{}", frames(range), file.map(|name| format!(" of {name}")).unwrap_or_default())
}

const MOST_STEPS: usize = 12;
const MOST_VISITS: usize = 5;
