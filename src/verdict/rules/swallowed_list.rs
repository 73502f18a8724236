//! The case: upstream said no, the client was shown an empty list.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::{Told, Wanted};

pub(super) static RULE: Rule = Rule {
    id: "swallowed-list",
    verdict: Verdict::Swallowed,
    title: "upstream failed, the client was shown an empty list",
    doc: "At least one upstream failed (401, 403, 404, 429, 5xx, refused, reset, TLS, timeout, JSON-RPC error, an answer that is not MCP), \
          and the client got a success with an empty, null or absent list. The error is gone: a client can't tell it from a server \
          without tools. Also when the body declares the failed servers (declared: true), since few clients read that.",
    guards: &[
        "an upstream whose own list is empty: empty",
        "a failure that a later try in the same pair mended",
        "an optional GET stream, a DELETE, a notification or a refused version probe that is followed by success",
        "-32601 for prompts or resources, which are optional",
        "a redirect that was followed and led to an answer",
        "a ping, or something else that the gateway asked beside the list",
        "a gateway that never asked upstream: unexplained",
    ],
    holds: |case| held(case.wanted == Wanted::List && case.told == Told::List(0) && case.any_failure()),
};
