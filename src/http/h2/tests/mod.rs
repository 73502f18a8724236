//! Conversations for tests: frames are written, fed in any cuts, and what the next room is told is written down.

mod capture;
mod frames;
mod gaps;
mod properties;

use crate::base::{Cause, Count, Counts, Gap, Keyer, Limits, Stamp, Ts};
use crate::http::{End, Part, RequestHead, ResponseHead, Sink, Want};
use crate::tcp::Close;

use super::frame::*;
use super::hpack::encoder::Encoder;
use super::*;

/// What the next room was told. Adjacent pieces of one body are one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Call {
    Request { n: u32, method: String, path: String, partial: bool },
    Response { n: u32, status: u16, partial: bool },
    Body(u32, Part, Vec<u8>),
    Hole(u32, Part, Gap),
    End(u32, Part, End),
    Unanswered(u32, End),
}

/// A next room that writes everything down and holds the room before it to [`Sink`]'s contract.
#[derive(Default)]
struct Notes {
    calls: Vec<Call>,
    /// When each request and response began.
    began: Vec<Stamp>,
    /// Messages that began and have not ended.
    open: Vec<(u32, Part)>,
    /// Messages that began.
    all: Vec<(u32, Part)>,
    unanswered: Vec<u32>,
    /// What is answered to every head.
    nothing: bool,
}

impl Notes {
    fn begin(&mut self, n: u32, part: Part, at: Stamp) -> Want {
        assert!(!self.all.contains(&(n, part)), "one head for each message");
        assert!(!self.unanswered.contains(&n), "nothing begins after the exchange was given up");
        self.began.push(at);
        self.open.push((n, part));
        self.all.push((n, part));
        if self.nothing { Want::Nothing } else { Want::Body }
    }
}

impl Sink for Notes {
    fn request(&mut self, n: u32, head: RequestHead, at: Stamp) -> Want {
        self.calls.push(Call::Request { n, method: head.method, path: head.path, partial: head.common.partial });
        self.begin(n, Part::Request, at)
    }

    fn response(&mut self, n: u32, head: ResponseHead, at: Stamp) -> Want {
        self.calls.push(Call::Response { n, status: head.status, partial: head.common.partial });
        self.begin(n, Part::Response, at)
    }

    fn body(&mut self, n: u32, part: Part, bytes: &[u8], _at: Stamp) {
        assert!(!self.nothing && !bytes.is_empty() && self.open.contains(&(n, part)), "bodies only where wanted, and within a message");
        match self.calls.last_mut() {
            Some(Call::Body(last, its, body)) if (*last, *its) == (n, part) => body.extend(bytes),
            _ => self.calls.push(Call::Body(n, part, bytes.to_vec())),
        }
    }

    fn hole(&mut self, n: u32, part: Part, gap: Gap, _at: Stamp) {
        assert!(self.open.contains(&(n, part)), "holes only within a message");
        self.calls.push(Call::Hole(n, part, gap));
    }

    fn end(&mut self, n: u32, part: Part, end: End, _at: Stamp) {
        let place = self.open.iter().position(|one| *one == (n, part)).expect("an end needs a beginning and comes once");
        self.open.remove(place);
        self.calls.push(Call::End(n, part, end));
    }

    fn unanswered(&mut self, n: u32, end: End, _at: Stamp) {
        assert!(self.all.contains(&(n, Part::Request)) && !self.all.contains(&(n, Part::Response)) && !self.unanswered.contains(&n));
        self.unanswered.push(n);
        self.calls.push(Call::Unanswered(n, end));
    }

    fn upgraded(&mut self, _n: u32, _at: Stamp) {
        panic!("an HTTP/2 connection never leaves HTTP");
    }
}

/// A connection under test.
struct Talk {
    connection: Connection,
    keyer: Keyer,
    limits: Limits,
    counts: Counts,
    memo: crate::http::Memo,
    notes: Notes,
    ord: u64,
    /// Packet time, nanoseconds.
    now: i64,
    /// Each side's encoder.
    encoders: [Encoder; 2],
}

const CLIENT: bool = true;
const SERVER: bool = false;

impl Talk {
    fn with(connection: Connection, limits: Limits) -> Talk {
        let encoders = [Encoder::new(), Encoder::new()];
        let keyer = Keyer::new([1; 32]);
        Talk {
            connection,
            keyer,
            limits,
            counts: Counts::default(),
            memo: crate::http::Memo::new(),
            notes: Notes::default(),
            ord: 0,
            now: 0,
            encoders,
        }
    }

    /// From the beginning, prefaces exchanged.
    fn new() -> Talk {
        Talk::limited(Limits::default())
    }

    fn limited(limits: Limits) -> Talk {
        let mut talk = Talk::with(Connection::prior_knowledge(&limits), limits);
        talk.feed(CLIENT, PREFACE);
        talk.feed(CLIENT, &frame(SETTINGS, 0, 0, &[]));
        talk.feed(SERVER, &frame(SETTINGS, 0, 0, &[]));
        talk
    }

    fn mid_stream() -> Talk {
        let limits = Limits::default();
        Talk::with(Connection::mid_stream(&limits), limits)
    }

    fn call(&mut self, act: impl FnOnce(&mut Connection, Stamp, &mut Cx<'_>, &mut dyn Sink)) {
        self.ord += 1;
        let at = Stamp { ord: self.ord, ts: Ts(self.now), frame: self.ord, file: 0 };
        let mut cx = Cx { keyer: &self.keyer, limits: &self.limits, counts: &mut self.counts, memo: &mut self.memo };
        act(&mut self.connection, at, &mut cx, &mut self.notes);
    }

    fn feed(&mut self, from_client: bool, bytes: &[u8]) {
        self.call(|connection, at, cx, sink| connection.data(from_client, bytes, at, cx, sink));
    }

    fn gap(&mut self, from_client: bool, len: Option<u64>) {
        self.call(|connection, at, cx, sink| connection.gap(from_client, Gap { len, cause: Cause::Lost }, at, cx, sink));
    }

    fn finish(&mut self, from_client: bool) {
        self.call(|connection, at, cx, sink| connection.finished(from_client, at, cx, sink));
    }

    /// Closes and returns everything that was told.
    fn close(mut self, how: Close) -> Vec<Call> {
        self.call(|connection, at, cx, sink| connection.closed(how, Dir::AtoB, at, cx, sink));
        assert!(self.notes.open.is_empty(), "every message gets its end");
        self.notes.calls
    }

    fn count(&self, count: Count) -> u64 {
        self.counts.get(count)
    }

    /// A header block, written by this side's encoder.
    fn block(&mut self, from_client: bool, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            self.encoders[usize::from(from_client)].field(name.as_bytes(), value.as_bytes(), 0x30, &mut block);
        }
        block
    }

    /// A request's HEADERS frame.
    fn asks(&mut self, stream: u32, flags: u8, path: &str) -> Vec<u8> {
        let block = self.block(CLIENT, &[(":method", "POST"), (":scheme", "http"), (":path", path), ("authorization", "Bearer abc")]);
        frame(HEADERS, END_HEADERS | flags, stream, &block)
    }

    /// A response's HEADERS frame.
    fn answers(&mut self, stream: u32, flags: u8, status: &str) -> Vec<u8> {
        let block = self.block(SERVER, &[(":status", status), ("content-type", "application/json")]);
        frame(HEADERS, END_HEADERS | flags, stream, &block)
    }

    fn ask(&mut self, stream: u32, flags: u8, path: &str) {
        let bytes = self.asks(stream, flags, path);
        self.feed(CLIENT, &bytes);
    }

    fn answer(&mut self, stream: u32, flags: u8, status: &str) {
        let bytes = self.answers(stream, flags, status);
        self.feed(SERVER, &bytes);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn data(flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, body)
}

fn request(n: u32, path: &str) -> Call {
    Call::Request { n, method: "POST".into(), path: path.into(), partial: false }
}

fn response(n: u32, status: u16) -> Call {
    Call::Response { n, status, partial: false }
}

fn body(n: u32, part: Part, bytes: &[u8]) -> Call {
    Call::Body(n, part, bytes.to_vec())
}

fn complete(n: u32, part: Part) -> Call {
    Call::End(n, part, End::Complete)
}

fn lost(len: Option<u64>) -> Gap {
    Gap { len, cause: Cause::Lost }
}
