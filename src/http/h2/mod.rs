//! Bytes of an HTTP/2 connection come in, messages go out (RFC 9113). Not read yet: everything is passed over.

use super::{Context, Sink};
use crate::base::{Dir, Gap, Stamp};
use crate::tcp::Close;

/// An HTTP/2 connection.
pub(super) struct Connection {
    _next: u32,
}

impl Connection {
    /// From its beginning, or from anywhere in it (then the first call says what is missing). `next` numbers its first exchange.
    pub(super) fn new(next: u32) -> Connection {
        Connection { _next: next }
    }

    /// After `101 Switching Protocols`: stream 1 is the answer to HTTP/1.1 request `n` (RFC 7540, 3.2), which `head` says was HEAD.
    pub(super) fn upgraded(_n: u32, _head: bool, next: u32) -> Connection {
        Connection { _next: next }
    }

    /// The next bytes of one direction.
    pub(super) fn data(&mut self, _from_client: bool, _bytes: &[u8], _at: Stamp, _cx: &mut Context<'_>, _sink: &mut dyn Sink) {}

    /// A hole in one direction.
    pub(super) fn gap(&mut self, _from_client: bool, _gap: Gap, _at: Stamp, _cx: &mut Context<'_>, _sink: &mut dyn Sink) {}

    /// FIN of one direction.
    pub(super) fn finished(&mut self, _from_client: bool, _at: Stamp, _cx: &mut Context<'_>, _sink: &mut dyn Sink) {}

    /// The end. `client` is the direction in which the client sends: it tells whose RST a `Close::Reset` is.
    pub(super) fn closed(&mut self, _how: Close, _client: Dir, _at: Stamp, _cx: &mut Context<'_>, _sink: &mut dyn Sink) {}
}
