//! What frames say about streams comes in; exchanges go out to the next room. Knows nothing of bytes on the wire.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{Cause, Count, Dir, Gap};
use crate::http::{Broken, End, Part, Want};
use crate::tcp::Close;

use super::leftover::Leftovers;
use super::message::{Head, empty_request, empty_response};
use super::stream::{Out, Phase, Stream};
use super::{Body, Cx};

/// Every stream of a connection that is not over.
#[derive(Default)]
pub(super) struct Streams {
    open: BTreeMap<u32, Stream>,
    /// Streams that ended before both messages did: frames for them may still be on their way and mean nothing.
    gone: VecDeque<u32>,
    /// Streams whose answer is whole and whose request may still be on its way, though the server does not want it.
    leftovers: Leftovers,
    /// The next exchange's number.
    next: u32,
    /// The highest stream that a client's HEADERS opened.
    highest: u32,
    /// Last stream that the server still answers, and how the others end (RFC 9113, 6.8).
    goaway: Option<(u32, Broken)>,
    /// For each direction: frames were lost, so streams may have come and gone unseen.
    lost: [Option<Gap>; 2],
    /// The server's frames cannot be read at present.
    searching: bool,
    /// The client's direction has ended.
    client_finished: bool,
}

impl Streams {
    /// Stream 1 is the request `n` that asked for the upgrade; it was told already, whole, unless it was not seen (`head` is `None`).
    pub(super) fn upgraded(&mut self, n: u32, head: Option<bool>, next: u32) {
        let mut first = Stream::new(n);
        if let Some(head) = head {
            first.request.phase = Phase::Ended;
            first.head = head;
        }
        self.open.insert(1, first);
        (self.highest, self.next) = (1, next);
    }

    pub(super) fn is_open(&self, id: u32) -> bool {
        self.open.contains_key(&id)
    }

    pub(super) fn highest(&self) -> u32 {
        self.highest.max(self.open.last_key_value().map_or(0, |(id, _)| *id))
    }

    /// A header block was decoded.
    pub(super) fn head(&mut self, id: u32, part: Part, head: &Head<'_>, out: &mut Out<'_, '_>) {
        while let Some(late) = self.leftovers.due(out.at) {
            self.abandon(late, out);
        }
        match part {
            Part::Request => self.client_head(id, head, out),
            Part::Response => self.server_head(id, head, out),
        }
        self.settle(id);
    }

    /// A request, or trailers of one.
    fn client_head(&mut self, id: u32, head: &Head<'_>, out: &mut Out<'_, '_>) {
        // A client opens odd streams, each higher than the last (RFC 9113, 5.1.1): anything else belongs to a stream that is over.
        let awaited = self.open.get(&id).is_none_or(|stream| stream.request.phase == Phase::Awaited);
        if awaited && (id.is_multiple_of(2) || (id <= self.highest && !self.open.contains_key(&id))) {
            return;
        }
        let missed = self.lost_of(Part::Request);
        let trailers = !awaited || (head.is_trailers() && missed.is_some());
        if !trailers {
            self.enter(id, Part::Request, out);
            self.highest = self.highest.max(id);
            let Some(stream) = self.open.get_mut(&id) else { return };
            (stream.connect, stream.head) = (head.is_connect(), head.is_head());
            // Whatever was lost before this head is not the request's.
            (stream.request.lost, stream.request.hole) = (head.torn, None);
            let (n, fields) = (stream.n, if head.end_stream { &[][..] } else { &head.fields });
            let make = |want, cx: &mut Cx<'_>| Body::new(n, Part::Request, want, fields, cx);
            stream.begin_request(head.request(out.cx), head.began, make, out);
            // Its answer was told by itself, while nobody could read the request: not that there was none.
            if let (true, Some(gap)) = (self.gone.contains(&id), missed) {
                stream.end_response(End::Unseen(gap), out);
            }
        } else if let (Some(gap), Some(stream)) = (head.torn, self.open.get_mut(&id)) {
            stream.request.lose(gap);
        }
        if head.end_stream {
            self.end_stream(id, Part::Request, out);
        }
        if self.goaway.is_some_and(|(last, _)| id > last) {
            self.refuse(id, out);
        }
    }

    /// A response, interim or final, or trailers of one.
    fn server_head(&mut self, id: u32, head: &Head<'_>, out: &mut Out<'_, '_>) {
        if !self.may_answer(id) {
            return;
        }
        self.enter(id, Part::Response, out);
        let Some(stream) = self.open.get_mut(&id) else { return };
        if stream.response.phase == Phase::Awaited {
            match head.status {
                Some(100..=199) if !head.end_stream => {
                    // The one held back was interim too, or this could not follow it.
                    stream.maybe = None;
                    return;
                }
                None if head.is_trailers() => {
                    // The response's own head was missed, or held back.
                    self.ensure_head(id, Part::Response, out);
                }
                status => {
                    // What was lost before this head is not the response's, unless this may be the trailers of one that was missed.
                    if head.torn.is_some() || status.is_some() || !head.end_stream {
                        (stream.response.lost, stream.response.hole) = (head.torn, None);
                    }
                    let told = head.response(out.cx);
                    // Where there can be no body, its coding is none (RFC 9110, 6.4.1).
                    let bare = head.end_stream || stream.head || matches!(status, Some(204 | 304));
                    let (n, fields) = (stream.n, if bare { &[][..] } else { &head.fields });
                    let make = |want, cx: &mut Cx<'_>| Body::new(n, Part::Response, want, fields, cx);
                    if status.is_some() || head.end_stream {
                        stream.begin_response(told, head.began, make, out);
                    } else if stream.maybe.is_none() {
                        stream.maybe = Some(Box::new((told, head.began, make(Want::Body, out.cx))));
                    }
                }
            }
        } else if let Some(gap) = head.torn {
            stream.response.lose(gap);
        }
        if head.end_stream {
            self.end_stream(id, Part::Response, out);
        }
    }

    /// The next bytes of a body.
    pub(super) fn data(&mut self, id: u32, part: Part, bytes: &[u8], out: &mut Out<'_, '_>) {
        self.ensure_head(id, part, out);
        if let Some(stream) = self.open.get_mut(&id) {
            stream.data(part, bytes, out);
        }
    }

    /// Bytes of a body are missing.
    pub(super) fn hole(&mut self, id: u32, part: Part, gap: Gap, out: &mut Out<'_, '_>) {
        self.ensure_head(id, part, out);
        if let Some(stream) = self.open.get_mut(&id) {
            stream.message(part).lose(gap);
            if part == Part::Response {
                out.sink.missed(stream.n, part, gap, out.at);
            }
        }
    }

    /// END_STREAM.
    pub(super) fn end_stream(&mut self, id: u32, part: Part, out: &mut Out<'_, '_>) {
        self.ensure_head(id, part, out);
        if let Some(stream) = self.open.get_mut(&id) {
            stream.end(part, End::Complete, out);
        }
        self.settle(id);
    }

    /// RST_STREAM.
    pub(super) fn reset(&mut self, id: u32, by: Part, out: &mut Out<'_, '_>) {
        let answered = |stream: &Stream| stream.response.phase == Phase::Ended && stream.request.phase == Phase::Open;
        if by == Part::Response && self.open.get(&id).is_some_and(answered) {
            if let Some(oldest) = self.leftovers.push(id, out.at) {
                self.abandon(oldest, out);
            }
            return;
        }
        if let Some(mut stream) = self.open.remove(&id) {
            stream.reset(by, out);
            self.leave(id);
        }
    }

    /// Nobody sends the rest of a request that the server has answered and reset.
    fn abandon(&mut self, id: u32, out: &mut Out<'_, '_>) {
        if let Some(mut stream) = self.open.remove(&id) {
            stream.end(Part::Request, End::Broken(Broken::Left), out);
            self.leave(id);
        }
    }

    /// GOAWAY from the server: what lies above `last` will not be answered.
    pub(super) fn goaway(&mut self, last: u32, error: u32, out: &mut Out<'_, '_>) {
        let how = if error == 0 { Broken::Finished } else { Broken::Reset };
        let last = self.goaway.map_or(last, |(before, _)| before.min(last));
        self.goaway = Some((last, how));
        let above: Vec<u32> = self.open.range(last.saturating_add(1)..).map(|(id, _)| *id).collect();
        for id in above {
            self.refuse(id, out);
        }
    }

    fn refuse(&mut self, id: u32, out: &mut Out<'_, '_>) {
        let Some((_, how)) = self.goaway else { return };
        let refused = self.open.get(&id).is_some_and(|stream| stream.response.phase == Phase::Awaited && stream.maybe.is_none());
        if refused && let Some(mut stream) = self.open.remove(&id) {
            stream.end_both(End::Broken(Broken::Left), End::Broken(how), out);
            self.leave(id);
        }
    }

    /// Frames of one direction are missing: any message in it may lack bytes.
    pub(super) fn lose(&mut self, part: Part, gap: Gap) {
        if let Some(lost) = self.lost.get_mut(part as usize) {
            *lost = Some(gap);
        }
        self.searching |= part == Part::Response;
        for stream in self.open.values_mut() {
            stream.message(part).lose(gap);
        }
    }

    /// Who waits for an answer that may be among what is missing learns so now: the end of its stream may never be seen.
    pub(super) fn tell_lost(&self, out: &mut Out<'_, '_>) {
        for stream in self.open.values().filter(|stream| stream.response.phase != Phase::Ended) {
            if let Some(gap) = stream.response.lost {
                out.sink.missed(stream.n, Part::Response, gap, out.at);
            }
        }
    }

    /// Nothing of this direction is missing after all.
    pub(super) fn whole(&mut self, part: Part) {
        self.found(part);
        if let Some(lost) = self.lost.get_mut(part as usize) {
            *lost = None;
        }
        for message in self.open.values_mut().map(|stream| stream.message(part)).filter(|message| message.phase == Phase::Awaited) {
            (message.lost, message.hole) = (None, None);
        }
    }

    /// Frames of this direction can be read again.
    pub(super) fn found(&mut self, part: Part) {
        self.searching &= part != Part::Response;
    }

    /// One direction has ended in order.
    pub(super) fn finished(&mut self, part: Part, out: &mut Out<'_, '_>) {
        let how = End::Broken(if self.client_finished && part == Part::Response { Broken::Left } else { Broken::Finished });
        for stream in self.open.values_mut() {
            match part {
                Part::Request => stream.end(Part::Request, how, out),
                Part::Response => stream.end_response(how, out),
            }
        }
        self.client_finished |= part == Part::Request;
        self.settle_all();
    }

    /// The connection is over. `client` is the direction in which the client sends.
    pub(super) fn closed(&mut self, close: Close, client: Dir, out: &mut Out<'_, '_>) {
        let [reset, left] = [Broken::Reset, Broken::Left].map(End::Broken);
        if matches!(close, Close::Finished | Close::Reset(_)) {
            for id in self.leftovers.rest() {
                self.abandon(id, out);
            }
        }
        let unseen = |cause| End::Unseen(Gap { len: None, cause });
        let (request, response) = match close {
            Close::Reset(dir) if dir == client => (reset, left),
            Close::Reset(_) => (left, reset),
            Close::Refused | Close::Unanswered => (reset, reset),
            Close::Finished => (End::Broken(Broken::Finished), End::Broken(Broken::Finished)),
            Close::Reused | Close::Idle => (unseen(Cause::Lost), unseen(Cause::Lost)),
            Close::Evicted => (unseen(Cause::Limit), unseen(Cause::Limit)),
            Close::CaptureEnd => (unseen(Cause::After), unseen(Cause::After)),
        };
        let response = if self.client_finished { left } else { response };
        for (_, mut stream) in std::mem::take(&mut self.open) {
            stream.end_both(request, response, out);
        }
    }

    /// A message of a stream has come: makes the stream known, and gives the oldest up where there are too many.
    fn enter(&mut self, id: u32, by: Part, out: &mut Out<'_, '_>) {
        if self.open.contains_key(&id) {
            return;
        }
        let mut stream = Stream::new(self.next);
        // What the server's side lost before the request was made is no answer to it; what it is losing at present may be.
        if by == Part::Request && self.searching {
            stream.response.lost = self.lost_of(Part::Response);
        }
        self.open.insert(id, stream);
        self.next = self.next.wrapping_add(1);
        if self.open.len() > out.cx.limits.h2_streams.max(1)
            && let Some((oldest, mut stream)) = self.open.pop_first()
        {
            out.cx.counts.bump(Count::OverLimit);
            let unseen = End::Unseen(Gap { len: None, cause: Cause::Limit });
            stream.end_both(unseen, unseen, out);
            self.leave(oldest);
        }
    }

    /// A body's bytes show that its message has begun: where its head was missed, it is told as unknown.
    fn ensure_head(&mut self, id: u32, part: Part, out: &mut Out<'_, '_>) {
        let awaited = match self.open.get(&id) {
            Some(stream) if part == Part::Request => stream.request.phase == Phase::Awaited,
            Some(stream) => stream.response.phase == Phase::Awaited,
            None => match part {
                Part::Request => id % 2 == 1 && id > self.highest && self.lost_of(part).is_some(),
                Part::Response => self.may_answer(id) && self.lost_of(part).is_some(),
            },
        };
        if !awaited {
            return;
        }
        self.enter(id, part, out);
        let missing = self.lost_of(part);
        let Some(stream) = self.open.get_mut(&id) else { return };
        if part == Part::Response && stream.maybe.is_some() {
            return stream.settle_maybe(out);
        }
        if let Some(gap) = missing {
            stream.message(part).lose(gap);
        }
        let n = stream.n;
        let make = |want, cx: &mut Cx<'_>| Body::new(n, part, want, &[], cx);
        match part {
            Part::Request => {
                stream.begin_request(empty_request(out.cx), out.at, make, out);
                self.highest = self.highest.max(id);
            }
            Part::Response => {
                let head = empty_response(out.cx);
                stream.begin_response(head, out.at, make, out);
            }
        }
    }

    /// Whether a server's frame on this stream can be part of an answer.
    fn may_answer(&self, id: u32) -> bool {
        let unseen_request = self.lost_of(Part::Request).is_some() || id > self.highest;
        self.open.contains_key(&id) || (id % 2 == 1 && unseen_request && !self.gone.contains(&id))
    }

    fn lost_of(&self, part: Part) -> Option<Gap> {
        self.lost.get(part as usize).copied().flatten()
    }

    /// Forgets a stream whose messages are both over. One whose request is still to come (its packet may be late) is kept.
    fn settle(&mut self, id: u32) {
        let missed = self.lost_of(Part::Request).is_some();
        if self.open.get(&id).is_some_and(|stream| is_over(stream, missed)) {
            self.open.remove(&id);
            if missed {
                self.leave(id);
            }
        }
    }

    fn settle_all(&mut self) {
        let missed = self.lost_of(Part::Request).is_some();
        self.open.retain(|_, stream| !is_over(stream, missed));
    }

    fn leave(&mut self, id: u32) {
        if self.gone.len() >= GONE {
            self.gone.pop_front();
        }
        self.gone.push_back(id);
    }
}

fn is_over(stream: &Stream, request_missed: bool) -> bool {
    let request = match stream.request.phase {
        Phase::Ended => true,
        Phase::Awaited => request_missed,
        Phase::Open => false,
    };
    request && stream.response.phase == Phase::Ended
}

/// Streams remembered after their end.
const GONE: usize = 64;
