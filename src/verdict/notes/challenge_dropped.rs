//! The refusal was passed on without the word on what to do about it.

use super::Note;

pub(super) static NOTE: Note = Note {
    id: "challenge-dropped",
    doc: "Upstream's 401 came with WWW-Authenticate, the client's 401 without: a client cannot learn from it where to sign in (RFC 9728, 5.1).",
    guards: &["a challenge that the gateway words anew"],
    notices: |facts| {
        let challenged = |leg: &crate::correlate::Leg| {
            let response = leg.response.as_ref().filter(|_| leg.status() == Some(401))?;
            (!response.head.common.partial).then_some(response.head.www_authenticate.is_some())
        };
        challenged(&facts.pair.down) == Some(false) && facts.pair.up.iter().any(|link| challenged(&link.leg) == Some(true))
    },
};
