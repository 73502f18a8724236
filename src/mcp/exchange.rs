//! The words in which this room speaks to the next: exchanges, with what was asked and what was answered in them.

use std::sync::Arc;

use crate::base::{Addr, ExId, Fingerprint, Gap, Process, Stamp, Ts, Via};
use crate::http::{End, RequestHead, ResponseHead};
use crate::tcp::Close;

/// What the witness saw, in the order in which it came to know it.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A request was read to its end (or to where it broke off). Boxed: it is large and rare beside packets.
    Asked(Box<Exchange>),
    /// The head of its response was read.
    Answering(ExId, Box<Response>),
    /// A message of its answer was read (a JSON-RPC response in a JSON body or an SSE event; a REST list).
    Answered(ExId, Box<Answer>),
    /// Its response ended, or there will be none.
    Done(ExId, Answered),
    /// Something of its answer was missed, at this moment: until [`Seen::Done`] says so too, silence proves nothing.
    Missed(ExId, Gap),
    /// Whole requests may be missing on this connection, between its `start` and its `last`.
    Unseen(Box<Conduit>),
    /// Its answer ended (a `Done` follows at once) but may go on elsewhere. Only for [`crate::mcp::Joiner`], which keeps it.
    Resumable(Box<Resumable>),
    /// A connection that carried no readable HTTP has something to say: refused, reset, encrypted.
    Conduit(Box<Conduit>),
}

/// Who spoke with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Opened the connection and sends requests.
    pub client: Addr,
    /// Accepts them.
    pub server: Addr,
    /// Other addresses of the client's socket.
    pub client_aliases: Vec<Addr>,
    /// Other addresses of the server's socket.
    pub server_aliases: Vec<Addr>,
    /// Processes with a hand in the connection, of either side, where somebody named them.
    pub processes: Vec<Arc<Process>>,
    /// How its plaintext was come by.
    pub via: Via,
    /// When the connection was opened, where that was seen.
    pub opened: Option<Ts>,
}

impl Peers {
    /// Every address of the client's socket.
    pub fn clients(&self) -> impl Iterator<Item = Addr> + '_ {
        std::iter::once(self.client).chain(self.client_aliases.iter().copied())
    }

    /// Every address of the server's socket.
    pub fn servers(&self) -> impl Iterator<Item = Addr> + '_ {
        std::iter::once(self.server).chain(self.server_aliases.iter().copied())
    }
}

/// An HTTP request and what it asks. Its response follows in other [`Seen`]s.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Its name.
    pub id: ExId,
    /// Its connection's ends.
    pub peers: Peers,
    /// The request; `None` when only a response was seen.
    pub request: Option<Request>,
    /// What it asks.
    pub asked: Asked,
}

/// A request as it was seen.
#[derive(Clone, Debug)]
pub struct Request {
    /// First byte of the request line.
    pub start: Stamp,
    /// Last byte, or where it broke off.
    pub last: Stamp,
    /// Whether it is whole.
    pub end: End,
    /// Its head.
    pub head: RequestHead,
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct Response {
    /// First byte of the status line.
    pub start: Stamp,
    /// Its head.
    pub head: ResponseHead,
}

/// How the response to an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Whether there was one at all.
    pub any: bool,
    /// How it ended; for none, how that is known.
    pub end: End,
    /// The packet with its last byte, or at which the end was known.
    pub last: Stamp,
    /// A message in it could not be read (cut, over a limit, not JSON where JSON was due). Not where the sender stopped: `end` says so.
    pub unread: Option<Gap>,
    /// Its body is none of the media types an MCP answer may have (an HTML login page, plain text).
    pub foreign: bool,
}

/// A stream that ended before it answered, though a client may take it up again with `Last-Event-ID` (MCP 2025-03-26 and later; servers
/// that let clients poll end it on purpose, MCP 2025-11-25).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumable {
    /// Whose answer it was.
    pub id: ExId,
    /// The server's addresses.
    pub servers: Vec<Addr>,
    /// `Mcp-Session-Id` of the request, or of the response that gave it.
    pub session: Option<Fingerprint>,
    /// Id of the last event, marked as in [`RequestHead::last_event_id`].
    pub last_event: Fingerprint,
    /// What is still due: ids, and methods.
    pub open: Vec<(Option<RpcId>, Option<String>)>,
}

/// What an HTTP request asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// JSON-RPC: one message, or a batch (MCP 2025-03-26). Never empty.
    Rpc(Vec<Ask>),
    /// A REST route that lists (`GET /mcp-rest/tools/list`).
    RestList(ListKind),
    /// A REST route that calls a tool (`POST /mcp-rest/tools/call`).
    RestCall,
    /// A GET that opens an SSE stream on an MCP route.
    Stream,
    /// A DELETE that ends a session.
    EndSession,
    /// OAuth: discovery, registration, token endpoint (RFC 8414, RFC 9728, RFC 6749).
    Authorization,
    /// Could be MCP by its head (JSON POST that accepts SSE, MCP headers), but the body was not seen, or is not JSON-RPC.
    Unreadable(Gap),
    /// Nothing of MCP.
    Other,
}

/// One JSON-RPC message of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What kind of message.
    pub kind: AskKind,
    /// JSON-RPC method, at most 64 bytes; from `Mcp-Method` where the body is missing (the id is then unknown: `None`). `None` for responses.
    pub method: Option<String>,
    /// JSON-RPC id.
    pub id: Option<RpcId>,
    /// What it lists, for list methods.
    pub lists: Option<ListKind>,
    /// Tool or prompt name (`params.name`), or for resources a `~`-redacted URI; at most 256 bytes.
    pub name: Option<String>,
    /// Of `params` without `_meta`, `name` and `cursor`, independent of key order and white space: equal arguments, equal mark.
    pub arguments: Option<Fingerprint>,
    /// `params.cursor` is present: a later page.
    pub cursor: Option<Fingerprint>,
    /// Protocol version in `initialize` or in `_meta`.
    pub protocol_version: Option<String>,
    /// `clientInfo` as `name/version`; at most 128 bytes.
    pub client_info: Option<String>,
    /// Trace id of `params._meta.traceparent`.
    pub trace: Option<Fingerprint>,
    /// `params.requestId` of `notifications/cancelled`: the client wants no answer to that request any more.
    pub cancels: Option<RpcId>,
    /// `params._meta.progressToken`, or `params.requestId` of a cancellation.
    pub about: Option<Fingerprint>,
}

/// The kinds of JSON-RPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AskKind {
    /// Has a method and an id: wants an answer.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result or an error: answers a request of the server's.
    Response,
}

/// A JSON-RPC id, as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RpcId {
    /// An integer.
    Number(i64),
    /// A string, at most 64 bytes; longer ones are cut and marked with `~`.
    Text(String),
    /// `null`, or a number that is no 64-bit integer.
    Other,
}

/// What a list answer lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListKind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
}

impl ListKind {
    /// The key of the list in a result, which is also the contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            ListKind::Tools => "tools",
            ListKind::Prompts => "prompts",
            ListKind::Resources => "resources",
            ListKind::ResourceTemplates => "resourceTemplates",
        }
    }
}

/// One message of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The id it answers; `None` for REST routes, for requests and notifications from the server, and for errors that answer
    /// the HTTP request as a whole (id `null`, or an id of the server's own making on a failed status).
    pub id: Option<RpcId>,
    /// The packet with its last byte.
    pub at: Stamp,
    /// What it says.
    pub outcome: Outcome,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A JSON-RPC `result`, or a REST list.
    Result {
        /// The list in it, where it has one (present, null, or absent though the method must have one).
        list: Option<List>,
        /// `isError` of a tool call; `None` where it is missing.
        is_error: Option<bool>,
        /// The failure of an upstream that a call's text reports while it claims success (`{"error":"invalid_token"}`): a short, safe word.
        hides: Option<String>,
        /// Servers whose failure or success the body declares (`_meta["litellm.ai/server_outcomes"]`, the REST route's `error`).
        declared: Vec<Declared>,
        /// The REST route's `error` or a declared failure says that something is missing.
        declares_failure: bool,
        /// `serverInfo` as `name/version`, at most 128 bytes.
        server_info: Option<String>,
        /// `protocolVersion` of an `initialize` result.
        protocol_version: Option<String>,
        /// `ttlMs` (MCP 2026-07-28).
        ttl_ms: Option<u64>,
        /// `resultType` is `input_required` (MCP 2026-07-28).
        input_required: bool,
        /// Of the whole result, to recognise the same answer elsewhere (relays, tool results passed through). Independent of key order
        /// and white space where the result holds no list and is at most 16 KiB, else of its bytes as sent.
        digest: Fingerprint,
        /// Of each text in a call's `content`, to recognise it when it is passed on in another envelope.
        texts: Vec<Fingerprint>,
    },
    /// A JSON-RPC `error`.
    Error {
        /// Its code.
        code: i64,
        /// Its message, with anything that looks like a secret replaced by `~`; at most 200 bytes.
        message: String,
        /// Of the whole error.
        digest: Fingerprint,
    },
    /// The body of a failed HTTP response (4xx, 5xx), or the same in place of a JSON-RPC message
    /// (`200`, `data: {"error":"Session not found"}`): what it says of the reason.
    Refusal {
        /// OAuth `error` (RFC 6750, 3.1) or a word of its kind; at most 64 bytes.
        error: Option<String>,
        /// `error_description`, `detail` or `message`, redacted as above; at most 200 bytes.
        detail: Option<String>,
    },
    /// A request from the server to the client (sampling, roots, elicitation): its method.
    ServerRequest(String),
    /// A notification from the server: its method.
    Notification(String),
    /// The `endpoint` event of a legacy HTTP+SSE stream (MCP 2024-11-05): marks of its path and of its query's values.
    Endpoint {
        /// As [`RequestHead::path_mark`].
        path_mark: Fingerprint,
        /// As in [`RequestHead::query`].
        query: Vec<(String, Fingerprint)>,
    },
    /// A whole text of a success that is JSON but none of these, or not JSON at all: what was sent, not what was missed.
    Nonsense,
}

/// The entries of a list answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// What it lists.
    pub kind: ListKind,
    /// Number of entries; 0 also where `null` or absent.
    pub items: usize,
    /// It was `null`, or absent though due.
    pub null: bool,
    /// Names of the entries (`name`; URIs for resources, redacted), in order, capped by [`crate::base::Limits::list_names`].
    pub names: Vec<String>,
    /// For LiteLLM's REST route: `mcp_info.server_name` of each entry, without repeats, sorted.
    pub servers: Vec<String>,
    /// `nextCursor` is present and not empty: there are more pages.
    pub more: bool,
}

/// What an answer declares about one upstream server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The gateway's name for it.
    pub server: String,
    /// The gateway's word (`ok`, `auth_required`, `forbidden`, `timeout`, ...).
    pub status: String,
    /// `http_status`, where given.
    pub http_status: Option<u16>,
    /// It means failure.
    pub failed: bool,
}

/// A connection without readable HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conduit {
    /// Its ends: side a as client where nothing else is known.
    pub peers: Peers,
    /// Named by the connection that it is; `n` is 0.
    pub id: ExId,
    /// When it was opened.
    pub start: Stamp,
    /// Its last packet so far.
    pub last: Stamp,
    /// How it ended; `None` while it is open.
    pub close: Option<Close>,
    /// What is known of it.
    pub kind: ConduitKind,
}

/// Why a connection carries no readable HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConduitKind {
    /// It was refused, never answered, or closed before a byte was sent.
    NoData,
    /// It is TLS, and no key fits.
    Tls {
        /// Server name (SNI) that the client asked for.
        server_name: Option<String>,
        /// ALPN protocol that the server chose, else the first that the client offered.
        alpn: Option<String>,
        /// The handshake failed: the alert's or the failure's name.
        failed: Option<String>,
        /// Application data was exchanged: bytes by each side.
        bytes: [u64; 2],
        /// Time of the first application data from the server.
        first_answer: Option<Ts>,
    },
    /// Bytes that are neither HTTP nor TLS, or whose beginning was not seen.
    Unknown,
}
