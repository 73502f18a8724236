//! Why upstream refused: what it says itself, what the credential says of itself, and what went before.

use super::group::{Came, Sought, outcome};
use super::history::{Earlier, History};
use super::{Cause, CauseKind, Failure};
use crate::base::Addr;
use crate::correlate::{Leg, Pair, answer_to};
use crate::mcp::{ConduitKind, Outcome};

/// The cause of a pair's failure at `server`.
pub(super) fn cause(pair: &Pair, sought: Sought<'_>, failure: Failure, server: Addr, history: &History) -> Cause {
    let legs = pair.up.iter().map(|link| &*link.leg).filter(|leg| leg.peers.server == server);
    let failed = legs.clone().find(|leg| outcome(leg, sought) == Came::Failed(failure));
    if let Some(leg) = failed
        && let Some(said) = words(leg)
        && !matches!(failure, Failure::Unauthorized | Failure::Forbidden)
        && of_session(&said)
    {
        return of(CauseKind::SessionLost, said);
    }
    match failure {
        Failure::Unauthorized | Failure::Forbidden => match failed {
            Some(leg) => credential(pair, leg, failure, history),
            None => of(CauseKind::Unknown, "the refusal itself was not read"),
        },
        Failure::NotFound => match failed.filter(|leg| leg.request.as_ref().is_some_and(|request| request.head.common.session.is_some())) {
            Some(_) => of(CauseKind::SessionLost, "404 to a request that names a session: the session is not known there any more"),
            None => of(CauseKind::Unknown, "the server has nothing at this path"),
        },
        Failure::RateLimited => {
            of(CauseKind::RateLimit, failed.and_then(retry_after).unwrap_or_else(|| "the server wants fewer requests".to_owned()))
        }
        Failure::ServerError | Failure::Malformed | Failure::ToolError | Failure::RpcError | Failure::ClientError => {
            of(CauseKind::ServerFault, failed.and_then(words).unwrap_or_else(|| fault(failure).to_owned()))
        }
        Failure::Timeout => of(CauseKind::Slow, "no answer came before the client was answered or left"),
        Failure::Refused => of(CauseKind::Unreachable, "the connection was refused: nobody listens there"),
        Failure::Reset => of(CauseKind::Unreachable, "the connection was broken off before an answer"),
        Failure::Tls => of(CauseKind::Unreachable, handshake(pair, server).unwrap_or_else(|| "the TLS handshake failed".to_owned())),
    }
}

/// Why a client may have got an empty list that no upstream explains.
pub(super) fn of_empty(pair: &Pair, earlier: Option<Earlier>) -> Option<Cause> {
    if let Some(Earlier { pair, at, failure, server }) = earlier {
        let said =
            format!("no upstream was asked; the last answer on this route followed a failure ({failure}) of {server}: pair {pair}, {at}");
        return Some(of(CauseKind::EarlierFailure, said));
    }
    token_refused(pair)
}

/// The gateway asked for a token of its own and did not get it.
fn token_refused(pair: &Pair) -> Option<Cause> {
    // Discovery (GET) is answered 404 by many who need none.
    let posts = |leg: &&Leg| leg.request.as_ref().is_some_and(|request| request.head.method == "POST");
    let mut tries = pair.authorization.iter().map(|leg| &**leg).filter(posts);
    let last = tries.next_back()?;
    let status = last.status().filter(|status| *status >= 400)?;
    let said = words(last).map(|said| format!(": {said}")).unwrap_or_default();
    Some(of(CauseKind::TokenEndpoint, format!("the token endpoint {} answered {status}{said}", last.peers.server)))
}

/// Whether a server says that it does not know (or no longer knows) a session.
fn of_session(said: &str) -> bool {
    let low = said.to_ascii_lowercase();
    low.contains("session")
        && ["not found", "terminated", "expired", "unknown", "no valid", "missing", "invalid"].iter().any(|word| low.contains(word))
}

fn of(kind: CauseKind, detail: impl Into<String>) -> Cause {
    Cause { kind, detail: detail.into() }
}

/// Why a credential was refused.
fn credential(pair: &Pair, leg: &Leg, failure: Failure, history: &History) -> Cause {
    let head = leg.request.as_ref().map(|request| &request.head);
    let given = head.and_then(|head| head.credential.as_ref());
    let own = pair.down.request.as_ref().and_then(|request| request.head.credential.as_ref());
    let said = words(leg).unwrap_or_default();
    let challenge = leg.response.as_ref().and_then(|response| response.head.www_authenticate.as_deref()).unwrap_or_default();
    let low = format!("{challenge} {said}").to_ascii_lowercase();
    let at = leg.start().ts;
    let seconds = at.0.div_euclid(1_000_000_000);
    if low.contains("insufficient_scope") || low.contains("insufficient scope") {
        return of(CauseKind::InsufficientScope, said);
    }
    if low.contains("audience") {
        return of(CauseKind::WrongAudience, said);
    }
    if low.contains("expired") {
        return of(CauseKind::TokenExpired, said);
    }
    if given.is_none()
        && let Some(refused) = token_refused(pair)
    {
        return refused;
    }
    let Some(given) = given else {
        let partial = head.is_none_or(|head| head.common.partial);
        return match own {
            _ if partial => of(CauseKind::Unknown, "whether a credential was sent upstream was not seen"),
            Some(_) => of(CauseKind::NotForwarded, "the client sent a credential, the gateway sent none upstream"),
            None => of(CauseKind::Missing, "neither the client nor the gateway sent a credential"),
        };
    };
    if let Some(jwt) = &given.jwt {
        if let Some(expires) = jwt.expires.filter(|expires| *expires <= seconds) {
            return of(CauseKind::TokenExpired, format!("the token's own exp passed {} s before it was sent", seconds - expires));
        }
        if let Some(begins) = jwt.not_before.filter(|begins| *begins > seconds) {
            return of(CauseKind::TokenNotYetValid, format!("the token's own nbf lies {} s ahead", begins - seconds));
        }
    }
    if let Some(last) = history.last_accepted(leg.peers.server, given.mark, at) {
        return of(CauseKind::TokenRevoked, format!("this credential was accepted by this server until {last}"));
    }
    if given.jwt.as_ref().is_some_and(|jwt| history.is_for_others(leg.peers.server, &jwt.audience)) {
        return of(CauseKind::WrongAudience, "the token's own aud is another than that of every token this server accepted");
    }
    let others = pair.down.request.iter().flat_map(|request| &request.head.other_credentials).any(|(_, other)| other.mark == given.mark);
    if let Some(own) = own
        && own.mark != given.mark
        && !others
    {
        return of(CauseKind::Replaced, "the gateway sent another credential than the client's");
    }
    let default = if failure == Failure::Forbidden { CauseKind::InsufficientScope } else { CauseKind::InvalidToken };
    let plain = match history.never_accepted(leg.peers.server, given.mark) {
        Some(before) if said.is_empty() => {
            format!("refused by this server {before} times before, never accepted; it says nothing of the reason")
        }
        Some(before) => format!("{said} (refused by this server {before} times before, never accepted)"),
        _ if said.is_empty() => "the server does not accept the credential and says nothing of the reason".to_owned(),
        _ => said,
    };
    of(if low.trim().is_empty() && failure == Failure::Forbidden { CauseKind::Unknown } else { default }, plain)
}

/// What a refusal says in words.
fn words(leg: &Leg) -> Option<String> {
    let challenge = leg.response.as_ref().and_then(|response| response.head.www_authenticate.clone());
    let body = match answer_to(leg, 0) {
        Some(Outcome::Refusal { error, detail }) => detail.clone().or_else(|| error.clone()),
        Some(Outcome::Error { message, code, .. }) => Some(format!("{code} {message}")),
        _ => None,
    };
    let described = challenge.as_deref().map(|challenge| parameter(challenge, "error_description").unwrap_or(challenge).to_owned());
    described.or(body)
}

/// A quoted parameter of a challenge (RFC 9110, 11.2).
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let after = challenge.split_once(&format!("{name}=\""))?.1;
    after.split_once('"').map(|(value, _)| value)
}

fn retry_after(leg: &Leg) -> Option<String> {
    let after = leg.response.as_ref()?.head.retry_after.as_deref()?;
    Some(format!("Retry-After: {after}"))
}

fn handshake(pair: &Pair, server: Addr) -> Option<String> {
    pair.conduits.iter().filter(|conduit| conduit.peers.server == server).find_map(|conduit| match &conduit.kind {
        ConduitKind::Tls { failed: Some(why), .. } => Some(format!("the TLS handshake failed: {why}")),
        _ => None,
    })
}

fn fault(failure: Failure) -> &'static str {
    match failure {
        Failure::Malformed => "the answer is not MCP, or was cut short by the server",
        Failure::ToolError => "the tool itself reports an error",
        Failure::RpcError => "the server answered with a JSON-RPC error",
        Failure::ClientError => "the server does not accept the request",
        _ => "the server itself failed",
    }
}
