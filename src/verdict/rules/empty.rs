//! An honest empty list.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::{Told, Wanted};
use crate::verdict::group::Came;

pub(super) static RULE: Rule = Rule {
    id: "empty",
    verdict: Verdict::Empty,
    title: "all upstreams answered with empty lists, and so did the gateway",
    doc: "Every upstream succeeded and listed nothing; the client got an empty list. True, nothing to report.",
    guards: &["byte for byte the same answer as a swallowed one: only the upstream side tells them apart"],
    holds: |case| {
        let all_empty = case.groups.iter().all(|group| matches!(group.came, Came::Success(Some(0))));
        held(case.wanted == Wanted::List && case.told == Told::List(0) && !case.groups.is_empty() && all_empty)
    },
};
