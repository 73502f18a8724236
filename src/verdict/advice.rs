//! What to do next, in words an SRE can act on.

use super::{CauseKind, Failure, Reason, Verdict};

/// For a flagged pair or a finding.
pub(super) fn advice(verdict: Verdict, failure: Option<Failure>, cause: Option<CauseKind>) -> String {
    let told = verdict == Verdict::Unexplained && cause.is_some();
    if !verdict.flagged() && !told {
        return String::new();
    }
    let mend = match (cause, failure) {
        (Some(CauseKind::TokenExpired), _) => "Have the client sign in again or refresh its token: the one it sends has expired.",
        (Some(CauseKind::TokenRevoked), _) => {
            "The token worked before: look for a revocation or a rotated signing key, then issue a new one."
        }
        (Some(CauseKind::TokenNotYetValid), _) => "The token is not valid yet: compare the clocks of issuer and upstream.",
        (Some(CauseKind::NotForwarded), _) => {
            "The gateway does not pass the client's credential on: forward the Authorization header on this route (LiteLLM: extra_headers)."
        }
        (Some(CauseKind::Replaced), _) => "The gateway sends a credential of its own: renew the one configured for this server.",
        (Some(CauseKind::Missing), _) => "Nobody sends a credential: configure one for this server, or have the client send its own.",
        (Some(CauseKind::WrongAudience), _) => "The token was issued for another audience: request one for this server (RFC 8707).",
        (Some(CauseKind::InsufficientScope), _) => "The token's scopes do not reach so far: grant the scope the server names.",
        (Some(CauseKind::InvalidToken), _) => {
            "The upstream does not accept the token: check issuer, signing key and audience, then issue a new one."
        }
        (Some(CauseKind::TokenEndpoint), _) => "The gateway gets no token of its own: check its client credentials at the token endpoint.",
        (Some(CauseKind::EarlierFailure), _) => {
            "The gateway keeps a failure as if it were an answer: look at the earlier pair, and have failures cached shortly or not at all."
        }
        (Some(CauseKind::SessionLost), _) => "The upstream has forgotten the session: the gateway should initialize anew on 404.",
        (Some(CauseKind::RateLimit), _) => "The upstream wants fewer requests: honour Retry-After, or raise its limit.",
        (_, Some(Failure::Refused)) => "Nobody listens at the upstream's address: is the server up, is the address right?",
        (_, Some(Failure::Reset)) => "The upstream breaks the connection off: look at its log and at what stands between.",
        (_, Some(Failure::Tls)) => "The TLS handshake with the upstream fails: check certificate, trust store and cipher suites.",
        (_, Some(Failure::Timeout)) => "The upstream does not answer in time: look at its load and at the gateway's time-out.",
        (_, Some(Failure::ServerError)) => "The upstream itself fails: look at its log at the times given.",
        (_, Some(Failure::Forbidden)) => "The upstream forbids this: check what the credential may do there.",
        (_, Some(Failure::NotFound)) => "The upstream knows no such path: check the URL configured for this server.",
        _ => "Look at the upstream's own answer at the frames given.",
    };
    let gateway = match verdict {
        Verdict::Unexplained => "",
        Verdict::Stalled => " The gateway leaves its client waiting instead of passing the failure on: report it to its maintainers.",
        Verdict::Partial => " The gateway shows what is left as if it were all: clients can't know that a server is missing.",
        _ => " The gateway hides the refusal as a success, so no graph of its status codes will show it.",
    };
    format!("{mend}{gateway}")
}

/// For a pair that can't be judged.
pub(super) fn remedy(reason: Reason) -> &'static str {
    match reason {
        Reason::Encrypted => {
            "The upstream is encrypted: give its keys with --keylog (start the gateway with SSLKEYLOGFILE=<file>), or capture at its egress proxy."
        }
        Reason::Missing => "Bytes are missing from the capture: record with a larger buffer (tcpdump -B 65536) and whole packets (-s 0).",
        Reason::Cut => "The capture began or ended in the middle of it: record longer.",
        Reason::Ambiguous => {
            "Several pairings are possible and they differ: a header that is unique to each request (traceparent) would tell."
        }
        Reason::ClientLeft => "The client left before anything had failed: look at its time-out.",
        Reason::Limit => "A limit was reached: the summary names it.",
    }
}

/// What `because` means, in one sentence.
pub(super) fn detail(reason: Reason) -> &'static str {
    match reason {
        Reason::Encrypted => "an upstream connection is encrypted and no key fits",
        Reason::Missing => "bytes that could change the verdict are missing from the capture",
        Reason::Cut => "the capture began or ended in the middle of it",
        Reason::Ambiguous => "several pairings are possible, and they differ in what they say",
        Reason::ClientLeft => "the client left before the answer, and nothing had failed by then",
        Reason::Limit => "a limit of the witness was reached",
    }
}
