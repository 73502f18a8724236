//! The gateway itself said no.

use super::{Held, Rule};
use crate::verdict::Verdict;
use crate::verdict::case::Told;

pub(super) static RULE: Rule = Rule {
    id: "rejected",
    verdict: Verdict::Rejected,
    title: "no upstream failed: the gateway itself refused",
    doc: "The client got a 4xx or 5xx status, a JSON-RPC error or isError:true, and no upstream had failed.",
    guards: &["a failure of which nothing was seen because it is encrypted: unresolved"],
    holds: |case| match case.told {
        Told::Failure { in_band } => Some(Held { in_band, reason: None }),
        _ => None,
    },
};
