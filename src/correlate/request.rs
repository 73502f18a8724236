//! The unit on the downstream side: one client request, or one message of a batch.

use super::Leg;
use super::names::Names;
use super::requests::Key;
use crate::base::{Addr, ExId, Fingerprint, Stamp, Ts};
use crate::http::{Broken, End};
use crate::mcp::{Ask, AskKind, Asked, ListKind, Outcome};

/// A client request that waits for its pair.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub id: ExId,
    pub element: usize,
    pub gateway: Addr,
    pub start: Stamp,
    /// Last byte of its answer; `None` while it is open.
    pub end: Option<Stamp>,
    /// The client went away before the answer was whole.
    pub left: bool,
    /// The request itself was not seen: when it began is unknown, and so is what it caused.
    pub unseen: bool,
    /// Another request that has to end before this one's pair can be told.
    pub waits_for: Option<Key>,
    /// Not to be looked at before.
    pub look_at: Ts,
}

impl Request {
    /// Whether an upstream exchange that began at `at` may have been caused by it. A client that leaves does not stop the gateway.
    pub(super) fn may_cause(&self, at: Ts, linger: i64) -> bool {
        let grace = if self.left { linger } else { 0 };
        !self.unseen && self.start.ts <= at && self.end.is_none_or(|end| at <= end.ts + grace)
    }
}

/// Whether the receiver left before it had its answer. SDKs close as soon as they have read it, before the stream's last chunk: such a
/// request is over like any other.
pub(super) fn left(leg: &Leg) -> bool {
    leg.done.is_some_and(|done| matches!(done.end, End::Broken(Broken::Left))) && !is_answered(leg)
}

fn is_answered(leg: &Leg) -> bool {
    match &leg.asked {
        Asked::Rpc(asks) => {
            let requests = (0..asks.len()).filter(|n| asks.get(*n).is_some_and(|ask| ask.kind == AskKind::Request));
            requests.map(|n| answer_to(leg, n)).all(|answer| answer.is_some())
        }
        _ => answer_to(leg, 0).is_some(),
    }
}

/// What is wanted: the message of a batch, or the REST route's list.
pub(crate) fn ask_of(leg: &Leg, element: usize) -> Option<&Ask> {
    match &leg.asked {
        Asked::Rpc(asks) => asks.get(element),
        _ => None,
    }
}

/// What a request lists.
pub(crate) fn lists(leg: &Leg, element: usize) -> Option<ListKind> {
    match &leg.asked {
        Asked::RestList(kind) => Some(*kind),
        _ => ask_of(leg, element).and_then(|ask| ask.lists),
    }
}

/// The answer to one message of a request.
pub(crate) fn answer_to(leg: &Leg, element: usize) -> Option<&Outcome> {
    leg.answers.get(place_of(leg, element)?).map(|answer| &answer.outcome)
}

/// Names in a list answer, where there was a list at all.
pub(super) fn names_to(leg: &Leg, element: usize) -> Option<&Names> {
    leg.names.get(place_of(leg, element)?)?.as_deref()
}

fn place_of(leg: &Leg, element: usize) -> Option<usize> {
    let ask = ask_of(leg, element);
    let telling =
        |outcome: &Outcome| matches!(outcome, Outcome::Result { .. } | Outcome::Error { .. } | Outcome::Refusal { .. } | Outcome::Nonsense);
    let answers = || leg.answers.iter().enumerate().filter(|(_, answer)| telling(&answer.outcome));
    let own = answers().find(|(_, answer)| answer.id.is_some() && ask.is_some_and(|ask| ask.id == answer.id));
    // A request whose body was missed is known by its headers, and its id is not: whatever answers it is its answer.
    let any = || answers().find(|(_, answer)| answer.id.is_none() || ask.is_none_or(|ask| ask.id.is_none()));
    own.or_else(any).map(|(place, _)| place)
}

/// Texts of a call's answer.
pub(super) fn texts(outcome: Option<&Outcome>) -> &[Fingerprint] {
    match outcome {
        Some(Outcome::Result { texts, .. }) => texts,
        _ => &[],
    }
}
