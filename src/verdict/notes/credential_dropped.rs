//! The client's credential did not go upstream.

use super::Note;

pub(super) static NOTE: Note = Note {
    id: "credential-dropped",
    doc: "The client sent an Authorization header, the gateway sent none upstream.",
    guards: &["a head that was not seen whole", "a client that sends no Authorization"],
    notices: |facts| {
        let own = facts.pair.down.request.as_ref().is_some_and(|request| request.head.credential.is_some());
        own && facts.heads().any(|head| head.credential.is_none() && !head.common.partial)
    },
};
