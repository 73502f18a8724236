//! All is well.

use super::{Rule, held};
use crate::verdict::Verdict;

pub(super) static RULE: Rule = Rule {
    id: "healthy",
    verdict: Verdict::Healthy,
    title: "all upstreams succeeded and the client was told so",
    doc: "Every upstream succeeded (a failure mended within the pair counts as success), and the client got a success: a list with entries, \
          or one that carries no list. The gateway's own greeting (initialize, server/discover) is healthy whatever happened upstream.",
    guards: &["missing or encrypted upstream bytes: unresolved"],
    holds: |_| held(true),
};
