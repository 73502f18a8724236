//! The rules, one a file: each looks at a pair's facts and says whether it is its case. The first that does decides.

mod background;
mod empty;
mod healthy;
mod partial;
mod propagated;
mod rejected;
mod stalled;
mod swallowed_call;
mod swallowed_list;
mod unexplained;
mod unexplained_replay;
mod unresolved;

use super::case::Case;
use super::{Reason, Verdict};

/// A rule: what it is called, what it says, when it holds.
pub struct Rule {
    /// Stable id.
    pub id: &'static str,
    /// The verdict it gives.
    pub verdict: Verdict,
    /// One line for a table.
    pub title: &'static str,
    /// When it holds, in a few sentences.
    pub doc: &'static str,
    /// What looks like it and is not: cases that must stay quiet.
    pub guards: &'static [&'static str],
    /// Whether it holds.
    pub(super) holds: fn(&Case) -> Option<Held>,
}

/// How a rule holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Why it can't be told, for `unresolved`.
    pub reason: Option<Reason>,
    /// A failure told inside a success.
    pub in_band: bool,
}

/// All rules, in the order in which they are asked.
pub static ALL: &[&Rule] = &[
    &background::RULE,
    &stalled::RULE,
    &propagated::RULE,
    &swallowed_list::RULE,
    &swallowed_call::RULE,
    &partial::RULE,
    &unresolved::RULE,
    &rejected::RULE,
    &empty::RULE,
    &unexplained_replay::RULE,
    &unexplained::RULE,
    &healthy::RULE,
];

/// The id of the rule for what can't be told.
pub(super) const UNRESOLVED: &str = "unresolved";

/// Plain "it holds".
pub(super) fn held(holds: bool) -> Option<Held> {
    holds.then(Held::default)
}
