//! A list that is not even empty.

use super::Note;

pub(super) static NOTE: Note = Note {
    id: "list-null",
    doc: "The client's list was null, or absent though the method must have one: clients that expect an array break.",
    guards: &["an empty array"],
    notices: |facts| facts.shown().is_some_and(|list| list.null),
};
