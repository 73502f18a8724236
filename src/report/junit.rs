//! JUnit XML, as CI systems read it: a suite a run, a failed case for each finding, a passed one for each route that was asked and hid
//! nothing, a skipped one for what could not be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::digest::{Digest, Told};
use super::text::say::many;
use super::view::{extent, headline, health, versions};
use crate::pipeline::Summary;
use crate::verdict::{Finding, Verdict};

/// The whole document. `fails`: which verdicts make a failure of a finding.
pub(super) fn document(digest: &Digest, summary: &Summary, fails: &[Verdict], allow_declared: bool) -> io::Result<String> {
    let mut suite = TestSuite::new(summary.captures.join(", "));
    for told in digest.findings.iter().take(MOST_CASES) {
        suite.add_test_case(case(digest, told, fails, allow_declared));
    }
    let untold = digest.findings.iter().skip(MOST_CASES).filter(|told| counts(&told.finding, fails, allow_declared)).count();
    if untold > 0 {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type("more").set_message(format!("{}: --format ndjson lists them all", many(untold as u64, "more finding")));
        suite.add_test_case(TestCase::new("further findings", status));
    }
    if !digest.shape.only_findings {
        for (name, n) in quiet(digest) {
            let mut good = TestCase::new(name, TestCaseStatus::success());
            good.set_classname("gatewitness");
            good.set_system_out(many(n, "pair"));
            suite.add_test_case(good);
        }
        for (reason, n) in &summary.unresolved {
            let mut status = TestCaseStatus::skipped();
            status.set_type(reason.as_str()).set_message(format!("{}: {}", many(*n, "pair"), reason.doc().trim()));
            let mut case = TestCase::new(format!("not judged: {reason}"), status);
            case.set_classname("gatewitness");
            suite.add_test_case(case);
        }
    }
    if summary.pairs == 0 {
        let mut status = TestCaseStatus::skipped();
        status.set_type("nothing").set_message("no client request to a gateway was seen: this does not mean that all is well");
        suite.add_test_case(TestCase::new("nothing could be judged", status));
    }
    let mut out = vec![headline(summary)];
    out.extend(health(summary).into_iter().map(|line| format!("lost: {line}")));
    out.extend(versions(digest, summary).into_iter().map(|(label, names)| format!("{label}: {}", names.join("; "))));
    suite.set_system_out(out.join("\n"));
    let mut report = Report::new("gatewitness");
    report.add_test_suite(suite);
    report.to_string().map_err(io::Error::other)
}

fn case(digest: &Digest, told: &Told, fails: &[Verdict], allow_declared: bool) -> TestCase {
    let finding = &told.finding;
    let failure = finding.failure.map(|failure| format!(" {failure}")).unwrap_or_default();
    let server = finding.server.map(|server| format!(" from {server}")).unwrap_or_default();
    let name = format!("{}: {}{failure}{server} (finding {})", finding.route, finding.verdict, finding.number);
    let text = digest.ladders.get(told.ladder.unwrap_or(usize::MAX)).map(super::ladder::Ladder::text).unwrap_or_default();
    let message = format!("{}; first {}. {}", extent(told), finding.first, finding.advice);
    let mut case = if counts(finding, fails, allow_declared) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type(finding.rule).set_message(message).set_description(text);
        TestCase::new(name, status)
    } else {
        // Seen, and not meant to fail: --fail-on or --allow-declared says so, or no pair of it is certain.
        let mut case = TestCase::new(name, TestCaseStatus::success());
        case.set_system_out(format!("{message}\n\n{text}"));
        case
    };
    case.set_classname(format!("gatewitness.{}", finding.rule));
    case
}

/// Whether the exit code counts it as well.
fn counts(finding: &Finding, fails: &[Verdict], allow_declared: bool) -> bool {
    fails.contains(&finding.verdict) && finding.at_least >= 1 && !(allow_declared && finding.declared)
}

/// Routes and methods that were judged and are part of no finding, with their pairs.
fn quiet(digest: &Digest) -> Vec<(String, u64)> {
    let flagged: BTreeSet<&str> = digest.findings.iter().map(|told| told.finding.route.as_str()).collect();
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for (situation, verdicts) in digest.lanes.iter().filter(|(situation, _)| !flagged.contains(situation.route.as_str())) {
        let judged: u64 = verdicts.iter().filter(|(verdict, _)| **verdict != Verdict::Unresolved).map(|(_, n)| n).sum();
        if judged > 0 {
            *all.entry(format!("{}: {}", situation.route, situation.asked)).or_default() += judged;
        }
    }
    all.into_iter().take(MOST_CASES).collect()
}

/// Cases of one kind.
const MOST_CASES: usize = 1_000;
