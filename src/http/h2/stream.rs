//! One stream's two messages: how far each has come, and what the next room is told of it. Knows nothing of other streams.

use crate::base::{Count, Gap, Stamp};
use crate::http::{Broken, End, Part, RequestHead, ResponseHead, Sink, Want};

use super::{Body, Cx};

/// A stream: one exchange.
pub(super) struct Stream {
    /// The exchange's number.
    pub(super) n: u32,
    pub(super) request: Message,
    pub(super) response: Message,
    /// A response's head whose status is unknown, so that it may be an interim one (1xx): what follows on the stream shows it.
    pub(super) maybe: Option<Box<(ResponseHead, Stamp, Body)>>,
    /// The request's method is CONNECT: after a 2xx its DATA is no HTTP (RFC 9113, 8.5).
    pub(super) connect: bool,
    /// The request's method is HEAD: its response has no body, whatever its fields say of one.
    pub(super) head: bool,
}

/// One message.
pub(super) struct Message {
    pub(super) phase: Phase,
    /// Bytes of it are missing, or may be.
    pub(super) lost: Option<Gap>,
    /// A hole of which the next room does not know yet: told only where reading goes on behind it.
    pub(super) hole: Option<Gap>,
    body: Option<Body>,
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
        Stream { n, request: Message::new(), response: Message::new(), maybe: None, connect: false, head: false }
    }

    pub(super) fn message(&mut self, part: Part) -> &mut Message {
        match part {
            Part::Request => &mut self.request,
            Part::Response => &mut self.response,
        }
    }

    /// The next bytes of a body.
    pub(super) fn data(&mut self, part: Part, bytes: &[u8], out: &mut Out<'_, '_>) {
        let message = self.message(part);
        let Some(body) = message.body.as_mut().filter(|_| !bytes.is_empty()) else { return };
        if let Some(gap) = message.hole.take() {
            body.hole(gap, out.at, out.cx, out.sink);
        }
        body.data(bytes, out.at, out.cx, out.sink);
    }

    /// Ends a message that is open. Missing bytes weigh more than how it seems to have ended: the true end may be among them.
    pub(super) fn end(&mut self, part: Part, end: End, out: &mut Out<'_, '_>) {
        let message = self.message(part);
        if let Some(body) = message.body.take() {
            message.phase = Phase::Ended;
            body.end(message.lost.map_or(end, End::Unseen), out.at, out.cx, out.sink);
        }
    }

    /// A request's head; `make` its body, once it is known whether it is wanted.
    pub(super) fn begin_request(
        &mut self,
        head: RequestHead,
        at: Stamp,
        make: impl FnOnce(Want, &mut Cx<'_>) -> Body,
        out: &mut Out<'_, '_>,
    ) {
        out.cx.counts.bump(Count::Requests);
        self.request.phase = Phase::Open;
        let want = out.sink.request(self.n, head, at);
        self.request.body = Some(make(want, out.cx));
    }

    /// A final response's head; `make` its body, once it is known whether it is wanted.
    pub(super) fn begin_response(
        &mut self,
        head: ResponseHead,
        at: Stamp,
        make: impl FnOnce(Want, &mut Cx<'_>) -> Body,
        out: &mut Out<'_, '_>,
    ) {
        self.maybe = None;
        let tunnel = self.connect && (200..300).contains(&head.status);
        out.cx.counts.bump(Count::Responses);
        self.response.phase = Phase::Open;
        let want = out.sink.response(self.n, head, at);
        self.response.body = Some(make(if tunnel { Want::Nothing } else { want }, out.cx));
        if tunnel && self.request.body.is_some() {
            self.request.body = Some(Body::new(self.n, Part::Request, Want::Nothing, &[], out.cx));
        }
    }

    /// Tells the head of a response that was held back because its status is unknown.
    pub(super) fn settle_maybe(&mut self, out: &mut Out<'_, '_>) {
        if let Some(held) = self.maybe.take() {
            let (head, at, body) = *held;
            let n = self.n;
            let make = |want, cx: &mut Cx<'_>| if want == Want::Body { body } else { Body::new(n, Part::Response, want, &[], cx) };
            self.begin_response(head, at, make, out);
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
        Message { phase: Phase::Awaited, lost: None, hole: None, body: None }
    }

    /// Bytes are missing that may be this message's.
    pub(super) fn lose(&mut self, gap: Gap) {
        if self.phase != Phase::Ended {
            // Several holes in a row are one to the reader; their sum is known only where each length is.
            let and = |first: Option<Gap>| match first {
                Some(first) => Gap { len: first.len.zip(gap.len).map(|(one, two)| one.saturating_add(two)), cause: first.cause },
                None => gap,
            };
            (self.lost, self.hole) = (Some(and(self.lost)), Some(and(self.hole)));
        }
    }
}
