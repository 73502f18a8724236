//! One pair with all its evidence: who, what, why it is thought to belong together, and what else it could have been.

use super::page::Page;
use super::say::{clock, day, many};
use super::story::where_seen;
use super::words::{answered, asked_where, conduit, credential, reasons};
use crate::base::Process;
use crate::correlate::{Leg, Link, Mark, Other, Rival};
use crate::report::record::{missing, token};
use crate::verdict::Judged;

/// The whole text.
pub(in crate::report) fn pair(mut page: Page, judged: &Judged, files: &[String]) -> String {
    let pair = &judged.pair;
    let verdict = page.verdict(judged.verdict, 0);
    let name = page.strong(&format!("PAIR {}", judged.number));
    page.raw(&format!("{name}  {verdict}  (confidence {:.3}, rule {})", judged.confidence, judged.rule));
    page.line(2, judged.verdict.doc());
    facts(&mut page, judged);

    page.heading(&format!("CLIENT TO GATEWAY {} ({})", pair.gateway, day(pair.down.start().ts)));
    leg(&mut page, &pair.down, pair.element, files);

    page.heading("GATEWAY TO UPSTREAM");
    if pair.up.is_empty() {
        page.line(2, "No upstream request for it was seen.");
    }
    for link in &pair.up {
        leg(&mut page, &link.leg, 0, files);
        page.field(4, "belongs", LABEL, &why(link));
    }
    for one in &pair.conduits {
        page.field(2, &clock(one.start.ts), LABEL, &conduit(one));
    }
    if !pair.authorization.is_empty() {
        page.heading("AUTHORIZATION");
        for one in &pair.authorization {
            leg(&mut page, one, 0, files);
        }
    }
    page.heading("WHAT ELSE IT COULD BE");
    page.line(2, &rival(pair.rival.as_ref(), files));
    let mut others: Vec<&Other> = pair.others.iter().collect();
    others.sort_by(|a, b| b.share.total_cmp(&a.share));
    for other in others.iter().take(OTHERS) {
        page.line(2, &otherwise(other, files));
    }
    if others.len() > OTHERS {
        page.line(2, &format!("... and {} that are less likely.", many((others.len() - OTHERS) as u64, "more way")));
    }
    if let Some(may_be) = &judged.may_be {
        let failure = may_be.failure.map(|failure| format!(" ({failure})")).unwrap_or_default();
        page.line(2, &format!("If it is flagged at all, it is {}{failure}.", may_be.verdict));
    }
    page.into_text()
}

fn facts(page: &mut Page, judged: &Judged) {
    let because = judged.because.map(|because| format!("{because}: {}", judged.because_detail.as_deref().unwrap_or(because.doc())));
    let failure = judged.failure.map(|failure| format!("{failure}: {}", failure.doc()));
    let cause = judged.cause.as_ref().map(|cause| format!("{}: {}", cause.kind, cause.detail));
    let declared = judged.declared.then(|| "the answer's body names the failed servers".to_owned());
    let in_band = judged.in_band.then(|| "the failure was told inside an HTTP success".to_owned());
    let credential = credential(&judged.pair.down, &judged.pair.up).map(str::to_owned);
    let notes = Some(judged.notes.join(", "));
    let advice = Some(judged.advice.clone());
    let all = [
        ("not judged", because),
        ("failure", failure),
        ("cause", cause),
        ("declared", declared),
        ("in band", in_band),
        ("credential", credential),
        ("noticed", notes),
        ("next", advice),
    ];
    for (label, text) in all {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            page.field(2, label, LABEL, &text);
        }
    }
}

fn leg(page: &mut Page, leg: &Leg, element: usize, files: &[String]) {
    let peers = &leg.peers;
    let asked = asked_where(leg, element);
    page.field(2, &clock(leg.start().ts), LABEL, &format!("{} → {}  {asked}{}", peers.client, peers.server, where_seen(leg, files)));
    page.field(2, &clock(leg.last().ts), LABEL, &answered(leg, element, "who asked"));
    for reason in reasons(leg) {
        page.field(2, "", LABEL, &reason);
    }
    if let Some(gap) = missing(leg) {
        let bytes = gap.len.map_or_else(|| "bytes".to_owned(), |len| many(len, "byte"));
        page.field(4, "missing", LABEL, &format!("{bytes} of the answer ({})", gap.cause.as_str()));
    }
    if let Some(mark) = token(leg) {
        page.field(4, "credential", LABEL, &format!("tok:{mark}"));
    }
    if !peers.processes.is_empty() {
        let all: Vec<String> = peers.processes.iter().map(|one| process(one)).collect();
        page.field(4, "process", LABEL, &all.join("; "));
    }
    if !peers.client_aliases.is_empty() || !peers.server_aliases.is_empty() {
        let all: Vec<String> = peers.client_aliases.iter().chain(&peers.server_aliases).map(ToString::to_string).collect();
        page.field(4, "also seen as", LABEL, &all.join(", "));
    }
}

/// `/usr/bin/python3.11 (4711), container gateway, pod mcp/gateway-0`
pub(in crate::report) fn process(process: &Process) -> String {
    let Process { pid, command, container, pod } = process;
    let pid = pid.map(|pid| pid.to_string());
    let own = match (command, pid) {
        (Some(command), Some(pid)) => Some(format!("{command} ({pid})")),
        (command, pid) => command.clone().or(pid),
    };
    let parts = [own, container.as_ref().map(|name| format!("container {name}")), pod.as_ref().map(|name| format!("pod {name}"))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(in crate::report) fn why(link: &Link) -> String {
    // What holds of every link that is thinkable at all has no weight.
    let said = |mark: &Mark| if mark.weight == 0.0 { mark.word.to_owned() } else { format!("{} {:+.1}", mark.word, mark.weight) };
    let all = |marks: &[Mark]| marks.iter().map(said).collect::<Vec<_>>().join(", ");
    let against = if link.against.is_empty() { String::new() } else { format!("; against it: {}", all(&link.against)) };
    format!("visit {}, score {:.3}: {}{against} (nats)", link.group + 1, link.score, all(&link.because))
}

pub(in crate::report) fn rival(rival: Option<&Rival>, files: &[String]) -> String {
    let Some(Rival { down, margin }) = rival else { return "No other client request comes into question.".to_owned() };
    let odds = margin.exp();
    let odds = if odds < 1e6 { format!("{odds:.0} to 1") } else { "over a million to one".to_owned() };
    let what = asked_where(down, 0);
    format!(
        "The best other parent is {what} by {} at {}{}: less likely by {margin:.1} nats ({odds}).",
        down.peers.client,
        clock(down.start().ts),
        where_seen(down, files)
    )
}

/// Another visit that the pair could have got.
fn otherwise(other: &Other, files: &[String]) -> String {
    let share = format!("{:.1} %", other.share * 100.0);
    match (other.legs.last(), &other.conduit) {
        (Some(last), _) => {
            let what = format!("{} at {} with {}", asked_where(last, 0), last.peers.server, answered(last, 0, "who asked"));
            format!("With {share}: instead {what}, from {}{}.", clock(last.start().ts), where_seen(last, files))
        }
        (None, Some(one)) => format!("With {share}: instead a connection: {}.", conduit(one)),
        (None, None) => format!("With {share}: nothing upstream at all."),
    }
}

/// Other ways of pairing that are told.
const OTHERS: usize = 4;
const LABEL: usize = 14;
