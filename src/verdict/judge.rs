//! The judge: asks the rules, first with the pairing that is most likely, then with every other that is thinkable.

use super::advice::{advice, detail, remedy};
use super::case::{Case, Told};
use super::cause::cause;
use super::group::Group;
use super::history::History;
use super::rules::{ALL, Held, Rule};
use super::{CauseKind, Judged, Reason, Verdict};
use crate::base::Stamp;
use crate::correlate::{Leg, Pair, answer_to};
use crate::mcp::Outcome;

/// Judges pairs, in the order in which they come.
#[derive(Debug)]
pub struct Judge {
    stall_after: i64,
    history: History,
    number: u64,
}

impl Judge {
    /// `stall_after` is in nanoseconds of packet time.
    pub fn new(stall_after: i64) -> Judge {
        Judge { stall_after, history: History::default(), number: 0 }
    }

    /// The verdict on a pair. `now` is the latest packet seen.
    pub fn judge(&mut self, pair: Pair, now: Stamp) -> Judged {
        let case = Case::of(&pair, self.stall_after, now);
        let (rule, mut held) = decide(&case);
        let mut verdict = rule.verdict;
        let mut id = rule.id;
        let doubt = self.doubt(&pair, verdict, now);
        if doubt > DOUBT && verdict != Verdict::Unresolved {
            verdict = Verdict::Unresolved;
            id = super::rules::UNRESOLVED;
            held = Held { reason: Some(Reason::Ambiguous), in_band: false };
        }
        let failed = case.failure();
        let tells = matches!(verdict, Verdict::Swallowed | Verdict::Partial | Verdict::Stalled | Verdict::Propagated);
        let failure = failed.filter(|_| tells);
        for link in &pair.up {
            self.history.note(&link.leg);
        }
        let why = failure.map(|(failure, server)| cause(&pair, failure, server, &self.history));
        let kind = why.as_ref().map(|cause| cause.kind);
        self.number += 1;
        Judged {
            number: self.number,
            verdict,
            rule: id,
            failure: failure.map(|(failure, _)| failure),
            server: failure.map(|(_, server)| server),
            servers: if tells { case.failed_servers() } else { Vec::new() },
            declared: case.declared && matches!(verdict, Verdict::Swallowed | Verdict::Partial),
            in_band: held.in_band,
            confidence: 1.0 - doubt,
            because: held.reason,
            because_detail: held.reason.map(|reason| detail(reason).to_owned()),
            notes: notes(&pair),
            advice: held
                .reason
                .map_or_else(|| advice(verdict, failure.map(|(failure, _)| failure), kind), |reason| remedy(reason).to_owned()),
            cause: why,
            items: match case.told {
                Told::List(items) => Some(items),
                _ => None,
            },
            pair,
        }
    }

    /// Probability that the pair got the wrong visits and would be judged otherwise with the right ones.
    fn doubt(&self, pair: &Pair, verdict: Verdict, now: Stamp) -> f64 {
        let end = pair.down.done.map(|done| done.last);
        let mut other = 0.0;
        for option in &pair.others {
            let kept: Vec<Group> = (0..=pair.up.iter().map(|link| link.group).max().unwrap_or(0))
                .filter_map(|group| {
                    let legs: Vec<&Leg> = pair.up.iter().filter(|link| link.group == group).map(|link| &*link.leg).collect();
                    let replaced = legs.first().is_some_and(|leg| option.instead.contains(&leg.id));
                    if replaced { None } else { Group::of_legs(&legs, end) }
                })
                .collect();
            let legs: Vec<&Leg> = option.legs.iter().map(|leg| &**leg).collect();
            let taken = Group::of_legs(&legs, end).or_else(|| option.conduit.as_deref().map(Group::of_conduit));
            let case = Case::with(pair, kept.into_iter().chain(taken).collect(), self.stall_after, now);
            if decide(&case).0.verdict != verdict {
                other += option.share;
            }
        }
        other.min(1.0)
    }
}

/// The first rule that holds.
fn decide(case: &Case) -> (&'static Rule, Held) {
    let mut found = ALL.iter().filter_map(|rule| (rule.holds)(case).map(|held| (*rule, held)));
    // The last rule holds always.
    found.next().unwrap_or((ALL[ALL.len() - 1], Held::default()))
}

/// What is worth telling though it changes nothing.
fn notes(pair: &Pair) -> Vec<&'static str> {
    let mut notes = Vec::new();
    let own = pair.down.request.as_ref().and_then(|request| request.head.credential.as_ref());
    let heads = || pair.up.iter().filter_map(|link| link.leg.request.as_ref()).map(|request| &request.head);
    if let Some(own) = own {
        if heads().any(|head| head.credential.is_none() && !head.common.partial) {
            notes.push("credential-dropped");
        }
        if heads().any(|head| head.credential.as_ref().is_some_and(|given| given.mark != own.mark)) {
            notes.push("credential-replaced");
        }
    }
    let more = |outcome: Option<&Outcome>| matches!(outcome, Some(Outcome::Result { list: Some(list), .. }) if list.more);
    let continued = |leg: &Leg| pair.up.iter().any(|link| link.leg.id != leg.id && link.leg.ask().is_some_and(|ask| ask.cursor.is_some()));
    if !more(answer_to(&pair.down, pair.element)) && pair.up.iter().any(|link| more(answer_to(&link.leg, 0)) && !continued(&link.leg)) {
        notes.push("pagination-lost");
    }
    notes
}

/// Ids of notes, with what they mean.
pub static NOTES: &[(&str, &str)] = &[
    ("credential-dropped", "The client sent an Authorization header, the gateway sent none upstream."),
    ("credential-replaced", "The gateway sent another Authorization upstream than the client's."),
    ("pagination-lost", "An upstream list had further pages (nextCursor); the gateway neither fetched them nor passed the cursor on."),
];

/// From this probability of another verdict on, none is given.
const DOUBT: f64 = 0.05;

/// Kept for findings: what groups them.
pub(super) fn key(
    judged: &Judged,
) -> (Verdict, &'static str, Option<super::Failure>, Option<CauseKind>, String, Option<crate::base::Addr>) {
    let cause = judged.cause.as_ref().map(|cause| cause.kind);
    (judged.verdict, judged.rule, judged.failure, cause, judged.pair.down.path().to_owned(), judged.server)
}
