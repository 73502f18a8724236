//! A pair's facts, as the rules read them.

use super::group::{Came, Group, of_gap};
use super::{Failure, Reason};
use crate::base::{Addr, Cause, Stamp};
use crate::correlate::{Leg, Pair, answer_to, ask_of, is_background, lists};
use crate::http::{Broken, End};
use crate::mcp::{Asked, ConduitKind, Outcome};

/// What a rule looks at.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// What the client wanted.
    pub wanted: Wanted,
    /// What it was told.
    pub told: Told,
    /// What the visits came to, one for each server that was wanted anything: the last try counts.
    pub groups: Vec<Group>,
    /// The answer names the failed servers.
    pub declared: bool,
    /// Seconds from request to answer or to the end of the capture were beyond `--stall-after`.
    pub overdue: bool,
    /// The capture ended before the answer did.
    pub at_end: bool,
}

/// What the client wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Nothing that is judged.
    Nothing,
    /// `initialize`, `server/discover`: the gateway speaks for itself.
    Greeting,
    /// A list.
    List,
    /// A tool call, or anything else that is answered with a result.
    Call,
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// No complete answer; whether the client was the one who left.
    Silence { left: bool },
    /// A failure; inside an HTTP 200 or by status.
    Failure { in_band: bool },
    /// A list with so many entries.
    List(usize),
    /// A success that carries no list.
    Success,
    /// It was told something that the witness could not read.
    Unknown(Reason),
}

impl Case {
    /// The facts of a pair, with its own links.
    pub(super) fn of(pair: &Pair, stall_after: i64, now: Stamp) -> Case {
        let down = &pair.down;
        let end = down.done.map(|done| done.last);
        let mut visits: Vec<Group> = Vec::new();
        let groups = pair.up.iter().map(|link| link.group).max().map_or(0, |last| last + 1);
        for group in 0..groups {
            let legs: Vec<&Leg> = pair.up.iter().filter(|link| link.group == group).map(|link| &*link.leg).collect();
            visits.extend(Group::of_legs(&legs, end));
        }
        let plain = visits.iter().any(|group| group.came != Came::Nothing);
        for conduit in &pair.conduits {
            // A tunnel kept open by the gateway may have carried anything or nothing: it counts where nothing else was seen, or where
            // it was opened for this very request.
            let fresh = conduit.start.ts >= down.start().ts && end.is_none_or(|end| conduit.start.ts <= end.ts);
            let readable = matches!(conduit.kind, ConduitKind::NoData | ConduitKind::Tls { failed: Some(_), .. });
            if readable || fresh || !plain {
                visits.push(Group::of_conduit(conduit));
            }
        }
        Case::with(pair, visits, stall_after, now)
    }

    /// The facts with other visits in place of some.
    pub(super) fn with(pair: &Pair, visits: Vec<Group>, stall_after: i64, now: Stamp) -> Case {
        let down = &pair.down;
        let until = down.done.map_or(now.ts, |done| done.last.ts);
        let answer = answer_to(down, pair.element);
        let declared = matches!(answer, Some(Outcome::Result { declares_failure: true, .. }));
        Case {
            wanted: wanted(down, pair.element),
            told: told(down, pair.element),
            groups: last_tries(visits),
            declared,
            overdue: until.since(down.start().ts) >= stall_after,
            at_end: pair.at_end && down.done.is_none_or(|done| matches!(done.end, End::Unseen(gap) if gap.cause == Cause::After)),
        }
    }

    /// How the upstream failed that counts: the first in the contract's order, then the earliest.
    pub(super) fn failure(&self) -> Option<(Failure, Addr)> {
        let failed = self.groups.iter().filter_map(|group| match group.came {
            Came::Failed(failure) => Some((failure, group.start, group.server)),
            _ => None,
        });
        failed.min_by_key(|(failure, start, _)| (*failure, *start)).map(|(failure, _, server)| (failure, server))
    }

    /// Every upstream that failed, in address order.
    pub(super) fn failed_servers(&self) -> Vec<Addr> {
        let mut servers: Vec<Addr> =
            self.groups.iter().filter(|group| matches!(group.came, Came::Failed(_))).map(|group| group.server).collect();
        servers.sort();
        servers.dedup();
        servers
    }

    /// Whether any upstream gave what was wanted.
    pub(super) fn any_success(&self) -> bool {
        self.groups.iter().any(|group| matches!(group.came, Came::Success(_)))
    }

    /// Whether any upstream failed.
    pub(super) fn any_failure(&self) -> bool {
        self.failure().is_some()
    }

    /// Why something of the upstream side is not known, if so.
    pub(super) fn unknown(&self) -> Option<Reason> {
        self.groups.iter().find_map(|group| match group.came {
            Came::Unknown(reason) => Some(reason),
            _ => None,
        })
    }
}

/// One outcome for each server: a failure that was mended by a later try is none.
fn last_tries(mut visits: Vec<Group>) -> Vec<Group> {
    visits.retain(|visit| visit.came != Came::Nothing);
    visits.sort_by_key(|visit| visit.start);
    let mut groups: Vec<Group> = Vec::new();
    for visit in visits {
        match groups.iter_mut().find(|group| group.server == visit.server) {
            // A gateway may ask one server twice at once (a list beside a call): success of one does not undo.
            Some(group) => *group = visit,
            None => groups.push(visit),
        }
    }
    groups
}

fn wanted(down: &Leg, element: usize) -> Wanted {
    if is_background(down, element) {
        return Wanted::Nothing;
    }
    if lists(down, element).is_some() {
        return Wanted::List;
    }
    match ask_of(down, element).and_then(|ask| ask.method.as_deref()) {
        Some("initialize" | "server/discover") => Wanted::Greeting,
        _ => Wanted::Call,
    }
}

fn told(down: &Leg, element: usize) -> Told {
    if down.request.is_some()
        && let Some(status) = down.status()
        && status >= 400
    {
        return Told::Failure { in_band: false };
    }
    if down.request.is_none() {
        return Told::Unknown(Reason::Missing);
    }
    let list = lists(down, element).is_some();
    let answer = answer_to(down, element);
    if let Some(Outcome::Error { .. } | Outcome::Refusal { .. } | Outcome::Result { is_error: Some(true), .. }) = answer {
        return Told::Failure { in_band: true };
    }
    // Whether it gave what was asked for, nobody can say.
    if let Asked::Unreadable(gap) = down.asked {
        return Told::Unknown(of_gap(gap.cause));
    }
    match answer {
        Some(Outcome::Result { list: Some(entries), .. }) if list => return Told::List(entries.items),
        Some(Outcome::Result { .. }) if list => return Told::List(0),
        Some(Outcome::Result { .. }) => return Told::Success,
        _ => {}
    }
    let Some(done) = down.done else {
        return down.missed.map_or(Told::Silence { left: false }, |gap| Told::Unknown(of_gap(gap.cause)));
    };
    if let Some(gap) = done.unread {
        return Told::Unknown(of_gap(gap.cause));
    }
    match done.end {
        End::Unseen(gap) if gap.cause == Cause::After => Told::Silence { left: false },
        End::Unseen(gap) => Told::Unknown(of_gap(gap.cause)),
        End::Broken(Broken::Left) => Told::Silence { left: true },
        End::Broken(_) => Told::Silence { left: false },
        End::Complete if down.status().is_none() => Told::Unknown(Reason::Missing),
        // 202 with nothing to follow, or a body without the answer: whoever asked waits for ever.
        End::Complete => Told::Silence { left: false },
    }
}
