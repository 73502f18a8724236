//! The client was shown what another server gave to somebody else.

use super::{Note, all_endings, has};
use crate::correlate::endings;

pub(super) static NOTE: Note = Note {
    id: "list-foreign",
    doc: "The client was shown an entry that none of the upstreams asked for it gave, and that another server gave to another request: a cache \
          whose key forgets the server.",
    guards: &["entries of the gateway's own, which no server ever listed", "names with the server's name in front"],
    notices: |facts| {
        let (Some(shown), Some(given)) = (facts.shown(), facts.given()) else { return false };
        let servers: Vec<_> = facts.sources().map(|leg| leg.peers.server).collect();
        let own: Vec<_> = given.iter().map(|list| all_endings(list)).collect();
        let stranger = |name: &String| {
            let endings: Vec<&str> = endings(name).collect();
            let ours = endings.iter().any(|ending| own.iter().any(|list| has(list, ending)));
            !ours && endings.iter().any(|ending| facts.history.whose(ending).is_some_and(|server| !servers.contains(&server)))
        };
        shown.names.iter().any(stranger)
    },
};
