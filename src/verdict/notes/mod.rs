//! Notes, one a file: what is worth telling of a pair though it changes nothing in its verdict.

mod challenge_dropped;
mod credential_dropped;
mod credential_replaced;
mod failure_in_text;
mod list_foreign;
mod list_null;
mod list_shrank;
mod pagination_lost;

use std::collections::HashSet;

use super::history::History;
use crate::correlate::{Leg, Pair, answer_to, endings, is_operation, lists};
use crate::http::RequestHead;
use crate::mcp::{List, Outcome};

/// A note: what it is called, what it says, when it is made.
pub struct Note {
    /// Stable id.
    pub id: &'static str,
    /// What it says, in a few sentences.
    pub doc: &'static str,
    /// What looks like it and is not.
    pub guards: &'static [&'static str],
    /// Whether it is to be made.
    pub(super) notices: fn(&Facts<'_>) -> bool,
}

/// All notes, in the order in which they are told.
pub static ALL: &[&Note] = &[
    &credential_dropped::NOTE,
    &credential_replaced::NOTE,
    &pagination_lost::NOTE,
    &list_shrank::NOTE,
    &list_foreign::NOTE,
    &list_null::NOTE,
    &failure_in_text::NOTE,
    &challenge_dropped::NOTE,
];

/// What a note looks at.
pub(super) struct Facts<'a> {
    pub pair: &'a Pair,
    pub history: &'a History,
    /// Entries that the same caller was shown on this route before.
    pub before: Option<usize>,
}

/// The ids of the notes on a pair.
pub(super) fn on(facts: &Facts<'_>) -> Vec<&'static str> {
    ALL.iter().filter(|note| (note.notices)(facts)).map(|note| note.id).collect()
}

impl<'a> Facts<'a> {
    /// What the client was told.
    fn told(&self) -> Option<&'a Outcome> {
        answer_to(&self.pair.down, self.pair.element)
    }

    /// The list that the client was shown.
    fn shown(&self) -> Option<&'a List> {
        list_of(self.told())
    }

    /// Heads of the upstream requests.
    fn heads(&self) -> impl Iterator<Item = &'a RequestHead> {
        self.pair.up.iter().filter_map(|link| link.leg.request.as_ref()).map(|request| &request.head)
    }

    /// Upstream exchanges that list what the client wants listed.
    fn sources(&self) -> impl Iterator<Item = &'a Leg> {
        let wanted = lists(&self.pair.down, self.pair.element);
        let legs = self.pair.up.iter().map(|link| &*link.leg);
        legs.filter(move |leg| is_operation(leg) && wanted.is_some() && lists(leg, 0) == wanted)
    }

    /// Lists of those, if every one of them was answered with a list whose names are all known, and there is nothing that was not seen.
    fn given(&self) -> Option<Vec<&'a List>> {
        let lists: Option<Vec<&List>> = self.sources().map(|leg| list_of(answer_to(leg, 0)).filter(|list| whole(list))).collect();
        lists.filter(|lists| !lists.is_empty() && self.pair.conduits.is_empty())
    }
}

fn list_of(outcome: Option<&Outcome>) -> Option<&List> {
    match outcome {
        Some(Outcome::Result { list, .. }) => list.as_ref(),
        _ => None,
    }
}

/// Whether all names of a list are known.
fn whole(list: &List) -> bool {
    list.names.len() == list.items
}

/// Whether a name stands in a list, as it is or behind a prefix.
fn has(endings: &HashSet<&str>, name: &str) -> bool {
    endings.contains(name)
}

/// Names of a list with what stands after each separator in them: gateways put the server's name in front.
fn all_endings(list: &List) -> HashSet<&str> {
    list.names.iter().flat_map(|name| endings(name)).collect()
}
