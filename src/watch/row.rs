//! A judged pair becomes one line's worth of facts: what lists, filters and sorting need, and nothing that grows with the traffic.

use std::sync::Weak;

use crate::base::{Addr, Fingerprint, Ts};
use crate::correlate::{Leg, Link};
use crate::http::{Broken, End};
use crate::mcp::Asked;
use crate::report::page::clean;
use crate::report::words;
use crate::tcp::Close;
use crate::verdict::{CauseKind, Failure, Judged, Reason, Verdict};

/// A pair in a list.
#[derive(Clone, Debug)]
pub struct Row {
    /// The pair's number.
    pub number: u64,
    /// First byte of the client's request.
    pub start: Ts,
    /// Last byte that it got.
    pub end: Ts,
    /// Who asked.
    pub client: Addr,
    /// Whom.
    pub gateway: Addr,
    /// `tools/list`, `tools/call get_weather`, `GET /mcp-rest/tools/list`.
    pub what: String,
    /// JSON-RPC method; HTTP's where there is none.
    pub method: String,
    /// Path, safe to show.
    pub route: String,
    /// The answer's status.
    pub status: Option<u16>,
    /// Entries of the list that was answered.
    pub items: Option<usize>,
    /// What each visit upstream came to, in order.
    pub up: Vec<Visit>,
    /// Visits that are not in `up`.
    pub more: usize,
    /// The verdict.
    pub verdict: Verdict,
    /// How upstream failed.
    pub failure: Option<Failure>,
    /// Why.
    pub cause: Option<CauseKind>,
    /// Why `unresolved`.
    pub because: Option<Reason>,
    /// The body names the failed servers.
    pub declared: bool,
    /// Probability that the verdict is right.
    pub confidence: f64,
    /// The rule that decided.
    pub rule: &'static str,
    /// The client's credential.
    pub token: Option<Fingerprint>,
    /// The upstream that failed first.
    pub server: Option<Addr>,
    /// Everything there is to tell, for as long as it is kept.
    pub detail: Weak<Judged>,
}

/// One visit upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The server's address.
    pub server: Addr,
    /// How it was called (`Host`), where that is not its address.
    pub host: Option<String>,
    /// `ok`, `401`, `t/o`, `rst`, `refused`, `tls`, ...
    pub said: String,
    /// It failed.
    pub failed: bool,
}

impl Row {
    /// Of a pair, whose details are kept elsewhere.
    pub fn new(judged: &Judged, detail: Weak<Judged>) -> Row {
        let pair = &judged.pair;
        let down = &*pair.down;
        let visits = visits(judged);
        let method = down.ask().and_then(|ask| ask.method.clone());
        let verb = || down.request.as_ref().map(|request| request.head.method.clone()).unwrap_or_default();
        Row {
            number: judged.number,
            start: down.start().ts,
            end: down.last().ts,
            client: down.peers.client,
            gateway: pair.gateway,
            what: short(&words::asked(down, pair.element), WHAT),
            method: short(&method.unwrap_or_else(verb), WHAT),
            route: short(down.path(), ROUTE),
            status: down.status(),
            items: judged.items,
            more: visits.len().saturating_sub(VISITS),
            up: visits.into_iter().take(VISITS).collect(),
            verdict: judged.verdict,
            failure: judged.failure,
            cause: judged.cause.as_ref().map(|cause| cause.kind),
            because: judged.because,
            declared: judged.declared,
            confidence: judged.confidence,
            rule: judged.rule,
            token: token(down),
            server: judged.server,
            detail,
        }
    }

    /// Nanoseconds from the request's first byte to the answer's last.
    pub fn duration(&self) -> i64 {
        self.end.since(self.start).max(0)
    }
}

/// The credential that the client sent.
pub(super) fn token(leg: &Leg) -> Option<Fingerprint> {
    let head = &leg.request.as_ref()?.head;
    head.credential.as_ref().or_else(|| head.other_credentials.first().map(|(_, credential)| credential)).map(|credential| credential.mark)
}

/// Visits in order of their number, then connections that carried nothing readable.
fn visits(judged: &Judged) -> Vec<Visit> {
    let up = &judged.pair.up;
    let mut groups: Vec<usize> = up.iter().map(|link| link.group).collect();
    groups.sort_unstable();
    groups.dedup();
    let mut visits: Vec<Visit> =
        groups.iter().filter_map(|group| visit(&up.iter().filter(|link| link.group == *group).collect::<Vec<_>>(), judged)).collect();
    for conduit in &judged.pair.conduits {
        let server = conduit.peers.server;
        if visits.iter().any(|visit| visit.server == server) {
            continue;
        }
        let said = match conduit.close {
            Some(Close::Refused) => "refused",
            Some(Close::Unanswered) => "t/o",
            Some(Close::Reset(_)) => "rst",
            _ if matches!(conduit.kind, crate::mcp::ConduitKind::Tls { .. }) => "tls",
            _ => "?",
        };
        visits.push(Visit { server, host: None, said: said.to_owned(), failed: judged.servers.contains(&server) });
    }
    visits
}

fn visit(legs: &[&Link], judged: &Judged) -> Option<Visit> {
    let first = legs.first()?;
    let server = first.leg.peers.server;
    let judged_leg = |link: &&&Link| !matches!(link.leg.asked, Asked::Stream | Asked::EndSession);
    let last = legs.iter().rev().find(judged_leg).unwrap_or(first);
    let failed = judged.servers.contains(&server) && (trouble(&last.leg).is_some() || judged.failure.is_some() && legs.len() == 1);
    let said = match trouble(&last.leg) {
        Some(trouble) => trouble,
        None if failed => judged.failure.map_or_else(|| "failed".to_owned(), |failure| failure.to_string()),
        None => "ok".to_owned(),
    };
    let host = first.leg.request.as_ref().and_then(|request| request.head.host.as_deref()).filter(|host| **host != server.to_string());
    Some(Visit { server, host: host.map(|host| short(host, HOST)), said, failed })
}

/// What an exchange met with instead of a success.
pub(super) fn trouble(leg: &Leg) -> Option<String> {
    use crate::mcp::Outcome;
    match (leg.status(), leg.done.map(|done| done.end)) {
        (Some(status), _) if status >= 300 => return Some(status.to_string()),
        // Many gateways close an SSE stream as soon as it brought the answer: nothing is missing then.
        (Some(_), _) if !leg.answers.is_empty() => {}
        (_, Some(End::Unseen(_))) => return Some("hole".to_owned()),
        (_, Some(End::Broken(Broken::Reset))) => return Some("rst".to_owned()),
        (_, Some(End::Broken(Broken::Left)) | None) => return Some("t/o".to_owned()),
        (None, Some(End::Broken(Broken::Finished))) => return Some("closed".to_owned()),
        (Some(_), Some(End::Broken(Broken::Finished))) => return Some("cut".to_owned()),
        _ => {}
    }
    leg.answers.iter().find_map(|answer| match &answer.outcome {
        Outcome::Error { .. } => Some("rpc-err".to_owned()),
        Outcome::Refusal { .. } => Some("error".to_owned()),
        Outcome::Nonsense => Some("no-mcp".to_owned()),
        Outcome::Result { is_error: Some(true), .. } => Some("isError".to_owned()),
        _ => None,
    })
}

/// Clean of terminal control, and no longer than `most` characters.
pub(super) fn short(text: &str, most: usize) -> String {
    clean(text).chars().take(most).collect()
}

const WHAT: usize = 96;
const ROUTE: usize = 160;
const HOST: usize = 80;
/// Visits told apart in one line.
const VISITS: usize = 8;
