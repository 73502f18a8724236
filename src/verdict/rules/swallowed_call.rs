//! A call that failed upstream and was answered as a success.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::{Told, Wanted};

pub(super) static RULE: Rule = Rule {
    id: "swallowed-call",
    verdict: Verdict::Swallowed,
    title: "the upstream call failed, the client was told it succeeded",
    doc: "The call failed upstream, no other upstream answered it, and the client got a result with isError false or missing.",
    guards: &[
        "isError:true is an honest answer: propagated",
        "a failure that a later try in the same pair mended",
        "a call that another upstream answered",
        "a list that was refreshed beside the call and failed",
        "a tool whose own text looks like an error, passed on as it came: healthy",
    ],
    holds: |case| {
        let success = matches!(case.told, Told::Success | Told::List(_));
        held(case.wanted == Wanted::Call && success && case.any_failure() && !case.any_success() && case.unknown().is_none())
    },
};
