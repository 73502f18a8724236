//! An empty list that repeats what a failure before it left behind.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::{Told, Wanted};

pub(super) static RULE: Rule = Rule {
    id: "replayed-failure",
    verdict: Verdict::Unexplained,
    title: "the client got an empty list without any upstream being asked, after the same route had failed",
    doc: "No upstream was asked though the capture would have shown it, and the last answer on the same route that upstream had a part in \
          was spoiled by a failure: what was cached is that failure. The earlier pair is named in the cause.",
    guards: &[
        "an empty list from a cache after a good answer, or with no past in the capture: unexplained-empty",
        "an upstream that was asked again and says it has nothing: empty",
    ],
    holds: |case| {
        let unasked = case.groups.is_empty();
        held(case.wanted == Wanted::List && case.told == Told::List(0) && unasked && case.earlier.is_some())
    },
};
