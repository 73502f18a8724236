//! Nothing to judge.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::Wanted;

pub(super) static RULE: Rule = Rule {
    id: "background",
    verdict: Verdict::Background,
    title: "notifications, responses, GET streams, DELETE and ping",
    doc: "The client wanted no answer that could hide a failure. The pair is kept so that the upstream work it causes has a parent.",
    guards: &["a tools/list in a batch with notifications is judged on its own"],
    holds: |case| held(case.wanted == Wanted::Nothing),
};
