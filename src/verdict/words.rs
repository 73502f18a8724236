//! The contract's words.

use serde::Serialize;

use super::FindingKey;
use crate::base::{Addr, Ts};
use crate::correlate::Pair;

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum $name { $($(#[doc = $vdoc])+ #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// All of them, in the contract's order.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The contract's word.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// What it means, in one sentence.
            pub fn doc(self) -> &'static str {
                match self { $($name::$variant => concat!($($vdoc),+),)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What a pair says about the gateway.
    Verdict {
        /// An upstream failed, nothing of the answer came from any other, and the client was told of success.
        Swallowed "swallowed",
        /// Some upstreams failed, some succeeded, and the client got a list that lacks the failed ones' share.
        Partial "partial",
        /// An upstream failed or never answered, and the client never got a complete answer.
        Stalled "stalled",
        /// An upstream failed and the client was told so.
        Propagated "propagated",
        /// No upstream failed: the gateway itself refused.
        Rejected "rejected",
        /// All upstreams succeeded and the client was told so.
        Healthy "healthy",
        /// All upstreams answered with empty lists, and so did the gateway: true, nothing to report.
        Empty "empty",
        /// The client got an empty list that nothing seen upstream explains.
        Unexplained "unexplained",
        /// Nothing to judge: a notification, a stream, the end of a session, a ping.
        Background "background",
        /// Too little was seen to say.
        Unresolved "unresolved",
    }
}

impl Verdict {
    /// Flagged: the gateway hid a failure.
    pub fn flagged(self) -> bool {
        matches!(self, Verdict::Swallowed | Verdict::Partial | Verdict::Stalled)
    }
}

words! {
    /// How an upstream failed. When several did, the first of this order is told.
    Failure {
        /// 401.
        Unauthorized "unauthorized",
        /// 403.
        Forbidden "forbidden",
        /// 404 or 405.
        NotFound "not_found",
        /// 429.
        RateLimited "rate_limited",
        /// Any other 4xx.
        ClientError "client_error",
        /// 5xx.
        ServerError "server_error",
        /// No answer before the client was answered or left.
        Timeout "timeout",
        /// Nobody listens there.
        Refused "refused",
        /// The connection was broken off.
        Reset "reset",
        /// The TLS handshake failed.
        Tls "tls",
        /// A JSON-RPC error over HTTP 200.
        RpcError "rpc_error",
        /// A tool's own error (`isError: true`).
        ToolError "tool_error",
        /// An answer that is not MCP: HTML, cut short by its sender, no JSON.
        Malformed "malformed",
    }
}

words! {
    /// Why a pair is `unresolved`.
    Reason {
        /// Bytes of the pair are missing from the capture.
        Missing "missing",
        /// An upstream connection is encrypted and no key was given.
        Encrypted "encrypted",
        /// Several pairings are possible, and they differ in what they say.
        Ambiguous "ambiguous",
        /// The capture began or ended in the middle of it.
        Cut "cut",
        /// The client left before the answer, and nothing had failed by then.
        ClientLeft "client_left",
        /// A limit of ours was reached.
        Limit "limit",
    }
}

words! {
    /// Why the upstream refused, as far as it can be told.
    CauseKind {
        /// The token's time is over.
        TokenExpired "token_expired",
        /// The token worked before and does not any more.
        TokenRevoked "token_revoked",
        /// The token's time has not come.
        TokenNotYetValid "token_not_yet_valid",
        /// The client sent a credential, the gateway did not pass it on.
        NotForwarded "not_forwarded",
        /// The gateway sent another credential than the client's.
        Replaced "replaced",
        /// Nobody sent a credential.
        Missing "credential_missing",
        /// The token is for somebody else.
        WrongAudience "wrong_audience",
        /// The token does not reach so far.
        InsufficientScope "insufficient_scope",
        /// The token is not accepted, and nothing tells why.
        InvalidToken "invalid_token",
        /// The gateway could not get a token of its own.
        TokenEndpoint "token_endpoint",
        /// A failure that went before is repeated without asking upstream.
        EarlierFailure "earlier_failure",
        /// The session is not known upstream (any more).
        SessionLost "session_lost",
        /// The server cannot be reached.
        Unreachable "unreachable",
        /// The server did not answer in time.
        Slow "slow",
        /// The server itself failed.
        ServerFault "server_fault",
        /// The server wants fewer requests.
        RateLimit "rate_limit",
        /// Nothing tells.
        Unknown "unknown",
    }
}

/// Why, with the words that say so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The kind.
    pub kind: CauseKind,
    /// What shows it, in one sentence without secrets.
    pub detail: String,
}

/// A pair with its verdict.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Number in the run, from 1, in order of output.
    pub number: u64,
    /// What it is about.
    pub pair: Pair,
    /// The verdict.
    pub verdict: Verdict,
    /// Stable id of the rule that decided.
    pub rule: &'static str,
    /// How upstream failed; with swallowed, partial, stalled, propagated.
    pub failure: Option<Failure>,
    /// The upstream that failed first in the order of [`Failure`], then the earliest.
    pub server: Option<Addr>,
    /// Every upstream that failed, in address order.
    pub servers: Vec<Addr>,
    /// The body names the failed servers.
    pub declared: bool,
    /// The failure was told inside an HTTP 200 (JSON-RPC error, `isError: true`); with propagated and rejected.
    pub in_band: bool,
    /// Probability that the verdict is right, 0 to 1.
    pub confidence: f64,
    /// Why `unresolved`.
    pub because: Option<Reason>,
    /// What `because` means here, in one sentence.
    pub because_detail: Option<String>,
    /// Ids of rules that noticed something without changing the verdict.
    pub notes: Vec<&'static str>,
    /// Why upstream refused.
    pub cause: Option<Cause>,
    /// What to do next; empty where there is nothing to do.
    pub advice: String,
    /// Number of the entries in the downstream list, where the answer is one.
    pub items: Option<usize>,
    /// Where the pairing is ambiguous: the finding that it belongs to if it is flagged at all.
    pub may_be: Option<FindingKey>,
}

/// Equal flagged pairs, grouped for a person.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Number in the run, from 1, in order of first occurrence.
    pub number: u64,
    /// The verdict that its pairs share.
    pub verdict: Verdict,
    /// The rule that they share.
    pub rule: &'static str,
    /// How upstream failed.
    pub failure: Option<Failure>,
    /// Why.
    pub cause: Option<CauseKind>,
    /// The gateway's route, safe to show.
    pub route: String,
    /// The failed upstream.
    pub server: Option<Addr>,
    /// Every failed upstream of its pairs, in address order.
    pub servers: Vec<Addr>,
    /// Start of its first pair.
    pub first: Ts,
    /// Start of its last pair.
    pub last: Ts,
    /// When the route was first healthy again after `last`.
    pub recovered: Option<Ts>,
    /// Pairs that carry the verdict themselves.
    pub count: u64,
    /// Fewest pairs that it holds under any feasible pairing.
    pub at_least: u64,
    /// Most pairs that it can hold under any feasible pairing.
    pub at_most: u64,
    /// Numbers of its pairs, ascending.
    pub pairs: Vec<u64>,
    /// Numbers of unresolved pairs that may belong to it, ascending.
    pub candidates: Vec<u64>,
    /// Distinct client addresses (without port).
    pub clients: u64,
    /// Distinct client credentials.
    pub tokens: u64,
    /// All its pairs declare the failure.
    pub declared: bool,
    /// What to do next.
    pub advice: String,
}
