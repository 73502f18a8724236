//! An empty list that nothing upstream explains.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::{Told, Wanted};

pub(super) static RULE: Rule = Rule {
    id: "unexplained-empty",
    verdict: Verdict::Unexplained,
    title: "the client got an empty list that nothing seen upstream explains",
    doc: "No upstream was asked though the capture would have shown it, or all succeeded and some lists were not empty: a negative cache, a \
          silent skip, a permission filter.",
    guards: &["a policy that hides tools on purpose looks the same: reported, not flagged"],
    holds: |case| held(case.wanted == Wanted::List && case.told == Told::List(0)),
};
