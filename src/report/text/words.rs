//! One exchange in plain words: what was asked, what was answered, with which credential.

use crate::correlate::{Leg, Link};
use crate::http::{Broken, Credential, End};
use crate::mcp::{Ask, AskKind, Asked, Conduit, ConduitKind, List, ListKind, Outcome};
use crate::report::record::outcome;
use crate::tcp::Close;

/// What was asked: `tools/list`, `tools/call get_weather`, `GET /mcp-rest/tools/list`.
pub(crate) fn asked(leg: &Leg, element: usize) -> String {
    let verb = leg.request.as_ref().map(|request| request.head.method.as_str()).filter(|verb| !verb.is_empty()).unwrap_or("?");
    match &leg.asked {
        Asked::Rpc(asks) => asks.get(element).map_or_else(|| "?".to_owned(), rpc),
        Asked::Stream => "a GET stream".to_owned(),
        Asked::EndSession => "the end of the session (DELETE)".to_owned(),
        Asked::RestList(_) | Asked::RestCall | Asked::Authorization | Asked::Other => format!("{verb} {}", leg.path()),
        Asked::Unreadable(gap) => format!("{verb} {} (what it asks is {})", leg.path(), gap.cause.as_str()),
    }
}

/// The same, with the route where the words above do not name it.
pub(crate) fn asked_where(leg: &Leg, element: usize) -> String {
    match &leg.asked {
        Asked::Rpc(_) | Asked::Stream | Asked::EndSession => format!("{} on {}", asked(leg, element), leg.path()),
        _ => asked(leg, element),
    }
}

/// What was answered: `200 with 0 tools`, `401`, `no answer: the connection was reset`. `asker` is what to call who asked.
pub(crate) fn answered(leg: &Leg, element: usize, asker: &str) -> String {
    let Some(status) = leg.status() else { return unanswered(leg, asker) };
    let whole = leg.done.is_some_and(|done| done.end == End::Complete);
    match outcome(leg, element) {
        Some(Outcome::Result { list: Some(list), .. }) => format!("{status} with {}", listed(list)),
        Some(Outcome::Result { is_error: Some(true), .. }) => format!("{status} with a tool error (isError)"),
        Some(Outcome::Result { hides: Some(word), .. }) => format!("{status}, a success whose text says {word}"),
        Some(Outcome::Result { .. }) => format!("{status} with a result"),
        Some(Outcome::Error { code, message, .. }) => format!("{status} with JSON-RPC error {code}: {message}"),
        Some(Outcome::Refusal { .. }) => status.to_string(),
        Some(Outcome::Nonsense) => format!("{status} with a body that is not MCP"),
        _ if whole && (status >= 300 || status == 202 || status == 204 || !expects(leg)) => status.to_string(),
        _ if whole => format!("{status} without an answer in it"),
        _ => format!("{status} and no complete answer{}", how(leg, asker)),
    }
}

/// The challenge and the reason that a refusal gave.
pub(crate) fn reasons(leg: &Leg) -> Vec<String> {
    let challenge = leg.response.as_ref().and_then(|response| response.head.www_authenticate.as_deref());
    let said = leg.answers.iter().find_map(|answer| match &answer.outcome {
        Outcome::Refusal { error: Some(error), detail: Some(detail) } => Some(format!("{error}: {detail}")),
        Outcome::Refusal { error: Some(word), detail: None } | Outcome::Refusal { error: None, detail: Some(word) } => Some(word.clone()),
        _ => None,
    });
    let said = said.filter(|said| !challenge.is_some_and(|challenge| said.split(": ").all(|part| challenge.contains(part))));
    challenge.map(|value| format!("WWW-Authenticate: {value}")).into_iter().chain(said.map(|said| format!("body: {said}"))).collect()
}

/// What became of a connection that carried nothing readable.
pub(crate) fn conduit(conduit: &Conduit) -> String {
    let server = conduit.peers.server;
    match (&conduit.kind, conduit.close) {
        (_, Some(Close::Refused)) => format!("{server} refused the connection"),
        (_, Some(Close::Unanswered)) => format!("{server} never answered the connection"),
        (ConduitKind::Tls { failed: Some(alert), .. }, _) => format!("the TLS handshake with {server} failed: {alert}"),
        (ConduitKind::Tls { server_name: Some(name), .. }, _) => format!("{server} ({name}) is encrypted and no key fits"),
        (ConduitKind::Tls { .. }, _) => format!("{server} is encrypted and no key fits"),
        (_, Some(Close::Reset(_))) => format!("the connection to {server} was reset"),
        (ConduitKind::NoData, _) => format!("nothing was sent on the connection to {server}"),
        (ConduitKind::Unknown, _) => format!("what was said to {server} could not be read"),
    }
}

/// Whether the client's credential went upstream.
pub(crate) fn credential(down: &Leg, up: &[Link]) -> Option<&'static str> {
    let sent = credentials(down);
    let passed: Vec<_> = up.iter().map(|link| credentials(&link.leg)).collect();
    if passed.is_empty() {
        return None;
    }
    let common = |leg: &Vec<&Credential>| leg.iter().any(|one| sent.iter().any(|other| other.mark == one.mark));
    Some(match (sent.is_empty(), passed.iter().all(Vec::is_empty)) {
        (true, true) => "none on either leg",
        (true, false) => "the client sent none, the gateway sent one of its own",
        (false, true) => "the client sent one, the gateway sent none upstream",
        (false, false) if passed.iter().all(common) => "the same on both legs",
        (false, false) if passed.iter().any(common) => "the same on some upstream requests, not on all",
        (false, false) => "the gateway sent another one upstream than the client's",
    })
}

fn credentials(leg: &Leg) -> Vec<&Credential> {
    let Some(request) = &leg.request else { return Vec::new() };
    request.head.credential.iter().chain(request.head.other_credentials.iter().map(|(_, credential)| credential)).collect()
}

fn rpc(ask: &Ask) -> String {
    let method = ask.method.as_deref();
    match (ask.kind, method, &ask.name) {
        (AskKind::Response, ..) => "a response to the server's request".to_owned(),
        (_, Some(method), Some(name)) => format!("{method} {name}"),
        (_, Some(method), None) => method.to_owned(),
        (_, None, _) => "a message without method".to_owned(),
    }
}

fn listed(list: &List) -> String {
    let thing = match list.kind {
        ListKind::Tools => "tool",
        ListKind::Prompts => "prompt",
        ListKind::Resources => "resource",
        ListKind::ResourceTemplates => "resource template",
    };
    if list.null {
        return format!("no {thing} list (null or missing)");
    }
    let more = if list.more { " and more pages" } else { "" };
    format!("{} {thing}{}{more}", list.items, if list.items == 1 { "" } else { "s" })
}

fn unanswered(leg: &Leg, asker: &str) -> String {
    let what = if leg.response.is_some() { "an answer of unknown status" } else { "no answer" };
    format!("{what}{}", how(leg, asker))
}

/// Why there is no (whole) answer, to go on after it.
fn how(leg: &Leg, asker: &str) -> String {
    match leg.done.map(|done| done.end) {
        None | Some(End::Complete) => String::new(),
        Some(End::Broken(Broken::Finished)) => ": the server closed the connection".to_owned(),
        Some(End::Broken(Broken::Reset)) => ": the connection was reset".to_owned(),
        Some(End::Broken(Broken::Left)) => format!(": {asker} left"),
        Some(End::Unseen(gap)) => format!(" was seen ({})", gap.cause.as_str()),
    }
}

/// Wants an answer of JSON-RPC or a list.
fn expects(leg: &Leg) -> bool {
    match &leg.asked {
        Asked::Rpc(asks) => asks.iter().any(|ask| ask.kind == AskKind::Request),
        Asked::RestList(_) | Asked::RestCall => true,
        _ => false,
    }
}
