//! How a message begins: heads are collected and read, what frames the body is decided, and what looks like a body is doubted
//! where it may be the next message.

use super::super::body::Body;
use super::super::chunked::Chunked;
use super::super::fields::{request_head_with, response_head};
use super::super::framing::{Framing, Length};
use super::super::lines::Search;
use super::super::pairing::Method;
use super::super::sniff::{self, Kind};
use super::super::{Broken, End, Part, Want, message};
use super::{Doubt, Flow, GARBLED, Lane, Stage, Switch, Wire};
use crate::base::{Cause, Count, Gap, Stamp};

impl Lane {
    /// Collects a head, however many packets it comes in, and looks at each of its bytes once before it is whole.
    pub(super) fn head(&mut self, rest: &mut &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Option<Switch> {
        let most = wire.cx.limits.head_bytes;
        let before = self.buf.len();
        let room = most.saturating_sub(before).saturating_add(1).min(rest.len());
        let (take, _) = rest.split_at_checked(room)?;
        let held = if before == 0 {
            take
        } else {
            self.buf.extend_from_slice(take);
            &self.buf
        };
        match self.search.end_of_head(held).filter(|end| *end <= most) {
            Some(end) => {
                let buf = std::mem::take(&mut self.buf);
                let head = if before == 0 { take.get(..end) } else { buf.get(..end) }.unwrap_or_default();
                *rest = rest.get(end.saturating_sub(before)..).unwrap_or_default();
                self.search = Search::default();
                self.stage = Stage::Start;
                match self.part {
                    Part::Request => self.request(head, at, wire),
                    Part::Response => return self.response(head, at, wire),
                }
            }
            None if held.len() > most => {
                wire.cx.counts.bump(Count::OverLimit);
                *rest = &[];
                self.garbled(at, wire);
            }
            None => {
                if before == 0 {
                    self.buf.extend_from_slice(take);
                }
                *rest = &[];
            }
        }
        None
    }

    /// A head that was cut off: what there is of it is told, if its first line is whole, as a message whose rest was not seen.
    pub(super) fn torn_head(&mut self, gap: Gap, at: Stamp, wire: &mut Wire<'_, '_>) -> bool {
        let mut head = std::mem::take(&mut self.buf);
        head.truncate(memchr::memrchr(b'\n', &head).map_or(0, |feed| feed.saturating_add(1)));
        if head.is_empty() {
            return false;
        }
        head.extend_from_slice(b"\r\n");
        let (first, most, part) = (self.first, wire.cx.limits.head_lines, self.part);
        let body = message::parse(part, &head, most, |raw| {
            let cx = &mut *wire.cx;
            let n = match part {
                Part::Request => {
                    let method = method(raw.method);
                    let mut head = request_head_with(raw.version, Some(raw.method), Some(raw.target), None, raw.fields, cx.keyer, cx.memo);
                    head.common.partial = true;
                    let (n, answered) = wire.pairing.ask(method, first, cx, wire.sink);
                    cx.counts.bump(Count::Requests);
                    wire.sink.request(n, head, first);
                    if answered {
                        wire.sink.unanswered(n, End::Unseen(Gap { len: None, cause: Cause::Limit }), first);
                    }
                    n
                }
                Part::Response if raw.status < 200 => return None,
                Part::Response => {
                    let (n, _) = wire.pairing.answer(first, wire.sink);
                    cx.counts.bump(Count::Responses);
                    let mut head = response_head(raw.version, raw.status, raw.fields, cx.keyer, cx.memo);
                    head.common.partial = true;
                    wire.sink.response(n, head, first);
                    n
                }
            };
            Some(Body::new(n, part, Want::Nothing, &[], cx))
        });
        let Some(Some(body)) = body else { return false };
        body.end(End::Unseen(gap), at, wire.cx, wire.sink);
        true
    }

    fn request(&mut self, head: &[u8], at: Stamp, wire: &mut Wire<'_, '_>) {
        let (first, most) = (self.first, wire.cx.limits.head_lines);
        let begun = message::parse(Part::Request, head, most, |raw| {
            let method = method(raw.method);
            let cx = &mut *wire.cx;
            let head = request_head_with(raw.version, Some(raw.method), Some(raw.target), None, raw.fields, cx.keyer, cx.memo);
            let (n, answered) = wire.pairing.ask(method, first, cx, wire.sink);
            cx.counts.bump(Count::Requests);
            let want = wire.sink.request(n, head, first);
            if answered {
                wire.sink.unanswered(n, End::Unseen(Gap { len: None, cause: Cause::Limit }), first);
            }
            (Framing::read(raw.fields), Body::new(n, Part::Request, want, raw.fields, cx))
        });
        let Some((framing, body)) = begun else { return self.garbled(at, wire) };
        self.body = Some(body);
        self.frame(framing.of_request(), framing.expects.then_some(Doubt::Expect), at, wire);
    }

    fn response(&mut self, head: &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Option<Switch> {
        let (first, most) = (self.first, wire.cx.limits.head_lines);
        let begun = message::parse(Part::Response, head, most, |raw| {
            let framing = Framing::read(raw.fields);
            if raw.status < 200 && raw.status != 101 {
                return (raw.status, framing, None, None); // interim (RFC 9110, 15.2)
            }
            let (n, method) = wire.pairing.answer(first, wire.sink);
            if raw.status == 101 && framing.h2c {
                return (raw.status, framing, method, Some((n, None)));
            }
            wire.cx.counts.bump(Count::Responses);
            let head = response_head(raw.version, raw.status, raw.fields, wire.cx.keyer, wire.cx.memo);
            let want = wire.sink.response(n, head, first);
            (raw.status, framing, method, Some((n, Some(Body::new(n, Part::Response, want, raw.fields, wire.cx)))))
        });
        let Some((status, framing, method, message)) = begun else {
            self.garbled(at, wire);
            return None;
        };
        let head = method == Some(Method::Head);
        match message {
            None => {}
            Some((n, None)) => return Some(Switch::H2c { n, head: method.map(|method| method == Method::Head) }),
            Some((n, Some(body))) => {
                self.body = Some(body);
                wire.pairing.responding = true;
                if status == 101 || method == Some(Method::Connect) && (200..300).contains(&status) {
                    self.end(End::Complete, at, wire); // RFC 9110, 9.3.6 and 15.2.2: no content, something else follows
                    return Some(Switch::Tunnel(n));
                }
                self.frame(framing.of_response(status, head), method.is_none().then_some(Doubt::Method), at, wire);
            }
        }
        None
    }

    fn frame(&mut self, length: Length, doubt: Option<Doubt>, at: Stamp, wire: &mut Wire<'_, '_>) {
        self.doubt = doubt;
        if doubt == Some(Doubt::Method) {
            wire.pairing.responding = false; // it may be over already
        }
        match length {
            Length::Empty => self.end(End::Complete, at, wire),
            Length::Bytes(n) => self.stage = Stage::Bytes(n),
            Length::Chunked => self.stage = Stage::Chunked(Chunked::new()),
            Length::Close => self.stage = Stage::Close,
            Length::Unknown => {
                self.end(End::Unseen(GARBLED), at, wire);
                self.garbled(at, wire);
            }
        }
    }

    /// The first bytes after a head whose body is in doubt: if they begin another message, there was none.
    pub(super) fn settle(&mut self, doubt: Doubt, rest: &mut &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Option<Flow> {
        if doubt == Doubt::Expect && self.buf.is_empty() && self.body.as_ref().is_some_and(|body| wire.pairing.waits(body.n())) {
            self.doubt = None;
            return None;
        }
        let fresh = self.buf.is_empty();
        if fresh {
            self.first = at;
        } else {
            self.buf.extend_from_slice(rest);
        }
        let held = if fresh { *rest } else { &self.buf };
        let (kind, end) = match doubt {
            Doubt::Method => (sniff::response(held), End::Complete),
            // Also beyond the length that the body was to have: the next request's line may be the longer one.
            Doubt::Expect => (sniff::request_by_name(held), End::Broken(Broken::Finished)),
        };
        match kind {
            Kind::More if held.len() <= wire.cx.limits.head_bytes => {
                if fresh {
                    self.buf.extend_from_slice(rest);
                }
                return Some(Flow::Done);
            }
            Kind::Request | Kind::Response => self.end(end, at, wire),
            _ => wire.pairing.responding |= self.part == Part::Response,
        }
        self.doubt = None;
        if fresh { None } else { Some(Flow::Again(std::mem::take(&mut self.buf))) }
    }

    /// Whether a packet begins with a message, where its place in the stream does not tell. Only a whole, strict start line will do, and a
    /// status line only while somebody waits for it: bodies may hold what looks like messages.
    pub(super) fn resumes(&mut self, bytes: &[u8], wire: &Wire<'_, '_>) -> bool {
        let begins = match self.part {
            Part::Request => sniff::request_anywhere(bytes) == Kind::Request,
            Part::Response => wire.pairing.expects() && sniff::response(bytes) == Kind::Response,
        };
        if begins {
            self.stage = Stage::Start;
        }
        begins
    }
}

fn method(name: &[u8]) -> Method {
    match name {
        b"HEAD" => Method::Head,
        b"CONNECT" => Method::Connect,
        _ => Method::Other,
    }
}
