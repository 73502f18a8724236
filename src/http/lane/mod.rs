//! One direction's bytes and holes come in, its messages go out, one after the other (RFC 9112). Knows of the other direction
//! only what [`Pairing`] tells.

mod opening;

use super::body::Body;
use super::chunked::{Chunked, Step};
use super::lines::Search;
use super::pairing::Pairing;
use super::sniff;
use super::{Context, End, Part, Sink};
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
    /// The last packet of which something was read.
    last: Stamp,
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
    /// HTTP/2, on whose stream 1 request `n` is answered; whether that was a HEAD, if it was seen.
    H2c { n: u32, head: Option<bool> },
}

impl Lane {
    /// At its beginning.
    pub(super) fn new(part: Part) -> Lane {
        let first = Stamp::default();
        Lane { part, stage: Stage::Start, body: None, doubt: None, buf: Vec::new(), search: Search::default(), first, last: first }
    }

    /// The next bytes.
    pub(super) fn data(&mut self, bytes: &[u8], at: Stamp, wire: &mut Wire<'_, '_>) -> Flow {
        if self.stage == Stage::Lost && !self.resumes(bytes, wire) {
            let some = wire.pairing.moved_on();
            self.lose(Gap { len: None, cause: Cause::Lost }, some, at, wire); // a message may have begun within it
            return Flow::Done;
        }
        let mut flow = self.run(bytes, at, wire);
        while let Flow::Again(bytes) = flow {
            flow = self.run(&bytes, self.first, wire);
        }
        self.last = at;
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
            Stage::Lost => self.lose(gap, gap.cause != Cause::Before && wire.pairing.moved_on(), at, wire),
            Stage::Start => self.lose(gap, gap.cause != Cause::Before, at, wire),
            Stage::Head => {
                wire.cx.counts.bump(Count::Incomplete);
                let some = !self.torn_head(gap, at, wire);
                self.lose(gap, some, at, wire);
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
                    self.lose(gap, len.is_some(), at, wire); // longer than the body: something follows it
                }
            },
            Stage::Chunked(_) if within_chunk => self.hole(gap, at, wire),
            Stage::Close if !doubt => self.hole(gap, at, wire),
            Stage::Bytes(_) | Stage::Chunked(_) | Stage::Close => {
                self.end(End::Unseen(gap), at, wire);
                self.lose(gap, false, at, wire);
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
                        self.garbled(at, wire);
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
                        self.garbled(at, wire);
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
    fn garbled(&mut self, at: Stamp, wire: &mut Wire<'_, '_>) {
        wire.cx.counts.bump(Count::GarbledStreams);
        self.lose(GARBLED, true, at, wire);
    }

    fn lose(&mut self, gap: Gap, some: bool, at: Stamp, wire: &mut Wire<'_, '_>) {
        match self.part {
            Part::Request => {
                wire.pairing.requests_lost(gap, some);
                if gap.cause != Cause::Before {
                    wire.sink.unseen(gap, self.last, at);
                }
            }
            Part::Response => wire.pairing.responses_lost(gap, at, wire.sink),
        }
        self.buf = Vec::new();
        self.search = Search::default();
        self.stage = Stage::Lost;
    }
}

const GARBLED: Gap = Gap { len: None, cause: Cause::Garbled };
