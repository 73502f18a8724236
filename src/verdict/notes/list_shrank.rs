//! The client was shown less than upstream gave.

use std::collections::HashSet;

use super::{Note, all_endings, has};

pub(super) static NOTE: Note = Note {
    id: "list-shrank",
    doc: "All upstreams answered, and the client was shown fewer entries than they gave: some of theirs are missing by name. Or no upstream \
          list was seen, and the same caller was shown more on the same route before. A permission filter looks the same.",
    guards: &[
        "names with the server's name in front",
        "two servers with an entry of the same name, shown once",
        "one page of a longer list",
        "a list that shrank upstream",
    ],
    notices: |facts| {
        let Some(shown) = facts.shown().filter(|list| !list.more) else { return false };
        if facts.pair.down.ask().is_some_and(|ask| ask.cursor.is_some()) {
            return false;
        }
        let Some(given) = facts.given() else {
            let unseen = facts.sources().next().is_none();
            return unseen && facts.before.is_some_and(|before| shown.items < before);
        };
        let names: HashSet<&str> = given.iter().flat_map(|list| &list.names).map(String::as_str).collect();
        let known = all_endings(shown);
        shown.items < names.len() && shown.names.len() == shown.items && names.iter().any(|name| !has(&known, name))
    },
};
