//! Upstream failed and the client was told.

use super::{Held, Rule};
use crate::verdict::Verdict;
use crate::verdict::case::Told;

pub(super) static RULE: Rule = Rule {
    id: "propagated",
    verdict: Verdict::Propagated,
    title: "upstream failed and the client was told so",
    doc: "At least one upstream failed, and the client got a 4xx or 5xx status, a JSON-RPC error, or a call's isError:true (in_band for \
          the last two). This is what a gateway should do.",
    guards: &["a tool's own error that upstream sent and the gateway passed on is propagated too, failure tool_error"],
    holds: |case| match case.told {
        Told::Failure { in_band } if case.any_failure() => Some(Held { in_band, reason: None }),
        _ => None,
    },
};
