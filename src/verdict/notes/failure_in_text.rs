//! A call's answer claims success while its text reports that the request failed.

use super::Note;
use crate::correlate::answer_to;
use crate::mcp::Outcome;

pub(super) static NOTE: Note = Note {
    id: "failure-in-text",
    doc: "A call was answered as a success (isError false or missing), and its text is nothing but the report of a failed request \
          ({\"error\":\"invalid_token\"}, \"401 Unauthorized\").",
    guards: &["a tool that speaks of errors among other things", "a text that upstream itself sent as a success: the tool's own words"],
    notices: |facts| {
        let hides = |outcome: Option<&Outcome>| matches!(outcome, Some(Outcome::Result { is_error, hides: Some(_), .. }) if *is_error != Some(true));
        hides(facts.told()) && !facts.pair.up.iter().any(|link| hides(answer_to(&link.leg, 0)))
    },
};
