//! Another credential than the client's went upstream.

use super::Note;

pub(super) static NOTE: Note = Note {
    id: "credential-replaced",
    doc: "The gateway sent another Authorization upstream than the client's.",
    guards: &["a credential that came in another header (x-mcp-auth, x-mcp-{server}-authorization) and goes upstream as Authorization"],
    notices: |facts| {
        let Some(request) = &facts.pair.down.request else { return false };
        let own = request.head.credential.iter().chain(request.head.other_credentials.iter().map(|(_, other)| other));
        let own: Vec<_> = own.map(|credential| credential.mark).collect();
        let given = || facts.heads().filter_map(|head| head.credential.as_ref());
        request.head.credential.is_some() && given().any(|given| !own.contains(&given.mark))
    },
};
