//! Ordered bytes of an HTTP/2 connection come in (RFC 9113), each stream goes out as an exchange. Frames, HPACK (RFC 7541), what is
//! left of them where bytes are missing; refuses to know flow control and priorities.
//!
//! What was not seen stays unknown and is never guessed: a request whose `:method` or `:path` is unknown has them empty, a response
//! whose `:status` is unknown has status 0, both with [`crate::http::Head::partial`] set.

mod frame;
mod hpack;
mod leftover;
mod message;
mod resync;
mod stream;
mod streams;
mod wire;

#[cfg(test)]
use crate::base::Cause;
use crate::base::{Dir, Gap, Limits, Stamp};
use crate::http::{Part, Sink};
use crate::tcp::Close;

use super::Context as Cx;
use super::body::Body;
use super::fields::{Field, request_head_with, response_head};
use stream::Out;
use wire::{Direction, Shared};

/// An HTTP/2 connection. An exchange's number follows the order in which its stream was first seen, which is that of the
/// requests' HEADERS frames. Holds fields as they were sent, credentials too, and so cannot be shown.
pub(crate) struct Connection {
    client: Direction,
    server: Direction,
    shared: Shared,
}

impl Connection {
    /// Seen from its beginning: the client's bytes begin with the preface, the server's with a SETTINGS frame.
    ///
    /// Where the capture may have begun later, say so by a [`Connection::gap`] of [`crate::base::Cause::Before`] in each direction before
    /// its first bytes ([`Connection::mid_stream`] is short for that): if they do begin so, nothing is missing; else where frames begin
    /// and what HPACK's tables hold is unknown.
    pub(crate) fn prior_knowledge(limits: &Limits) -> Connection {
        Connection {
            client: Direction::new(Part::Request, true, limits),
            server: Direction::new(Part::Response, false, limits),
            shared: Shared::default(),
        }
    }

    /// After `101 Switching Protocols` to `h2c` (RFC 7540, 3.2): stream 1 is exchange `n`, whose request was told whole as HTTP/1.1,
    /// was a HEAD if `head` says so (`None`: it was not seen), and whose response has not begun; later streams are numbered from `next`. Both sides' bytes
    /// behind the HTTP/1.1 messages belong here: the client's begin with the preface.
    pub(crate) fn upgraded(n: u32, head: Option<bool>, next: u32, limits: &Limits) -> Connection {
        let mut connection = Connection::prior_knowledge(limits);
        connection.shared.streams.upgraded(n, head, next);
        connection
    }

    /// Perhaps already under way when the capture began.
    #[cfg(test)]
    pub(crate) fn mid_stream(limits: &Limits) -> Connection {
        let mut connection = Connection::prior_knowledge(limits);
        let Connection { client, server, shared } = &mut connection;
        for side in [client, server] {
            side.begin_late(Gap { len: None, cause: Cause::Before }, shared);
        }
        connection
    }

    /// The next bytes of one direction.
    pub(crate) fn data(&mut self, from_client: bool, bytes: &[u8], at: Stamp, cx: &mut Cx<'_>, sink: &mut dyn Sink) {
        let (own, peer, shared) = self.sides(from_client);
        own.data(bytes, peer, shared, &mut Out { cx, sink, at });
    }

    /// Bytes of one direction are missing.
    pub(crate) fn gap(&mut self, from_client: bool, gap: Gap, at: Stamp, cx: &mut Cx<'_>, sink: &mut dyn Sink) {
        let (own, peer, shared) = self.sides(from_client);
        own.gap(gap, peer, shared, &mut Out { cx, sink, at });
    }

    /// One direction has ended in order.
    pub(crate) fn finished(&mut self, from_client: bool, at: Stamp, cx: &mut Cx<'_>, sink: &mut dyn Sink) {
        let (own, peer, shared) = self.sides(from_client);
        let out = &mut Out { cx, sink, at };
        own.flush(peer, shared, out);
        shared.streams.finished(if from_client { Part::Request } else { Part::Response }, out);
    }

    /// The connection is over: every message that is still open ends here. `client` is the direction in which the client sends.
    pub(crate) fn closed(&mut self, how: Close, client: Dir, at: Stamp, cx: &mut Cx<'_>, sink: &mut dyn Sink) {
        let out = &mut Out { cx, sink, at };
        self.client.flush(&mut self.server, &mut self.shared, out);
        self.server.flush(&mut self.client, &mut self.shared, out);
        self.shared.streams.closed(how, client, out);
    }

    fn sides(&mut self, from_client: bool) -> (&mut Direction, &mut Direction, &mut Shared) {
        match from_client {
            true => (&mut self.client, &mut self.server, &mut self.shared),
            false => (&mut self.server, &mut self.client, &mut self.shared),
        }
    }
}

#[cfg(test)]
mod tests;
