//! Pairs come in; verdicts, findings, causes and advice go out. One rule a file, one list of rules.

mod advice;
mod case;
mod cause;
mod family;
mod findings;
mod group;
mod history;
mod judge;
mod notes;
mod rules;
mod words;

pub use family::{FAMILY, Member};
pub use findings::{FindingKey, Findings};
pub use judge::Judge;
pub use notes::{ALL as NOTES, Note};
pub use rules::{ALL as RULES, Rule};
pub use words::{Cause, CauseKind, Failure, Finding, Judged, Reason, Verdict};
