//! A connection that cannot be overwritten in place comes in (TLS, HTTP/2, coded bodies); its messages go out, read by the same rooms as in
//! the run, so that no head in them holds a secret.

use std::collections::BTreeSet;

use super::gather::Stream;
use crate::base::{Counts, Gap, Keyer, Limits, Stamp};
use crate::http::{self, End, Memo, Part, RequestHead, ResponseHead, Sink, Want};
use crate::packet::{Decoder, Frame, Sight, Sightings};
use crate::tcp::{Conn, Receiver, StreamEvent, Table};
use crate::tls::{self, KeyLog, Probe, Workbench};

/// A piece of a message, in order.
pub(super) struct Said {
    pub(super) n: u32,
    pub(super) at: Stamp,
    pub(super) what: What,
}

/// What was said.
pub(super) enum What {
    Request(Box<RequestHead>),
    Response(Box<ResponseHead>),
    Body(Part, Vec<u8>),
    End(Part, End),
    Unanswered(End),
}

/// Reads a connection's frames again; gives the exchanges that are wanted.
pub(super) fn read(stream: &Stream, keys: &KeyLog, keyer: &Keyer, limits: &Limits) -> Vec<Said> {
    let mut road = Road {
        keys,
        keyer,
        limits,
        bench: Workbench::new(limits),
        memo: Memo::new(),
        counts: Counts::default(),
        http: http::Connection::new(),
        tls: None,
        begun: false,
        heard: Heard { wanted: stream.part.exchanges.iter().copied().collect(), said: Vec::new() },
    };
    let (mut decoder, mut sightings, mut table, mut counts) =
        (Decoder::new(limits), Sightings::new(limits), Table::new(1), Counts::default());
    let mut last = Stamp::default();
    for packet in &stream.frames {
        last = packet.at;
        let frame = Frame { link: packet.link, data: &packet.data, orig_len: packet.orig_len, iface: packet.iface, at: packet.at };
        let Some(mut decoded) = decoder.decode(frame, &mut counts) else { continue };
        match sightings.push(&mut decoded, packet.at, &mut counts) {
            Sight::Again => continue,
            Sight::New => {}
            Sight::Tied { tied, again } => {
                table.tie((tied.a, tied.b), (tied.alias_a, tied.alias_b), limits);
                if again {
                    continue;
                }
            }
            Sight::Apart { opener, at } => table.push(&opener, at, limits, &mut counts, &mut road),
        }
        table.push(&decoded.segment, packet.at, limits, &mut counts, &mut road);
    }
    table.finish(last, limits, &mut counts, &mut road);
    road.heard.said
}

struct Road<'a> {
    keys: &'a KeyLog,
    keyer: &'a Keyer,
    limits: &'a Limits,
    bench: Workbench,
    memo: Memo,
    counts: Counts,
    http: http::Connection,
    tls: Option<tls::Connection>,
    begun: bool,
    heard: Heard,
}

impl Receiver for Road<'_> {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        let Road { keys, keyer, limits, bench, memo, counts, http, tls, begun, heard } = self;
        if let StreamEvent::Data { bytes, .. } = event
            && !std::mem::replace(begun, true)
            && !matches!(tls::sniff(bytes), Probe::No)
        {
            *tls = Some(tls::Connection::new());
        }
        let mut plain = |event: StreamEvent<'_>| {
            let mut cx = http::Context { keyer, limits, counts, memo };
            http.on_stream(conn, event, &mut cx, heard);
        };
        let Some(tls) = tls else { return plain(event) };
        let mut cx = tls::Context { bench, keys, out: &mut plain };
        if !tls.on_stream(event, &mut cx) {
            tls.give_up(&mut cx);
        }
    }
}

struct Heard {
    wanted: BTreeSet<u32>,
    said: Vec<Said>,
}

impl Heard {
    fn note(&mut self, n: u32, at: Stamp, what: What) {
        if self.wanted.contains(&n) {
            self.said.push(Said { n, at, what });
        }
    }
}

impl Sink for Heard {
    fn request(&mut self, n: u32, head: RequestHead, at: Stamp) -> Want {
        self.note(n, at, What::Request(Box::new(head)));
        if self.wanted.contains(&n) { Want::Body } else { Want::Nothing }
    }

    fn response(&mut self, n: u32, head: ResponseHead, at: Stamp) -> Want {
        self.note(n, at, What::Response(Box::new(head)));
        if self.wanted.contains(&n) { Want::Body } else { Want::Nothing }
    }

    fn body(&mut self, n: u32, part: Part, bytes: &[u8], at: Stamp) {
        self.note(n, at, What::Body(part, bytes.to_vec()));
    }

    // A hole ends what can be written anew: what follows would stand in the wrong place.
    fn hole(&mut self, n: u32, part: Part, gap: Gap, at: Stamp) {
        self.note(n, at, What::End(part, End::Unseen(gap)));
        self.wanted.remove(&n);
    }

    fn end(&mut self, n: u32, part: Part, end: End, at: Stamp) {
        self.note(n, at, What::End(part, end));
    }

    fn unanswered(&mut self, n: u32, end: End, at: Stamp) {
        self.note(n, at, What::Unanswered(end));
    }

    fn upgraded(&mut self, _: u32, _: Stamp) {}
}
