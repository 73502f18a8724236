//! Some upstreams are missing from the list, and nobody says so.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::{Told, Wanted};

pub(super) static RULE: Rule = Rule {
    id: "partial-list",
    verdict: Verdict::Partial,
    title: "some upstreams failed, the client got the others' entries as if that were all",
    doc: "At least one upstream failed and at least one succeeded, and the client got a success with a list that lacks the failed ones' share. \
          The pages of one server's list count alike: a later page that failed is a share that is missing.",
    guards: &["a list that is empty altogether: swallowed", "one bad server that fails the whole request: propagated"],
    holds: |case| {
        let some = matches!(case.told, Told::List(items) if items > 0);
        held(case.wanted == Wanted::List && some && case.any_failure() && (case.any_success() || case.unknown().is_some()))
    },
};
