//! Pairs come in; verdicts, findings, causes and advice go out. One rule a file, one list of rules.

mod words;

pub use words::{Cause, CauseKind, Failure, Finding, Judged, Reason, Verdict};
