//! Bytes of a message's body come in as DATA frames carry them, decoded bytes go out to the next room.

use crate::base::Stamp;
use crate::http::{Part, Sink};

/// Where a body's content coding stands. The shared decoder's state (`http::coding`) belongs here, made when the head is known.
#[derive(Debug, Default)]
pub(super) struct Body {}

/// The one place through which every body byte passes. Plug the content codings in here: feed `bytes` to the decoder in `body`
/// and hand each decoded piece to the sink.
pub(super) fn decode_body(_body: &mut Body, n: u32, part: Part, bytes: &[u8], at: Stamp, sink: &mut dyn Sink) {
    sink.body(n, part, bytes, at);
}
