//! Findings in full while a person can read them, in one line each after that.

use super::page::{Page, WIDTH, clean, crop};
use super::say::{clock, day, from_to, many, span};
use super::story::{Story, names};
use crate::pipeline::Summary;
use crate::verdict::Finding;

/// A finding without its long lists, and which story shows it.
#[derive(Debug)]
pub(super) struct Told {
    finding: Finding,
    candidates: usize,
    story: Option<usize>,
}

impl Told {
    pub(super) fn new(mut finding: Finding, stories: &[Story]) -> Told {
        let holds = |numbers: &[u64], story: &Story| numbers.binary_search(&story.number).is_ok();
        let own = stories.iter().position(|story| holds(&finding.pairs, story));
        let story = own.or_else(|| stories.iter().position(|story| holds(&finding.candidates, story)));
        let candidates = finding.candidates.len();
        finding.candidates = Vec::new();
        finding.pairs.truncate(MOST_NUMBERS + 1);
        finding.pairs.shrink_to_fit();
        Told { finding, candidates, story }
    }
}

/// The section, if there is anything to tell.
pub(super) fn all(page: &mut Page, findings: &[Told], stories: &[Story], summary: &Summary) {
    if findings.is_empty() {
        return;
    }
    page.heading("FINDINGS");
    for (n, told) in findings.iter().take(IN_FULL).enumerate() {
        if n > 0 {
            page.blank();
        }
        full(page, told, told.story.and_then(|story| stories.get(story)), summary);
    }
    let rest = findings.get(IN_FULL..).unwrap_or_default();
    if !rest.is_empty() {
        page.blank();
        page.line(2, &format!("And {} in one line each:", many(rest.len() as u64, "more finding")));
        for told in rest.iter().take(IN_SHORT) {
            title(page, &told.finding, summary, &format!(" · {}", many(told.finding.count, "pair")));
        }
        let untold = rest.len().saturating_sub(IN_SHORT);
        if untold > 0 {
            page.line(2, &format!("... and {} more: --format ndjson lists them all.", many(untold as u64, "finding")));
        }
    }
}

fn full(page: &mut Page, told: &Told, story: Option<&Story>, summary: &Summary) {
    let finding = &told.finding;
    title(page, finding, summary, "");
    if let Some(story) = story {
        if finding.count == 0 {
            page.line(5, &format!("Which pairs it was cannot be told; one that may be is pair {}:", story.number));
        }
        story.tell(page, 5, LABEL);
    }
    page.field(5, "extent", LABEL, &extent(told, story));
    if let Some(recovered) = finding.recovered {
        let after = span(recovered.since(finding.last));
        page.field(
            5,
            "recovered",
            LABEL,
            &format!("the route was healthy again at {}, {after} after the last one", moment(recovered, finding)),
        );
    }
    if finding.servers.len() > 1 {
        page.field(5, "failed", LABEL, &format!("{} servers: {}", finding.servers.len(), names(&finding.servers, summary)));
    }
    if !finding.advice.is_empty() {
        page.field(5, "next", LABEL, &finding.advice);
    }
    page.field(5, "rule", LABEL, &format!("{}{}", finding.rule, numbers(&finding.pairs)));
}

fn title(page: &mut Page, finding: &Finding, summary: &Summary, rest: &str) {
    let verdict = page.verdict(finding.verdict, 0);
    let failure = finding.failure.map(|failure| format!(" · {failure}")).unwrap_or_default();
    let server = finding.server.map(|server| format!(" ← {}", summary.called(server))).unwrap_or_default();
    let declared = if finding.declared { " · declared in the answer" } else { "" };
    let what = format!("{failure} · {}{}{declared}{rest}", clean(&finding.route), clean(&server));
    let what = page.strong(&crop(&what, WIDTH.saturating_sub(7 + finding.verdict.as_str().len())));
    page.raw(&format!("{:>3}  {verdict}{what}", finding.number));
}

/// How often, when, by whom; and what is certain of it.
fn extent(told: &Told, story: Option<&Story>) -> String {
    let finding = &told.finding;
    let who = format!("{}, {}", many(finding.clients, "client"), many(finding.tokens, "credential"));
    let (first, last) = (finding.first, finding.last);
    let mut text = if told.candidates > 0 && finding.count == 0 {
        let of = many(told.candidates as u64, "pair");
        format!("{} of these {of}, whichever way they are paired; {}; {who}", between(finding), from_to(first, last))
    } else if finding.count <= 1 {
        format!("this pair alone, on {}; {who}", day(first))
    } else {
        let more = many(finding.count - 1, "more pair");
        format!("this pair and {more}; {}; {who}", from_to(first, last))
    };
    if finding.count > 0 && told.candidates > 0 {
        let of = many(told.candidates as u64, "unresolved pair");
        text.push_str(&format!("; {} with {of} that may belong to it", between(finding)));
    }
    match story {
        Some(story) if finding.count > 1 && story.start() != first => text.push_str("; the story above is of one of them"),
        _ => {}
    }
    text
}

fn between(finding: &Finding) -> String {
    let (least, most) = (finding.at_least, finding.at_most);
    if least == most { format!("exactly {least}") } else { format!("at least {least} and at most {most}") }
}

fn moment(ts: crate::base::Ts, finding: &Finding) -> String {
    if day(ts) == day(finding.last) { clock(ts) } else { format!("{} {}", day(ts), clock(ts)) }
}

fn numbers(pairs: &[u64]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = pairs.iter().take(MOST_NUMBERS).map(u64::to_string).collect();
    let dots = if pairs.len() > MOST_NUMBERS { ", ..." } else { "" };
    let (noun, first) = (if pairs.len() == 1 { "pair" } else { "pairs" }, pairs.first().copied().unwrap_or_default());
    format!(" ({noun} {}{dots}; see --explain {first})", shown.join(", "))
}

const LABEL: usize = 14;
const IN_FULL: usize = 20;
const IN_SHORT: usize = 50;
const MOST_NUMBERS: usize = 8;
