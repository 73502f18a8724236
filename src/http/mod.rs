//! Ordered bytes of a connection come in; requests, responses and their decoded bodies go out, HTTP/1.1 and HTTP/2 alike.
//! Secrets in heads end here. Knows nothing of JSON or MCP.

mod body;
mod chunked;
mod coding;
mod connection;
mod credential;
mod fields;
mod framing;
mod h2;
mod head;
mod http1;
mod jwt;
mod lane;
mod lines;
mod memo;
mod message;
mod pairing;
mod probe;
mod redact;
mod sniff;
mod target;
#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use head::{Credential, Head, HeaderMark, Jwt, RequestHead, ResponseHead, Version};
pub use memo::Memo;

use fields::Field;
pub use redact::text as safe_text;
pub use target::{path_mark, query_marks};

use crate::base::{Counts, Gap, Keyer, Limits, Stamp};

/// What a connection borrows while it reads: the run's key, its limits, its counters, and the values of heads seen lately.
pub struct Context<'a> {
    /// Makes fingerprints.
    pub keyer: &'a Keyer,
    /// Bounds every buffer.
    pub limits: &'a Limits,
    /// Counts what happens.
    pub counts: &'a mut Counts,
    /// Spares reading again what heads say again and again; one for all connections.
    pub memo: &'a mut Memo,
}

/// A message of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What the client sent.
    Request,
    /// What the server answered.
    Response,
}

/// Whether the next room reads a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Decode it and hand it over.
    Body,
    /// Frame it and drop it: [`Sink::end`] is still called.
    Nothing,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All of it was seen, by its own framing (RFC 9112, 6.3), or by the connection's orderly end where that is the framing.
    Complete,
    /// The sender stopped before the message was whole: FIN, RST, or an HTTP/2 reset, seen.
    Broken(Broken),
    /// The witness missed bytes of it, or its end.
    Unseen(Gap),
}

/// How a sender stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// FIN by the message's sender.
    Finished,
    /// RST by either side, or RST_STREAM.
    Reset,
    /// FIN or RST by the message's receiver: it left.
    Left,
}

/// Who reads messages. `n` is the exchange's number on its connection, from 0.
///
/// For each exchange: `request`, then its `body` and `hole` calls, then `end` for the request; the same for the response.
/// A response may begin before its request has ended. A response whose request was not seen has no `request` call. Every
/// message that began gets exactly one `end`, at the latest when the connection closes. A request that gets no response
/// gets [`Sink::unanswered`] once that is certain.
pub trait Sink {
    /// A request's head is complete. `at` holds the first byte of its start line (HTTP/2: its HEADERS frame).
    fn request(&mut self, n: u32, head: RequestHead, at: Stamp) -> Want;
    /// A final (not 1xx, save the 101 that ends HTTP) response's head is complete. `at` as above.
    fn response(&mut self, n: u32, head: ResponseHead, at: Stamp) -> Want;
    /// Decoded bytes of a body: no chunk framing, no content coding. Only after [`Want::Body`].
    fn body(&mut self, n: u32, part: Part, bytes: &[u8], at: Stamp);
    /// Bytes of the body are missing here (only where reading goes on after them).
    fn hole(&mut self, n: u32, part: Part, gap: Gap, at: Stamp);
    /// Bytes are missing that may be of this message, or all of it: said at once, since its end may show long after. What is known then
    /// is said as ever.
    fn missed(&mut self, _n: u32, _part: Part, _gap: Gap, _at: Stamp) {}
    /// Whole requests may be missing that were sent after `since` and not after `at`.
    fn unseen(&mut self, _gap: Gap, _since: Stamp, _at: Stamp) {}
    /// The message is over. `at` is the packet with its last byte, or at which the end was known.
    fn end(&mut self, n: u32, part: Part, end: End, at: Stamp);
    /// There will be no response to request `n`: the connection ended (how), or later responses show it.
    fn unanswered(&mut self, n: u32, end: End, at: Stamp);
    /// The connection has left HTTP after exchange `n` (WebSocket, CONNECT).
    fn upgraded(&mut self, n: u32, at: Stamp);
}
