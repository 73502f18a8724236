//! A pair's facts, as the rules read them.

use super::group::{Came, Fit, Group, Sought, of_gap};
use super::history::Earlier;
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
    /// Packets were lost meanwhile: that nothing was seen says nothing.
    pub lossy: bool,
    /// A failure that went before on the same route, where nothing good has come since.
    pub earlier: Option<Earlier>,
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
        let sought = sought(pair, now);
        let end = sought.end;
        let mut visits: Vec<Group> = Vec::new();
        let groups = pair.up.iter().map(|link| link.group).max().map_or(0, |last| last + 1);
        for group in 0..groups {
            let legs: Vec<&Leg> = pair.up.iter().filter(|link| link.group == group).map(|link| &*link.leg).collect();
            visits.extend(Group::of_legs(&legs, sought));
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
    pub(super) fn with(pair: &Pair, mut visits: Vec<Group>, stall_after: i64, now: Stamp) -> Case {
        let down = &pair.down;
        let until = down.done.map_or(now.ts, |done| done.last.ts);
        let answer = answer_to(down, pair.element);
        let told = told(down, pair.element);
        if pair.lossy {
            unheard(&mut visits);
        }
        let declared = matches!(answer, Some(Outcome::Result { declares_failure: true, .. }));
        Case {
            wanted: wanted(down, pair.element),
            told,
            groups: last_tries(visits, told),
            declared,
            overdue: until.since(down.start().ts) >= stall_after,
            at_end: match down.done {
                Some(done) => matches!(done.end, End::Unseen(gap) if gap.cause == Cause::After),
                None => pair.at_end,
            },
            lossy: pair.lossy,
            earlier: None,
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

    /// Whether any upstream gave what was wanted. A list that was refreshed beside a call is no answer to the call.
    pub(super) fn any_success(&self) -> bool {
        let counts = |group: &&Group| self.wanted != Wanted::Call || group.fit == Fit::Own;
        self.groups.iter().filter(counts).any(|group| group.gave || matches!(group.came, Came::Success(_)))
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

/// What the client wanted, for its pair's visits.
pub(super) fn sought(pair: &Pair, now: Stamp) -> Sought<'_> {
    let down = &*pair.down;
    Sought {
        method: match down.asked {
            Asked::RestCall => Some("tools/call"),
            _ => ask_of(down, pair.element).and_then(|ask| ask.method.as_deref()),
        },
        lists: lists(down, pair.element),
        end: down.done.map(|done| done.last),
        left: told(down, pair.element) == Told::Silence { left: true },
        now,
    }
}

/// Where packets were lost, silence proves nothing: an answer may have come, and a server that was only seen to be greeted may have been
/// asked and have answered.
fn unheard(visits: &mut [Group]) {
    let known = |visit: &&Group| visit.fit == Fit::Own && !matches!(visit.came, Came::Unknown(_));
    let asked: Vec<Addr> = visits.iter().filter(known).map(|visit| visit.server).collect();
    for visit in visits {
        let silent = visit.came == Came::Failed(Failure::Timeout);
        let idle = visit.fit != Fit::Own && visit.came == Came::Nothing && !asked.contains(&visit.server);
        if silent || idle {
            visit.came = Came::Unknown(Reason::Missing);
        }
    }
}

/// One outcome for each server: a failure that was mended by a later try is none.
fn last_tries(mut visits: Vec<Group>, told: Told) -> Vec<Group> {
    let failed = matches!(told, Told::Failure { .. });
    for visit in visits.iter_mut().filter(|visit| visit.came == Came::Lacking) {
        visit.came = if failed { Came::Failed(Failure::RpcError) } else { Came::Success(Some(0)) };
    }
    visits.retain(|visit| visit.came != Came::Nothing);
    visits.sort_by_key(|visit| visit.start);
    // A redirect that was followed to another host is no failure: what counts is what came there.
    let followed = |one: &Group| {
        one.moved.as_ref().is_some_and(|to| visits.iter().any(|then| then.start > one.start && then.host.as_ref() == Some(to)))
    };
    let mut visits: Vec<Group> = visits.iter().filter(|visit| !followed(visit)).cloned().collect();
    // Errands beside what the client wanted decide nothing.
    if visits.iter().any(|visit| visit.fit == Fit::Own) {
        visits.retain(|visit| visit.fit != Fit::Other);
    }
    let mut groups: Vec<Group> = Vec::new();
    for visit in &visits {
        let same = || visits.iter().filter(|other| other.server == visit.server);
        // Where the operation itself succeeded, a probe or a stream that was refused takes nothing away; and a stream is optional beside
        // anything else (MCP 2025-06-18, Streamable HTTP).
        let done = same().any(|other| other.fit == Fit::Own && matches!(other.came, Came::Success(_)));
        let known = !matches!(visit.came, Came::Unknown(_));
        if done && visit.fit < Fit::Own && known || visit.fit == Fit::Stream && same().any(|other| other.fit > Fit::Stream) {
            continue;
        }
        match groups.iter_mut().find(|group| group.server == visit.server) {
            Some(group) => *group = visit.clone(),
            None => groups.push(visit.clone()),
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
    // Nor where it may have led.
    if down.path().is_empty() {
        return Told::Unknown(Reason::Missing);
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
