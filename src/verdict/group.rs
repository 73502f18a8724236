//! What a session group came to: the outcome of its operation, or of what kept it from getting there.

use super::{Failure, Reason};
use crate::base::{Addr, Cause, Stamp};
use crate::correlate::{Leg, answer_to, is_operation, lists};
use crate::http::{Broken, End};
use crate::mcp::{AskKind, Asked, Conduit, ConduitKind, ListKind, Outcome};
use crate::tcp::Close;

/// One visit at one server, judged.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The upstream.
    pub server: Addr,
    /// First byte.
    pub start: Stamp,
    /// What it came to.
    pub came: Came,
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
    /// It wanted nothing: a probe that was welcome, a stray notification.
    Nothing,
}

impl Group {
    /// From the exchanges of one visit; `end` is the last byte of what the client was told.
    pub(super) fn of_legs(legs: &[&Leg], end: Option<Stamp>) -> Option<Group> {
        let first = legs.first()?;
        Some(Group { server: first.peers.server, start: first.start(), came: came(legs, end) })
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
        Group { server: conduit.peers.server, start: conduit.start, came }
    }
}

fn came(legs: &[&Leg], end: Option<Stamp>) -> Came {
    let operation = legs.iter().rfind(|leg| is_operation(leg));
    if let Some(operation) = operation {
        return outcome(operation, end);
    }
    // It never got as far as its operation: whatever it was last denied on the way is why. A stream, the end of the session or a
    // notification only count where nothing else was asked: they are optional (MCP 2025-06-18, Streamable HTTP).
    let asked = legs.iter().rfind(|leg| matches!(leg.asked, Asked::Rpc(_)) && leg.ask().is_some_and(|ask| ask.kind == AskKind::Request));
    let refused = legs.iter().rfind(|leg| !matches!(leg.asked, Asked::EndSession) && leg.status().is_some_and(|status| status >= 400));
    match (asked, refused) {
        (Some(asked), refused) => match outcome(asked, end) {
            Came::Success(_) => match refused {
                Some(refused) if refused.start() > asked.start() && !matches!(refused.asked, Asked::Stream) => outcome(refused, end),
                // Welcome, and then nothing: a probe.
                _ => Came::Nothing,
            },
            other => other,
        },
        (None, Some(refused)) => outcome(refused, end),
        (None, None) => {
            let stream = legs.iter().any(|leg| matches!(leg.asked, Asked::Stream) && leg.done.is_some_and(|done| !done.any));
            if stream { legs.first().map_or(Came::Nothing, |leg| outcome(leg, end)) } else { Came::Nothing }
        }
    }
}

/// What one exchange came to, by the time its asker's own client was answered.
pub(super) fn outcome(leg: &Leg, end: Option<Stamp>) -> Came {
    if let Some(status) = leg.status()
        && status >= 300
    {
        return Came::Failed(of_status(status));
    }
    let in_time = |at: Stamp| end.is_none_or(|end| at.ts <= end.ts);
    let answer = answer_to(leg, 0);
    let at = leg.answers.iter().map(|answer| answer.at).max();
    match answer {
        // The answer came when nobody waited any more.
        Some(_) if !at.is_none_or(in_time) => Came::Failed(Failure::Timeout),
        Some(Outcome::Result { is_error: Some(true), .. }) => Came::Failed(Failure::ToolError),
        Some(Outcome::Result { list, .. }) => Came::Success(list.as_ref().map(|list| list.items)),
        Some(Outcome::Error { code, .. }) if *code == METHOD_NOT_FOUND && optional(leg) => Came::Success(Some(0)),
        Some(Outcome::Error { .. }) => Came::Failed(Failure::RpcError),
        Some(Outcome::Refusal { .. } | Outcome::Nonsense) => Came::Failed(Failure::Malformed),
        _ => silence(leg, end),
    }
}

/// No answer was read: because there was none, or because it was not seen?
fn silence(leg: &Leg, end: Option<Stamp>) -> Came {
    // What was not read may have been a notification, which nobody answers.
    if let Asked::Unreadable(gap) = leg.asked {
        return Came::Unknown(of_gap(gap.cause));
    }
    let Some(done) = leg.done else {
        if let Some(gap) = leg.missed {
            return Came::Unknown(of_gap(gap.cause));
        }
        return if end.is_some() { Came::Failed(Failure::Timeout) } else { Came::Unknown(Reason::Cut) };
    };
    if let Some(gap) = done.unread {
        return Came::Unknown(of_gap(gap.cause));
    }
    match done.end {
        End::Unseen(gap) if gap.cause == Cause::After && end.is_some() => Came::Failed(Failure::Timeout),
        End::Unseen(gap) => Came::Unknown(of_gap(gap.cause)),
        _ if done.foreign => Came::Failed(Failure::Malformed),
        End::Broken(Broken::Left) => Came::Failed(Failure::Timeout),
        End::Broken(_) if !done.any => Came::Failed(Failure::Reset),
        End::Broken(_) => Came::Failed(Failure::Malformed),
        End::Complete if leg.status() == Some(202) => Came::Failed(Failure::Timeout),
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
