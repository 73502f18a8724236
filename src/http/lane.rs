//! One direction's bytes and holes come in, its messages go out, one after the other (RFC 9112). Knows of the other direction
//! only what [`Pairing`] tells.

use super::body::Body;
use super::chunked::{Chunked, Step};
use super::fields::{request_head_with, response_head};
use super::framing::{Framing, Length};
use super::lines::Search;
use super::pairing::{Method, Pairing};
use super::sniff::{self, Kind};
use super::{Broken, Context, End, Part, Sink, message};
use crate::base::{Cause, Count, Gap, Stamp};

/// One direction.
pub(super) struct Lane {
    part: Part,
    stage: Stage,
    /// The message whose body is being read.
    body: Option<Body>,
    /// Why it may turn out to have none.
    doubt: Option<Doubt>,
    /// A head, or what may be one, until it is whole.
    buf: Vec<u8>,
    search: Search,
    /// The packet with the first byte of the head, or of `buf`.
    first: Stamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Between messages.
    Start,
    /// In a head.
    Head,
    /// In a body that has so many bytes left.
    Bytes(u64),
    /// In a chunked body.
    Chunked(Chunked),
    /// In a body that ends with the connection.
    Close,
    /// Nowhere: a message may begin with the next packet that begins like one.
    Lost,
}

/// Why bytes after a head may be no body, though the head announces one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// The request was not seen: it may have been HEAD.
    Method,
    /// The client waits for `100 Continue`, and was refused it (RFC 9110, 10.1.1).
    Expect,
}

/// What a lane works with.
pub(super) struct Wire<'w, 'c> {
    pub(super) pairing: &'w mut Pairing,
    pub(super) cx: &'w mut Context<'c>,
    pub(super) sink: &'w mut dyn Sink,
}

/// What became of the bytes.
pub(super) enum Flow {
    /// They are read.
    Done,
    /// These begin a response that nobody waits for yet: its request may be about to come.
    Hold(Vec<u8>),
    /// The connection becomes something else, which these are the first bytes of.
    Switch(Switch, Vec<u8>),
    /// These are to be read again.
    Again(Vec<u8>),
}

/// What an HTTP/1.1 connection becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Switch {
    /// Something that is no HTTP.
    Tunnel(u32),
    /// HTTP/2, on whose stream 1 request `n` is answered.
    H2c { n: u32, head: bool },
}

impl Lane {
    /// At its beginning.
    pub(super) fn new(part: Part) -> Lane {
        let first = Stamp::default();
        Lane { part, stage: Stage::Start, body: None, doubt: None, buf: Vec::new(), search: Search::default(), first }
    }

    /// The next bytes.
    pub(super) fn data(&mut self, bytes: &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Flow {
        if self.stage == Stage::Lost && !self.resumes(bytes, wire) {
            let some = wire.pairing.moved_on();
            self.lose(Gap { len: None, cause: Cause::Lost }, some, wire); // a message may have begun within it
            return Flow::Done;
        }
        let mut flow = self.run(bytes, at, wire);
        while let Flow::Again(bytes) = flow {
            flow = self.run(&bytes, self.first, wire);
        }
        flow
    }

    /// Bytes are missing.
    pub(super) fn gap(&mut self, gap: Gap, at: Stamp, wire: &mut Wire<'_, '_>) {
        if gap.len == Some(0) {
            return;
        }
        let doubt = self.doubt.take().is_some();
        let within_chunk = match &mut self.stage {
            Stage::Chunked(chunked) => !doubt && gap.len.is_some_and(|len| chunked.skip(len)),
            _ => false,
        };
        match &mut self.stage {
            Stage::Lost => self.lose(gap, gap.cause != Cause::Before && wire.pairing.moved_on(), wire),
            Stage::Start => self.lose(gap, gap.cause != Cause::Before, wire),
            Stage::Head => {
                wire.cx.counts.bump(Count::Incomplete);
                self.lose(gap, true, wire);
            }
            Stage::Bytes(left) if !doubt => match gap.len {
                Some(len) if len <= *left => {
                    *left -= len;
                    let over = *left == 0;
                    self.hole(gap, at, wire);
                    if over {
                        self.end(End::Complete, at, wire);
                    }
                }
                len => {
                    self.end(End::Unseen(gap), at, wire);
                    self.lose(gap, len.is_some(), wire); // longer than the body: something follows it
                }
            },
            Stage::Chunked(_) if within_chunk => self.hole(gap, at, wire),
            Stage::Close if !doubt => self.hole(gap, at, wire),
            Stage::Bytes(_) | Stage::Chunked(_) | Stage::Close => {
                self.end(End::Unseen(gap), at, wire);
                self.lose(gap, false, wire);
            }
        }
    }

    /// Nothing more comes. `orderly`: the sender said so with FIN, which ends a body that has no other end. Else `end` is how it ended.
    pub(super) fn stop(&mut self, orderly: bool, end: End, at: Stamp, wire: &mut Wire<'_, '_>) {
        let mut end = end;
        if let Some(doubt) = self.doubt.take() {
            let held = std::mem::take(&mut self.buf);
            self.run(&held, self.first, wire);
            if doubt == Doubt::Method {
                end = End::Unseen(Gap { len: None, cause: Cause::Lost }); // as an answer to HEAD it would be whole
            }
        }
        if self.stage == Stage::Close && orderly {
            self.end(End::Complete, at, wire);
        }
        if self.body.is_some() {
            self.end(end, at, wire);
        }
        if !self.buf.is_empty() {
            wire.cx.counts.bump(Count::Incomplete);
        }
        if self.stage == Stage::Head && self.part == Part::Request {
            wire.pairing.requests_lost(Gap { len: None, cause: Cause::Garbled }, true);
        }
        self.buf = Vec::new();
        self.stage = Stage::Lost;
    }

    fn run(&mut self, bytes: &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Flow {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(doubt) = self.doubt
                && let Some(flow) = self.settle(doubt, &mut rest, at, wire)
            {
                return flow;
            }
            match &mut self.stage {
                Stage::Start => {
                    // RFC 9112, 2.2: empty lines before a start line are to be ignored.
                    let skip = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
                    rest = rest.get(skip..).unwrap_or_default();
                    let Some(first) = rest.first() else { break };
                    if self.part == Part::Response && !wire.pairing.expects() {
                        return Flow::Hold(rest.to_vec());
                    }
                    self.first = at;
                    self.stage = Stage::Head;
                    if !(if self.part == Part::Request { sniff::is_token(*first) } else { *first == b'H' }) {
                        self.garbled(wire);
                    }
                }
                Stage::Head => {
                    if let Some(switch) = self.head(&mut rest, at, wire) {
                        return Flow::Switch(switch, rest.to_vec());
                    }
                }
                Stage::Bytes(left) => {
                    let n = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let Some((data, after)) = rest.split_at_checked(n) else { break };
                    rest = after;
                    *left -= n as u64;
                    let over = *left == 0;
                    self.pass(data, at, wire);
                    if over {
                        self.end(End::Complete, at, wire);
                    }
                }
                Stage::Chunked(chunked) => match chunked.step(&mut rest, wire.cx.limits.head_bytes) {
                    Step::Data(data) => self.pass(data, at, wire),
                    Step::More => {}
                    Step::Done => self.end(End::Complete, at, wire),
                    Step::Wrong => {
                        self.end(End::Unseen(GARBLED), at, wire);
                        self.garbled(wire);
                    }
                },
                Stage::Close => {
                    self.pass(rest, at, wire);
                    break;
                }
                Stage::Lost => break,
            }
        }
        Flow::Done
    }

    /// Collects a head, however many packets it comes in, and looks at each of its bytes once before it is whole.
    fn head(&mut self, rest: &mut &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Option<Switch> {
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
                self.garbled(wire);
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

    fn request(&mut self, head: &[u8], at: Stamp, wire: &mut Wire<'_, '_>) {
        let (first, most) = (self.first, wire.cx.limits.head_lines);
        let begun = message::parse(Part::Request, head, most, |raw| {
            let method = match raw.method {
                b"HEAD" => Method::Head,
                b"CONNECT" => Method::Connect,
                _ => Method::Other,
            };
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
        let Some((framing, body)) = begun else { return self.garbled(wire) };
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
            if raw.status == 101 {
                return (raw.status, framing, method, Some((n, None)));
            }
            wire.cx.counts.bump(Count::Responses);
            let want = wire.sink.response(n, response_head(raw.version, raw.status, raw.fields, wire.cx.keyer), first);
            (raw.status, framing, method, Some((n, Some(Body::new(n, Part::Response, want, raw.fields, wire.cx)))))
        });
        let Some((status, framing, method, message)) = begun else {
            self.garbled(wire);
            return None;
        };
        let head = method == Some(Method::Head);
        match message {
            None => {}
            Some((n, None)) if framing.h2c => return Some(Switch::H2c { n, head }),
            Some((n, None)) => return Some(Switch::Tunnel(n)),
            Some((n, Some(body))) => {
                self.body = Some(body);
                wire.pairing.responding = true;
                if method == Some(Method::Connect) && (200..300).contains(&status) {
                    self.end(End::Complete, at, wire); // RFC 9110, 9.3.6: no content, a tunnel follows
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
                self.garbled(wire);
            }
        }
    }

    /// The first bytes after a head whose body is in doubt: if they begin another message, there was none.
    fn settle(&mut self, doubt: Doubt, rest: &mut &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Option<Flow> {
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
            Doubt::Expect if held.first().is_some_and(u8::is_ascii_uppercase) => (sniff::request(held), End::Broken(Broken::Finished)),
            Doubt::Expect => (Kind::No, End::Complete),
        };
        let enough = doubt == Doubt::Expect && matches!(self.stage, Stage::Bytes(n) if held.len() as u64 >= n)
            || held.len() > wire.cx.limits.head_bytes;
        match kind {
            Kind::More if !enough => {
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
    fn resumes(&mut self, bytes: &[u8], wire: &Wire<'_, '_>) -> bool {
        let begins = match self.part {
            Part::Request => sniff::request_anywhere(bytes) == Kind::Request,
            Part::Response => wire.pairing.expects() && sniff::response(bytes) == Kind::Response,
        };
        if begins {
            self.stage = Stage::Start;
        }
        begins
    }

    fn pass(&mut self, data: &[u8], at: Stamp, wire: &mut Wire<'_, '_>) {
        if let Some(body) = &mut self.body {
            body.data(data, at, wire.cx, wire.sink);
        }
    }

    fn hole(&mut self, gap: Gap, at: Stamp, wire: &mut Wire<'_, '_>) {
        if let Some(body) = &mut self.body {
            body.hole(gap, at, wire.cx, wire.sink);
        }
    }

    fn end(&mut self, end: End, at: Stamp, wire: &mut Wire<'_, '_>) {
        if let Some(body) = self.body.take() {
            body.end(end, at, wire.cx, wire.sink);
        }
        if self.part == Part::Response {
            wire.pairing.responding = false;
        }
        self.doubt = None;
        self.stage = Stage::Start;
    }

    /// What is here is no HTTP.
    fn garbled(&mut self, wire: &mut Wire<'_, '_>) {
        wire.cx.counts.bump(Count::GarbledStreams);
        self.lose(GARBLED, true, wire);
    }

    fn lose(&mut self, gap: Gap, some: bool, wire: &mut Wire<'_, '_>) {
        match self.part {
            Part::Request => wire.pairing.requests_lost(gap, some),
            Part::Response => wire.pairing.responses_lost(gap),
        }
        self.buf = Vec::new();
        self.search = Search::default();
        self.stage = Stage::Lost;
    }
}

const GARBLED: Gap = Gap { len: None, cause: Cause::Garbled };
