//! Too little was seen.

use super::{Held, Rule};
use crate::verdict::case::{Case, Told, Wanted};
use crate::verdict::{Reason, Verdict};

pub(super) static RULE: Rule = Rule {
    id: "unresolved",
    verdict: Verdict::Unresolved,
    title: "too little was seen to say",
    doc: "Bytes that could change the verdict are missing, cut or encrypted, several pairings are possible and differ in what they say, \
          or the client left before anything had failed. Never counted as healthy, never flagged.",
    guards: &["missing bytes that can't change the verdict: a 401 whose body is lost is still a 401"],
    holds: |case| reason(case).map(|reason| Held { reason: Some(reason), in_band: false }),
};

fn reason(case: &Case) -> Option<Reason> {
    match case.told {
        Told::Unknown(reason) => Some(reason),
        Told::Silence { left: true } => Some(Reason::ClientLeft),
        Told::Silence { left: false } => Some(case.unknown().unwrap_or(Reason::Cut)),
        // The gateway's greeting is its own.
        Told::Success | Told::List(_) if case.wanted == Wanted::Greeting => None,
        Told::Success | Told::List(_) | Told::Failure { .. } if case.lossy && !case.any_success() && !case.any_failure() => {
            Some(Reason::Missing)
        }
        // The answer came from an upstream that was seen to give it.
        Told::Success if case.any_success() => None,
        // Entries came from somewhere, but the only upstreams seen had failed.
        Told::List(items) if items > 0 && case.any_failure() && !case.any_success() => Some(case.unknown().unwrap_or(Reason::Missing)),
        Told::Success | Told::List(_) | Told::Failure { .. } => case.unknown(),
    }
}
