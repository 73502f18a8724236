//! What the run says to whoever started it.

use std::cell::Cell;
use std::process::ExitCode;

use crate::base::Count;
use crate::correlate::Leg;
use crate::pipeline::{Loss, Output, Summary};
use crate::report::Report;
use crate::verdict::{Finding, Judged, Reason, Verdict};

/// The contract's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: nothing to report.
    Clean,
    /// 1: something was found.
    Found,
    /// 2: usage, or an input that cannot be read.
    Unusable,
    /// 3: too incomplete to judge, and nothing was found.
    Incomplete,
    /// 4: a live run took more memory than it may.
    #[cfg(feature = "live")]
    Memory,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Clean => 0,
            Exit::Found => 1,
            Exit::Unusable => 2,
            Exit::Incomplete => 3,
            #[cfg(feature = "live")]
            Exit::Memory => 4,
        })
    }
}

/// What counts as a find.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// `--fail-on`
    pub(super) fail_on: Vec<Verdict>,
    /// `--allow-declared`
    pub(super) allow_declared: bool,
    /// `--strict`
    pub(super) strict: bool,
}

impl Rule {
    fn counts(&self, verdict: Verdict, declared: bool) -> bool {
        self.fail_on.contains(&verdict) && !(declared && self.allow_declared)
    }

    /// The exit code of a run that ended.
    pub(super) fn exit(&self, seen: &Seen, summary: &Summary) -> Exit {
        match (seen.found.get(), self.strict && incomplete(summary)) {
            (true, _) => Exit::Found,
            (false, true) => Exit::Incomplete,
            (false, false) => Exit::Clean,
        }
    }
}

/// What a run has shown so far, to be asked while it goes on.
#[derive(Debug, Default)]
pub(super) struct Seen {
    found: Cell<bool>,
    unwritable: Cell<bool>,
}

impl Seen {
    /// A pair or a finding that may count.
    pub(super) fn note(&self, rule: &Rule, verdict: Verdict, declared: bool) {
        if rule.counts(verdict, declared) {
            self.found.set(true);
        }
    }

    /// Something that counts was found.
    #[cfg(feature = "live")]
    pub(super) fn found(&self) -> bool {
        self.found.get()
    }

    /// Nothing more can be written: going on is of no use.
    pub(super) fn unwritable(&self) -> bool {
        self.unwritable.get()
    }
}

/// Hands everything on to the report, and notes what the exit code depends on.
pub(super) struct Watched<'a> {
    pub(super) report: &'a mut dyn Report,
    pub(super) rule: &'a Rule,
    pub(super) seen: &'a Seen,
}

impl Watched<'_> {
    fn note(&self, verdict: Verdict, declared: bool) {
        self.seen.note(self.rule, verdict, declared);
    }

    fn written(&self) {
        self.seen.unwritable.set(self.report.failed());
    }
}

impl Output for Watched<'_> {
    fn pair(&mut self, judged: Judged) {
        self.note(judged.verdict, judged.declared);
        self.report.pair(judged);
        self.written();
    }

    fn loss(&mut self, loss: Loss) {
        self.report.loss(loss);
    }

    fn finding(&mut self, finding: Finding) {
        if finding.at_least >= 1 {
            self.note(finding.verdict, finding.declared);
        }
        self.report.finding(finding);
    }

    fn exchange(&mut self, leg: Leg) {
        self.report.exchange(leg);
        self.written();
    }

    fn wants_exchanges(&self) -> bool {
        self.report.wants_exchanges()
    }
}

/// Whether "nothing found" may be owed to what was not seen. A client that left of its own accord leaves no doubt about the capture.
fn incomplete(summary: &Summary) -> bool {
    let unseen = summary.unresolved.iter().any(|(reason, n)| *reason != Reason::ClientLeft && *n > 0);
    let dropped = [Count::KernelDrops, Count::OwnDrops].iter().any(|count| summary.counts.get(*count) > 0);
    let broken = summary.losses.iter().any(|loss| matches!(loss.kind.as_str(), "truncated" | "damaged"));
    summary.pairs == 0 || unseen || dropped || broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(strict: bool, allow_declared: bool) -> Rule {
        Rule { fail_on: vec![Verdict::Swallowed, Verdict::Partial, Verdict::Stalled], allow_declared, strict }
    }

    fn summary(pairs: u64, unresolved: &[(Reason, u64)]) -> Summary {
        Summary { pairs, unresolved: unresolved.iter().copied().collect(), ..Summary::default() }
    }

    #[test]
    fn nothing_found_is_clean_unless_strict_and_incomplete() {
        let seen = Seen::default();
        let whole = summary(3, &[(Reason::ClientLeft, 1)]);
        let holed = summary(3, &[(Reason::Missing, 1)]);
        assert_eq!(rule(false, false).exit(&seen, &holed), Exit::Clean);
        assert_eq!(rule(true, false).exit(&seen, &whole), Exit::Clean);
        assert_eq!(rule(true, false).exit(&seen, &holed), Exit::Incomplete);
        assert_eq!(rule(true, false).exit(&seen, &summary(0, &[])), Exit::Incomplete);
        let mut cut = summary(3, &[]);
        cut.losses.push(Loss { kind: "truncated".to_owned(), place: String::new(), detail: String::new(), at: None });
        assert_eq!(rule(true, false).exit(&seen, &cut), Exit::Incomplete);
        seen.found.set(true);
        assert_eq!(rule(true, false).exit(&seen, &holed), Exit::Found);
    }

    #[test]
    fn declared_failures_can_be_allowed() {
        assert!(rule(false, false).counts(Verdict::Partial, true));
        assert!(!rule(false, true).counts(Verdict::Partial, true));
        assert!(rule(false, true).counts(Verdict::Partial, false));
        assert!(!rule(false, false).counts(Verdict::Unexplained, false));
    }
}
