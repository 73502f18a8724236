//! What a session group came to: the outcome of its operation, or of what kept it from getting there.

use super::{Failure, Reason};
use crate::base::{Addr, Cause, Stamp};
use crate::correlate::{Leg, answer_to, is_operation, lists};
use crate::http::{Broken, End};
use crate::mcp::{Ask, AskKind, Asked, Conduit, ConduitKind, ListKind, Outcome};
use crate::tcp::Close;

/// What the client wanted, and until when it waited: visits are read in that light.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought<'a> {
    /// Its method, where it has one.
    pub method: Option<&'a str>,
    /// What it lists.
    pub lists: Option<ListKind>,
    /// Last byte of what the client was told.
    pub end: Option<Stamp>,
    /// The client left, or took its request back.
    pub left: bool,
    /// The latest packet seen.
    pub now: Stamp,
}

/// One visit at one server, judged.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The upstream.
    pub server: Addr,
    /// First byte.
    pub start: Stamp,
    /// What it came to.
    pub came: Came,
    /// How near it is to what the client wanted.
    pub fit: Fit,
    /// Some of what was wanted came, whatever became of the rest (a page of a list).
    pub gave: bool,
    /// The host it was sent on to (3xx), and its own.
    pub moved: Option<String>,
    /// The host it was made to.
    pub host: Option<String>,
}

/// How near a visit is to what the client wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It only opened a stream, which is optional (or the road itself, in MCP 2024-11-05).
    Stream,
    /// It wanted something else: a catalogue refreshed after a call.
    Other,
    /// It never got as far as its operation.
    Way,
    /// It wanted what the client wants.
    Own,
}

/// What a visit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It got its answer; with the number of entries where that is a list.
    Success(Option<usize>),
    /// It did not.
    Failed(Failure),
    /// Too little of it was seen.
    Unknown(Reason),
    /// A server without prompts or resources said so (-32601): an empty share of a list, a failure where it is passed on as one.
    Lacking,
    /// It wanted nothing: a probe that was welcome, a stray notification.
    Nothing,
}

impl Group {
    /// From the exchanges of one visit.
    pub(super) fn of_legs(legs: &[&Leg], sought: Sought<'_>) -> Option<Group> {
        let first = legs.first()?;
        let came = came(legs, sought);
        let operations = || legs.iter().filter(|leg| is_operation(leg));
        Some(Group {
            server: first.peers.server,
            start: first.start(),
            came,
            fit: fit(legs, sought),
            gave: operations().any(|leg| matches!(outcome(leg, sought), Came::Success(_))),
            moved: legs.last().and_then(|leg| moved(leg)),
            host: first.request.as_ref().and_then(|request| request.head.host.clone()),
        })
    }

    /// From a connection that carried nothing readable.
    pub(super) fn of_conduit(conduit: &Conduit) -> Group {
        let came = match &conduit.kind {
            ConduitKind::Tls { failed: Some(_), .. } => Came::Failed(Failure::Tls),
            ConduitKind::Tls { .. } => Came::Unknown(Reason::Encrypted),
            ConduitKind::Unknown => Came::Unknown(Reason::Missing),
            ConduitKind::NoData => match conduit.close {
                Some(Close::Refused) => Came::Failed(Failure::Refused),
                Some(Close::Reset(_)) => Came::Failed(Failure::Reset),
                Some(Close::Unanswered) => Came::Failed(Failure::Timeout),
                _ => Came::Nothing,
            },
        };
        Group { server: conduit.peers.server, start: conduit.start, came, fit: Fit::Way, gave: false, moved: None, host: None }
    }
}

fn fit(legs: &[&Leg], sought: Sought<'_>) -> Fit {
    let mut operations = legs.iter().filter(|leg| is_operation(leg)).peekable();
    if operations.peek().is_none() {
        let asked = legs.iter().any(|leg| matches!(leg.asked, Asked::Rpc(_)));
        return if asked { Fit::Way } else { Fit::Stream };
    }
    let own = |ask: &Ask| match (sought.lists, ask.lists, sought.method) {
        (Some(sought), given, _) => given == Some(sought),
        (None, _, Some(sought)) => ask.method.as_deref() == Some(sought),
        // A REST call, or a request that could not be read: whatever it may be.
        (None, _, None) => ask.lists.is_none(),
    };
    // What could not be read of a visit may well be what the client wants.
    let mine = operations.any(|leg| match &leg.asked {
        Asked::Rpc(asks) => asks.iter().any(|ask| ask.kind == AskKind::Request && (ask.method.is_none() || own(ask))),
        _ => true,
    });
    if mine { Fit::Own } else { Fit::Other }
}

/// Where a redirect leads: another host than its own.
fn moved(leg: &Leg) -> Option<String> {
    let status = leg.status().filter(|status| (300..400).contains(status));
    let to = status.and(leg.response.as_ref()?.head.location.as_deref())?;
    let rest = to.split_once("://")?.1;
    Some(rest.split(['/', '?', '#']).next().unwrap_or(rest).to_owned())
}

fn came(legs: &[&Leg], sought: Sought<'_>) -> Came {
    let operations = || legs.iter().filter(|leg| is_operation(leg));
    if let Some(last) = operations().next_back() {
        let came = outcome(last, sought);
        // A list comes in pages: all of them together are what the server gave.
        let pages = operations().filter_map(|leg| match outcome(leg, sought) {
            Came::Success(items) => items,
            _ => None,
        });
        return if let Came::Success(Some(_)) = came { Came::Success(Some(pages.sum())) } else { came };
    }
    // A ping is a sign of life and no road to anything.
    let legs: Vec<&Leg> = legs.iter().copied().filter(|leg| leg.ask().is_none_or(|ask| ask.method.as_deref() != Some("ping"))).collect();
    // It never got as far as its operation: whatever it was last denied on the way is why. A stream, the end of the session or a
    // notification only count where nothing else was asked: they are optional (MCP 2025-06-18, Streamable HTTP).
    let asked = legs.iter().rfind(|leg| matches!(leg.asked, Asked::Rpc(_)) && leg.ask().is_some_and(|ask| ask.kind == AskKind::Request));
    let refused = legs.iter().rfind(|leg| !matches!(leg.asked, Asked::EndSession) && leg.status().is_some_and(|status| status >= 400));
    match (asked, refused) {
        (Some(asked), refused) => match outcome(asked, sought) {
            Came::Success(_) => match refused {
                Some(refused) if refused.start() > asked.start() && !matches!(refused.asked, Asked::Stream) => outcome(refused, sought),
                // Welcome, and then nothing: a probe.
                _ => Came::Nothing,
            },
            other => other,
        },
        (None, Some(refused)) => outcome(refused, sought),
        (None, None) => {
            let stream = legs.iter().any(|leg| matches!(leg.asked, Asked::Stream) && leg.done.is_some_and(|done| !done.any));
            if stream { legs.first().map_or(Came::Nothing, |leg| outcome(leg, sought)) } else { Came::Nothing }
        }
    }
}

/// What one exchange came to, by the time its asker's own client was answered.
pub(super) fn outcome(leg: &Leg, sought: Sought<'_>) -> Came {
    if let Some(status) = leg.status()
        && status >= 300
    {
        return Came::Failed(of_status(status));
    }
    // What was asked is not known: whether it came, neither.
    if leg.request.is_none() {
        return Came::Unknown(Reason::Missing);
    }
    let in_time = |at: Stamp| sought.end.is_none_or(|end| at.ts <= end.ts);
    let answer = answer_to(leg, 0);
    let at = leg.answers.iter().map(|answer| answer.at).max();
    match answer {
        // The answer came when nobody waited any more: too late for the gateway, or the client was in a hurry.
        Some(Outcome::Result { .. }) if !at.is_none_or(in_time) && sought.left => Came::Unknown(Reason::ClientLeft),
        Some(_) if !at.is_none_or(in_time) && !sought.left => Came::Failed(Failure::Timeout),
        Some(Outcome::Result { is_error: Some(true), .. }) => Came::Failed(Failure::ToolError),
        // A result that is no list, to who knows what: it may be a greeting on the way.
        Some(Outcome::Result { list: None, .. }) if matches!(leg.asked, Asked::Unreadable(_)) => Came::Unknown(Reason::Missing),
        Some(Outcome::Result { list, .. }) => Came::Success(list.as_ref().map(|list| list.items)),
        Some(Outcome::Error { code, .. }) if *code == METHOD_NOT_FOUND && optional(leg) => Came::Lacking,
        Some(Outcome::Error { .. }) => Came::Failed(Failure::RpcError),
        Some(Outcome::Refusal { .. } | Outcome::Nonsense) => Came::Failed(Failure::Malformed),
        _ => silence(leg, sought),
    }
}

/// No answer was read: because there was none, or because it was not seen?
fn silence(leg: &Leg, sought: Sought<'_>) -> Came {
    // What was not read may have been a notification, which nobody answers.
    if let Asked::Unreadable(gap) = leg.asked {
        return Came::Unknown(of_gap(gap.cause));
    }
    let given_up = |last: Stamp| {
        // A client that leaves may take its request's own requests with it: that proves nothing of the server, unless it had been silent
        // for long.
        let hasty = sought.left && last.ts.since(leg.start().ts) < PATIENCE;
        if hasty { Came::Unknown(Reason::ClientLeft) } else { Came::Failed(Failure::Timeout) }
    };
    let Some(done) = leg.done else {
        if let Some(gap) = leg.missed {
            return Came::Unknown(of_gap(gap.cause));
        }
        return if sought.end.is_some() { given_up(sought.now) } else { Came::Unknown(Reason::Cut) };
    };
    if let Some(gap) = done.unread {
        return Came::Unknown(of_gap(gap.cause));
    }
    match done.end {
        End::Unseen(gap) if gap.cause == Cause::After && sought.end.is_some() => given_up(done.last),
        End::Unseen(gap) => Came::Unknown(of_gap(gap.cause)),
        _ if done.foreign => Came::Failed(Failure::Malformed),
        End::Broken(Broken::Left) => given_up(done.last),
        End::Broken(_) if !done.any => Came::Failed(Failure::Reset),
        End::Broken(_) => Came::Failed(Failure::Malformed),
        End::Complete if leg.status() == Some(202) => given_up(sought.now),
        End::Complete if leg.status().is_none() => Came::Unknown(Reason::Missing),
        End::Complete => Came::Failed(Failure::Malformed),
    }
}

/// The contract's word for a status.
pub(super) fn of_status(status: u16) -> Failure {
    match status {
        401 => Failure::Unauthorized,
        403 => Failure::Forbidden,
        404 | 405 => Failure::NotFound,
        429 => Failure::RateLimited,
        400..=499 => Failure::ClientError,
        500.. => Failure::ServerError,
        // A redirect that was followed is another exchange; one that was not leads nowhere.
        _ => Failure::Malformed,
    }
}

/// Why a pair with such a hole can't be judged.
pub(super) fn of_gap(cause: Cause) -> Reason {
    match cause {
        Cause::Lost | Cause::Cut | Cause::Garbled => Reason::Missing,
        Cause::Before | Cause::After => Reason::Cut,
        Cause::Limit => Reason::Limit,
        Cause::Encrypted => Reason::Encrypted,
    }
}

/// Prompts and resources are optional: a server without them answers "method not found", and an empty list is the right reading.
fn optional(leg: &Leg) -> bool {
    lists(leg, 0).is_some_and(|kind| kind != ListKind::Tools)
}

/// JSON-RPC 2.0, section 5.1.
const METHOD_NOT_FOUND: i64 = -32601;

/// So long a server has to be silent before a client's leaving shows that it never answered, nanoseconds of packet time.
const PATIENCE: i64 = 2_000_000_000;
