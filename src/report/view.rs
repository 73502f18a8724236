//! The digest in plain words, for templates: every text, number and place is decided here, so that a template only lays out.

use serde::Serialize;

use super::digest::{Digest, MOST_NUMBERS, Told};
use super::ladder::Ladder;
use super::text::overview::{LOSSES, lower};
use super::text::say::{from_to, many, number, span};
use crate::base::Count;
use crate::correlate::Gateway;
use crate::pipeline::Summary;
use crate::verdict::{Finding, Verdict};

/// All that a page says.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) version: &'static str,
    pub(super) headline: String,
    pub(super) captures: Vec<String>,
    pub(super) more_captures: usize,
    pub(super) when: Option<String>,
    pub(super) only_findings: bool,
    pub(super) verdicts: Vec<Row>,
    pub(super) unresolved: Vec<Row>,
    pub(super) gateways: Vec<GatewayView>,
    pub(super) groups: Vec<Group>,
    pub(super) more_groups: usize,
    pub(super) findings: Vec<FindingView>,
    pub(super) untold: usize,
    pub(super) ladders_beyond: u64,
    pub(super) health: Vec<String>,
    pub(super) seen: String,
    pub(super) versions: Vec<(String, Vec<String>)>,
}

/// A word, how often, and what it means.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) word: &'static str,
    pub(super) count: String,
    pub(super) n: u64,
    pub(super) doc: String,
}

#[derive(Debug, Serialize)]
pub(super) struct GatewayView {
    listen: String,
    software: Option<String>,
    how: String,
    sides: String,
    upstreams: Vec<String>,
    opaque: Vec<String>,
    relays: Vec<String>,
}

/// Findings of one upstream that failed in one way.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    verdict: Verdict,
    failure: String,
    server: String,
    routes: String,
    findings: u64,
    pairs: u64,
    count: String,
}

#[derive(Debug, Serialize)]
pub(super) struct FindingView {
    pub(super) number: u64,
    pub(super) verdict: Verdict,
    pub(super) failure: String,
    pub(super) cause: String,
    pub(super) route: String,
    pub(super) server: String,
    pub(super) rule: &'static str,
    pub(super) declared: bool,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) recovered: Option<String>,
    pub(super) count: u64,
    pub(super) extent: String,
    pub(super) advice: String,
    pub(super) pairs: String,
    pub(super) ladder: Option<LadderView>,
}

#[derive(Debug, Serialize)]
pub(super) struct LadderView {
    pub(super) pair: u64,
    pub(super) text: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) because: Vec<String>,
    pub(super) against: Vec<String>,
    /// Place in the digest's ladders.
    pub(super) place: usize,
}

impl View {
    /// With at most so many findings.
    pub(super) fn new(digest: &Digest, summary: &Summary, most: usize) -> View {
        let told = digest.findings.iter().take(most);
        View {
            version: env!("CARGO_PKG_VERSION"),
            headline: headline(summary),
            captures: summary.captures.iter().take(MOST_FILES).cloned().collect(),
            more_captures: summary.captures.len().saturating_sub(MOST_FILES),
            when: summary.first.zip(summary.last).map(|(first, last)| from_to(first, last)),
            only_findings: digest.shape.only_findings,
            verdicts: verdicts(summary),
            unresolved: unresolved(digest, summary),
            gateways: summary.gateways.iter().take(MOST_FILES).map(|gateway| GatewayView::new(gateway, summary)).collect(),
            groups: groups(&digest.findings, MOST_GROUPS),
            more_groups: groups(&digest.findings, usize::MAX).len().saturating_sub(MOST_GROUPS),
            findings: told.map(|told| FindingView::new(told, &digest.ladders, summary)).collect(),
            untold: digest.findings.len().saturating_sub(most),
            ladders_beyond: digest.beyond,
            health: health(summary),
            seen: seen(summary),
            versions: versions(digest, summary),
        }
    }
}

impl GatewayView {
    fn new(gateway: &Gateway, summary: &Summary) -> GatewayView {
        let shown = |all: &[crate::base::Addr]| all.iter().take(MOST_FILES).map(|addr| summary.called(*addr)).collect();
        GatewayView {
            listen: summary.called(gateway.listen),
            software: gateway.software.clone(),
            how: gateway.how.clone(),
            sides: format!("{} with clients, {} with upstream servers", many(gateway.downstream, "exchange"), number(gateway.upstream)),
            upstreams: shown(&gateway.upstreams),
            opaque: shown(&gateway.opaque),
            relays: shown(&gateway.relays),
        }
    }
}

impl FindingView {
    fn new(told: &Told, ladders: &[Ladder], summary: &Summary) -> FindingView {
        let finding = &told.finding;
        let ladder = told.ladder.and_then(|place| Some((place, ladders.get(place)?)));
        FindingView {
            number: finding.number,
            verdict: finding.verdict,
            failure: finding.failure.map(|failure| failure.to_string()).unwrap_or_default(),
            cause: finding.cause.map(|cause| cause.to_string()).unwrap_or_default(),
            route: finding.route.clone(),
            server: finding.server.map(|server| summary.called(server)).unwrap_or_default(),
            rule: finding.rule,
            declared: finding.declared,
            first: finding.first.to_string(),
            last: finding.last.to_string(),
            recovered: finding.recovered.map(|at| at.to_string()),
            count: finding.count.max(finding.at_least),
            extent: extent(told),
            advice: finding.advice.clone(),
            pairs: pairs(finding),
            ladder: ladder.map(|(place, ladder)| LadderView {
                pair: ladder.pair,
                text: ladder.text(),
                facts: ladder.facts.clone(),
                because: ladder.because.clone(),
                against: ladder.against.clone(),
                place,
            }),
        }
    }
}

/// What came of a run: flagged verdicts, or that there are none, and what could not be judged.
pub(super) fn outcomes(summary: &Summary) -> Vec<String> {
    let flagged =
        |verdict: &Verdict| summary.verdicts.get(verdict).filter(|_| verdict.flagged()).map(|n| format!("{} {verdict}", number(*n)));
    let mut told: Vec<String> = Verdict::ALL.iter().filter_map(flagged).collect();
    if told.is_empty() && summary.findings == 0 {
        told.push(if summary.pairs == 0 { "nothing could be judged" } else { "nothing to report" }.to_owned());
    }
    let unresolved = summary.verdicts.get(&Verdict::Unresolved).copied().unwrap_or(0);
    if unresolved > 0 {
        told.push(format!("{} not judged", number(unresolved)));
    }
    told
}

/// One line that says it all.
pub(super) fn headline(summary: &Summary) -> String {
    let ends = (many(summary.findings, "finding"), many(summary.pairs, "pair"));
    [vec![ends.0], outcomes(summary), vec![ends.1]].concat().join(" · ")
}

/// How often, by whom, and what is certain of it.
pub(super) fn extent(told: &Told) -> String {
    let finding = &told.finding;
    let who = format!("{}, {}", many(finding.clients, "client"), many(finding.tokens, "credential"));
    let bounds = match (finding.at_least, finding.at_most) {
        (least, most) if least == most => format!("exactly {least}"),
        (least, most) => format!("at least {least} and at most {most}"),
    };
    match (finding.count, told.candidates) {
        (0, of) => format!("{bounds} of {}, whichever way they are paired; {who}", many(of as u64, "pair")),
        (n, 0) => format!("{}; {who}", many(n, "pair")),
        (n, of) => format!("{}; {bounds} with {} that may belong to it; {who}", many(n, "pair"), many(of as u64, "unresolved pair")),
    }
}

fn pairs(finding: &Finding) -> String {
    let shown: Vec<String> = finding.pairs.iter().take(MOST_NUMBERS).map(u64::to_string).collect();
    let more = finding.count.saturating_sub(shown.len() as u64);
    if more > 0 && !shown.is_empty() { format!("{} and {} more", shown.join(", "), number(more)) } else { shown.join(", ") }
}

fn verdicts(summary: &Summary) -> Vec<Row> {
    let rows = Verdict::ALL.iter().map(|verdict| (verdict, summary.verdicts.get(verdict).copied().unwrap_or(0)));
    rows.filter(|(_, n)| *n > 0)
        .map(|(verdict, n)| Row { word: verdict.as_str(), count: number(n), n, doc: verdict.doc().trim().to_owned() })
        .collect()
}

fn unresolved(digest: &Digest, summary: &Summary) -> Vec<Row> {
    let rows = summary.unresolved.iter().map(|(reason, n)| {
        let doc = match digest.unresolved.get(reason) {
            Some((pair, Some(detail))) => format!("{} For example pair {pair}: {detail}", reason.doc().trim()),
            _ => reason.doc().trim().to_owned(),
        };
        Row { word: reason.as_str(), count: number(*n), n: *n, doc }
    });
    rows.collect()
}

/// Findings by verdict, failure and server, largest first.
fn groups(findings: &[Told], most: usize) -> Vec<Group> {
    let mut all: Vec<(Group, Vec<&str>)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for Told { finding, .. } in findings {
        let key = (finding.verdict, finding.failure, finding.server);
        let place = *places.entry(key).or_insert_with(|| {
            let failure = finding.failure.map(|failure| failure.to_string()).unwrap_or_default();
            let server = finding.server.map(|server| server.to_string()).unwrap_or_default();
            let group =
                Group { verdict: finding.verdict, failure, server, routes: String::new(), findings: 0, pairs: 0, count: String::new() };
            all.push((group, Vec::new()));
            all.len() - 1
        });
        if let Some((group, routes)) = all.get_mut(place) {
            group.findings += 1;
            group.pairs += finding.count.max(finding.at_least);
            if !routes.contains(&finding.route.as_str()) && routes.len() <= MOST_ROUTES {
                routes.push(&finding.route);
            }
        }
    }
    all.sort_by_key(|(group, _)| std::cmp::Reverse(group.pairs));
    let finish = |(mut group, mut routes): (Group, Vec<&str>)| {
        let more = routes.len() > MOST_ROUTES;
        routes.truncate(MOST_ROUTES);
        group.routes = routes.join(", ") + if more { ", …" } else { "" };
        group.count = number(group.pairs);
        group
    };
    all.into_iter().take(most).map(finish).collect()
}

fn seen(summary: &Summary) -> String {
    let counts = &summary.counts;
    let tls = counts.get(Count::TlsConnections);
    let encrypted = if tls > 0 {
        format!(", {} ({} of them decrypted)", many(tls, "TLS connection"), number(counts.get(Count::TlsDecrypted)))
    } else {
        String::new()
    };
    let open = counts.get(Count::MidConnections);
    let open = if open > 0 { format!(" ({} open before the capture began)", number(open)) } else { String::new() };
    format!(
        "{}, {}{open}, {}{encrypted}",
        many(counts.get(Count::Packets), "packet"),
        many(counts.get(Count::Connections), "TCP connection"),
        many(summary.exchanges, "HTTP exchange")
    )
}

/// Losses beyond the first `told`.
pub(super) fn untold(summary: &Summary, told: usize) -> u64 {
    summary.losses.len().saturating_sub(told) as u64 + summary.counts.get(Count::LossesUntold)
}

/// What was lost or could not be read; empty where nothing was.
pub(super) fn health(summary: &Summary) -> Vec<String> {
    let mut all: Vec<String> = summary
        .losses
        .iter()
        .take(MOST_LOSSES)
        .map(|loss| {
            let place = if loss.place.is_empty() { String::new() } else { format!("{}: ", loss.place) };
            format!("{place}{} ({})", loss.detail, loss.kind)
        })
        .collect();
    let untold = untold(summary, MOST_LOSSES);
    if untold > 0 {
        all.push(format!("and {}", many(untold, "more loss")));
    }
    for count in LOSSES {
        let n = summary.counts.get(*count);
        if n > 0 {
            all.push(format!("{} × {}", number(n), lower(count.doc())));
        }
    }
    all
}

/// What the software on every side calls itself.
pub(super) fn versions(digest: &Digest, summary: &Summary) -> Vec<(String, Vec<String>)> {
    let seen = &digest.seen;
    let list = |all: &std::collections::BTreeSet<String>| all.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>();
    let mut gateway: Vec<String> = summary.gateways.iter().filter_map(|gateway| gateway.software.clone()).collect();
    gateway.sort();
    gateway.dedup();
    gateway.extend(list(&seen.gateway));
    let mut all = vec![
        ("gateway".to_owned(), gateway),
        ("gateway, as upstream's client".to_owned(), list(&seen.agents)),
        ("clients".to_owned(), list(&seen.clients)),
        ("protocol revisions downstream".to_owned(), list(&seen.downstream)),
        ("protocol revisions upstream".to_owned(), list(&seen.upstream)),
    ];
    all.extend(seen.servers.iter().take(MOST_NAMES).map(|(server, names)| (format!("upstream server {server}"), list(names))));
    all.retain(|(_, names)| !names.is_empty());
    all
}

/// How long one bin of the time line is.
pub(super) fn wide(nanos: i64) -> String {
    span(nanos)
}

const MOST_FILES: usize = 16;
const MOST_GROUPS: usize = 200;
const MOST_ROUTES: usize = 4;
const MOST_LOSSES: usize = 20;
const MOST_NAMES: usize = 16;
