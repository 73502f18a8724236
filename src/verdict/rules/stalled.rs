//! The client never got its answer, and upstream is why.

use super::{Rule, held};
use crate::verdict::Verdict;
use crate::verdict::case::Told;

pub(super) static RULE: Rule = Rule {
    id: "stalled-answer",
    verdict: Verdict::Stalled,
    title: "upstream failed or never answered, and the client waited in vain",
    doc: "At least one upstream failed or never answered, and no complete answer reached the client before one of them closed the \
          connection, or for as long as --stall-after says; whether or not status 200 and headers had been sent, and whatever \
          keep-alive comments came.",
    guards: &[
        "a client that leaves, or takes its request back, before anything has failed and before upstream was silent for 2 s: unresolved \
         (client_left)",
        "an answer that the capture lost or cut: unresolved",
        "a request that was still on its way when the capture ended, within --stall-after: unresolved (cut)",
    ],
    holds: |case| {
        let silent = matches!(case.told, Told::Silence { .. });
        held(silent && case.any_failure() && (!case.at_end || case.overdue))
    },
};
