//! The family of masked failures: every known way in which a gateway hides one, and what here is about it. Documents it, and is held
//! against the rules and against the cases in `tests/family/`.

/// A way in which a gateway hides a failure, or spoils an answer.
pub struct Member {
    /// Its number.
    pub number: &'static str,
    /// What upstream did, and what the client got.
    pub what: &'static str,
    /// The rule or the note that tells it; empty where none can.
    pub told: &'static str,
    /// A case that shows it, in `tests/family/`.
    pub case: &'static str,
    /// A case that looks like it and stays quiet; empty where `what` leaves none.
    pub quiet: &'static str,
}

const fn member(number: &'static str, what: &'static str, told: &'static str, case: &'static str, quiet: &'static str) -> Member {
    Member { number, what, told, case, quiet }
}

/// All members.
pub static FAMILY: &[Member] = &[
    member("GW101", "401 → empty list", "swallowed-list", "401 at initialize, an empty list", "401, a new token, and then it works"),
    member("GW102", "403 → empty list", "swallowed-list", "403", "a policy that shows nothing, and asks nobody"),
    member("GW102", "403 → no answer", "stalled-answer", "upstream refused, the client waits in vain and leaves", ""),
    member(
        "GW103",
        "401 or 403 of one of many → the others' entries",
        "partial-list",
        "one of two refuses",
        "one bad server fails the whole request",
    ),
    member("GW103", "the same, declared in the body", "partial-list", "one of two refuses, and the body says so", ""),
    member("GW111", "5xx → empty list", "swallowed-list", "503", "a call that fails at first and then works"),
    member("GW112", "429 → empty list", "swallowed-list", "429", ""),
    member("GW121", "refused → empty list", "swallowed-list", "refused", ""),
    member("GW121", "reset → empty list", "swallowed-list", "reset before an answer", ""),
    member(
        "GW122",
        "no answer → empty list",
        "swallowed-list",
        "no answer before the client was answered",
        "a full upstream answer that is slow",
    ),
    member(
        "GW122",
        "no answer → no answer",
        "stalled-answer",
        "upstream never answers, the client leaves after long",
        "the client leaves at once, the gateway gives up upstream",
    ),
    member(
        "GW123",
        "cut short by the server → empty list",
        "swallowed-list",
        "cut short by the server",
        "an upstream answer that the capture lost",
    ),
    member(
        "GW131",
        "404, the session is gone → empty list",
        "swallowed-list",
        "404 for a session that is gone",
        "404, a new session, and then it works",
    ),
    member("GW131", "200 with {\"error\":\"Session not found\"} → empty list", "swallowed-list", "a lost session dressed as 200", ""),
    member("GW132", "unknown tool → success", "swallowed-call", "a JSON-RPC error becomes a success", "the gateway itself refuses"),
    member("GW141", "JSON-RPC error → empty list", "swallowed-list", "a JSON-RPC error", "a server without prompts"),
    member("GW142", "a 200 that is not MCP → empty list", "swallowed-list", "a login page", ""),
    member(
        "GW143",
        "a redirect that leads nowhere → empty list",
        "swallowed-list",
        "a redirect to a login that nobody followed",
        "a redirect to another server that is followed",
    ),
    member(
        "GW144",
        "400, never initialized → empty list",
        "swallowed-list",
        "400: the session was never initialized",
        "a version probe that is refused, then initialize",
    ),
    member(
        "GW151",
        "a call refused → isError:true",
        "propagated",
        "a refused call that is told as one",
        "a tool's own error that is passed on",
    ),
    member(
        "GW152",
        "a call refused → isError:false or missing",
        "swallowed-call",
        "a refused call is answered as a success without content",
        "a tool that speaks of errors",
    ),
    member("GW153", "isError:true → dropped on the way", "swallowed-call", "isError is dropped on the way", ""),
    member(
        "GW154",
        "upstream failed → a stream without an answer",
        "stalled-answer",
        "nothing is answered for as long as --stall-after says",
        "the client takes its call back",
    ),
    member("GW161", "further pages → only the first", "pagination-lost", "the first page for the whole list", "pages that are merged"),
    member("GW162", "a full list → fewer entries", "list-shrank", "a list that shrank", "two servers that have the same name"),
    member("GW163", "401 → a null list", "swallowed-list", "a null list", ""),
    member(
        "GW171",
        "not asked → the earlier failure replayed",
        "replayed-failure",
        "a failure that is replayed",
        "an empty list that is replayed after a good answer",
    ),
    member("GW172", "recovered → still replayed without asking", "replayed-failure", "a failure that is replayed", ""),
    member("GW173", "one server's list → another's", "list-foreign", "another server's list", "a tool of the gateway's own"),
    member("GW181", "never asked → empty list", "unexplained-empty", "a policy that shows nothing, and asks nobody", ""),
    member(
        "GW182",
        "asked without the client's credential",
        "credential-dropped",
        "a credential that is dropped",
        "it came in a header of its own",
    ),
    member("GW182", "asked with another credential", "credential-replaced", "a credential that is replaced", ""),
    member("GW183", "one bad server → everything fails", "propagated", "one bad server fails the whole request", ""),
    member("GW184", "denied → \"tool not found\" in a 200", "rejected", "the gateway itself refuses", ""),
    member("GW191", "any failure → metrics and health say success", "", "", ""),
    member("GW192", "401 → 401 without its challenge", "challenge-dropped", "the challenge is dropped", "a failure that is told"),
];
