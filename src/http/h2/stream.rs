//! One stream's two messages: how far each has come, and what the next room is told of it. Knows nothing of other streams.

use crate::base::{Count, Gap, Stamp};
use crate::http::{Broken, End, Part, ResponseHead, Sink, Want};

use super::Cx;
use super::body::{Body, decode_body};

/// A stream: one exchange.
#[derive(Debug)]
pub(super) struct Stream {
    /// The exchange's number.
    pub(super) n: u32,
    pub(super) request: Message,
    pub(super) response: Message,
    /// A response's head whose status is unknown, so that it may be an interim one (1xx): what follows on the stream shows it.
    pub(super) maybe: Option<Box<(ResponseHead, Stamp)>>,
    /// The request's method is CONNECT: after a 2xx its DATA is no HTTP (RFC 9113, 8.5).
    pub(super) connect: bool,
}

/// One message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) phase: Phase,
    pub(super) want: Want,
    /// Bytes of it are missing, or may be.
    pub(super) lost: Option<Gap>,
    /// A hole of which the next room does not know yet: told only where reading goes on behind it.
    pub(super) hole: Option<Gap>,
    body: Body,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its head was not seen.
    Awaited,
    /// Its head was told, its end was not.
    Open,
    /// Its end was told, or there is nothing to tell.
    Ended,
}

/// What every step needs: the shared words, the next room, and the packet at hand.
pub(super) struct Out<'a, 'k> {
    pub(super) cx: &'a mut Cx<'k>,
    pub(super) sink: &'a mut (dyn Sink + 'a),
    pub(super) at: Stamp,
}

impl Stream {
    pub(super) fn new(n: u32) -> Stream {
        Stream { n, request: Message::new(), response: Message::new(), maybe: None, connect: false }
    }

    pub(super) fn message(&mut self, part: Part) -> &mut Message {
        match part {
            Part::Request => &mut self.request,
            Part::Response => &mut self.response,
        }
    }

    /// The next bytes of a body.
    pub(super) fn data(&mut self, part: Part, bytes: &[u8], out: &mut Out<'_, '_>) {
        let n = self.n;
        let message = self.message(part);
        if message.phase != Phase::Open || message.want == Want::Nothing || bytes.is_empty() {
            return;
        }
        if let Some(gap) = message.hole.take() {
            out.sink.hole(n, part, gap, out.at);
        }
        decode_body(&mut message.body, n, part, bytes, out.at, out.sink);
    }

    /// Ends a message that is open. Missing bytes weigh more than how it seems to have ended: the true end may be among them.
    pub(super) fn end(&mut self, part: Part, end: End, out: &mut Out<'_, '_>) {
        let n = self.n;
        let message = self.message(part);
        if message.phase != Phase::Open {
            return;
        }
        message.phase = Phase::Ended;
        let end = message.lost.map_or(end, End::Unseen);
        if end != End::Complete {
            out.cx.counts.bump(Count::Incomplete);
        }
        out.sink.end(n, part, end, out.at);
    }

    /// Tells the head of a response that was held back because its status is unknown.
    pub(super) fn settle_maybe(&mut self, out: &mut Out<'_, '_>) {
        if let Some(held) = self.maybe.take() {
            let (head, at) = *held;
            self.begin_response(head, at, out);
        }
    }

    /// A final response's head.
    pub(super) fn begin_response(&mut self, head: ResponseHead, at: Stamp, out: &mut Out<'_, '_>) {
        if self.response.phase != Phase::Awaited {
            return;
        }
        self.maybe = None;
        let tunnel = self.connect && (200..300).contains(&head.status);
        out.cx.counts.bump(Count::Responses);
        self.response.phase = Phase::Open;
        self.response.want = out.sink.response(self.n, head, at);
        if tunnel {
            self.request.want = Want::Nothing;
            self.response.want = Want::Nothing;
        }
    }

    /// The response is over, in whatever state it is; with none, the request stays unanswered.
    pub(super) fn end_response(&mut self, end: End, out: &mut Out<'_, '_>) {
        self.settle_maybe(out);
        if self.response.phase == Phase::Awaited {
            self.response.phase = Phase::Ended;
            if self.request.phase != Phase::Awaited {
                out.sink.unanswered(self.n, self.response.lost.map_or(end, End::Unseen), out.at);
            }
        }
        self.end(Part::Response, end, out);
    }

    /// Both messages are over, in this order.
    pub(super) fn end_both(&mut self, request: End, response: End, out: &mut Out<'_, '_>) {
        self.end(Part::Request, request, out);
        self.end_response(response, out);
    }

    /// RST_STREAM: the sender's own message broke off, the other's lost its reader.
    pub(super) fn reset(&mut self, by: Part, out: &mut Out<'_, '_>) {
        let (own, other) = (End::Broken(Broken::Reset), End::Broken(Broken::Left));
        match by {
            Part::Request => self.end_both(own, other, out),
            Part::Response => self.end_both(other, own, out),
        }
    }
}

impl Message {
    fn new() -> Message {
        Message { phase: Phase::Awaited, want: Want::Nothing, lost: None, hole: None, body: Body::default() }
    }

    /// Bytes are missing that may be this message's.
    pub(super) fn lose(&mut self, gap: Gap) {
        if self.phase != Phase::Ended {
            self.lost.get_or_insert(gap);
            // Several holes in a row are one to the reader; their sum is known only where each length is.
            self.hole = Some(match self.hole {
                Some(first) => Gap { len: first.len.zip(gap.len).map(|(one, two)| one.saturating_add(two)), cause: first.cause },
                None => gap,
            });
        }
    }
}
