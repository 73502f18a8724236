//! The first page was taken for the whole list.

use super::{Note, list_of};
use crate::correlate::answer_to;

pub(super) static NOTE: Note = Note {
    id: "pagination-lost",
    doc: "An upstream list had further pages (nextCursor); the gateway neither fetched them nor passed the cursor on.",
    guards: &["a gateway that fetches all pages and merges them", "a cursor that is passed on", "an empty cursor: there are no more pages"],
    notices: |facts| {
        let passed_on = facts.shown().is_some_and(|list| list.more);
        let unfinished = |server| {
            let legs = || facts.sources().filter(|leg| leg.peers.server == server);
            // The last page that was fetched of a server tells whether there are more.
            legs().max_by_key(|leg| leg.start()).and_then(|leg| list_of(answer_to(leg, 0))).is_some_and(|list| list.more)
        };
        facts.shown().is_some() && !passed_on && facts.sources().any(|leg| unfinished(leg.peers.server))
    },
};
