//! One state for each open connection: what it carries, and the rooms that read it.

use crate::base::{Counts, Dir, ExId, Keyer, Limits, Stamp, Via};
use crate::http::{self, Memo};
use crate::mcp::{Conduit, ConduitKind, Observer, Peers, Seen};
use crate::tcp::{Conn, Receiver, StreamEvent};
use crate::tls::{self, KeyLog, Probe, Workbench};

/// All open connections, by slot.
pub(super) struct Streams {
    slots: Vec<Option<Box<Stream>>>,
    shared: Shared,
    bench: Workbench,
    keys: KeyLog,
    /// What was seen and not yet taken.
    pub(super) seen: Vec<Seen>,
}

/// What every connection's HTTP borrows.
struct Shared {
    keyer: Keyer,
    limits: Limits,
    counts: Counts,
    mcp_counts: Counts,
    memo: Memo,
}

/// A connection.
struct Stream {
    carries: Carries,
    http: http::Connection,
    observer: Observer,
    spoke: [bool; 2],
    last: Stamp,
}

/// What a connection was found to carry.
enum Carries {
    /// Nothing yet.
    Nothing,
    /// Bytes that are read as HTTP, or found not to be.
    Plain,
    /// TLS.
    Tls(Box<tls::Connection>, Told),
}

/// What was said of a TLS connection that can't be read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    open: bool,
}

impl Streams {
    pub(super) fn new(keyer: Keyer, limits: &Limits) -> Streams {
        let mut keys = KeyLog::new(limits);
        keys.complete();
        let shared = Shared { keyer, limits: limits.clone(), counts: Counts::default(), mcp_counts: Counts::default(), memo: Memo::new() };
        Streams { slots: Vec::new(), shared, bench: Workbench::new(limits), keys, seen: Vec::new() }
    }

    /// TLS secrets, in NSS key log format.
    pub(super) fn secrets(&mut self, text: &[u8]) {
        self.keys.block(text, &mut self.bench.counts);
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.shared.counts.clone();
        counts.merge(&self.shared.mcp_counts);
        counts.merge(&self.bench.counts);
        counts
    }
}

impl Receiver for Streams {
    fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>) {
        if self.slots.len() <= conn.slot {
            self.slots.resize_with(conn.slot + 1, || None);
        }
        let Some(slot) = self.slots.get_mut(conn.slot) else { return };
        if event == StreamEvent::Opened {
            *slot = Some(Box::new(Stream::new(conn)));
            return;
        }
        let Some(stream) = slot else { return };
        let from = self.seen.len();
        stream.on_stream(conn, event, &mut self.shared, &mut self.bench, &self.keys, &mut self.seen);
        stream.name(conn, self.seen.get_mut(from..).unwrap_or_default());
        if let Some(conduit) = stream.conduit(conn, event) {
            self.seen.push(Seen::Conduit(Box::new(conduit)));
        }
        if matches!(event, StreamEvent::Closed { .. }) {
            *slot = None;
        }
    }
}

impl Stream {
    fn new(conn: &Conn) -> Stream {
        Stream {
            carries: Carries::Nothing,
            http: http::Connection::new(),
            observer: Observer::new(conn.id, peers(conn, Dir::AtoB, Via::Packets)),
            spoke: [false; 2],
            last: conn.opened,
        }
    }

    fn on_stream(
        &mut self,
        conn: &Conn,
        event: StreamEvent<'_>,
        shared: &mut Shared,
        bench: &mut Workbench,
        keys: &KeyLog,
        seen: &mut Vec<Seen>,
    ) {
        if let StreamEvent::Data { dir, bytes, at } = event {
            self.last = at;
            if let Some(spoke) = self.spoke.get_mut(dir.index()) {
                *spoke = true;
            }
            if matches!(self.carries, Carries::Nothing) {
                self.carries = match tls::sniff(bytes) {
                    Probe::Hello | Probe::Records => Carries::Tls(Box::default(), Told::default()),
                    Probe::No | Probe::Unsure => Carries::Plain,
                };
            }
        }
        let Stream { carries, http, observer, .. } = self;
        let mut read = |event: StreamEvent<'_>| {
            let Shared { keyer, limits, counts, mcp_counts, memo } = &mut *shared;
            let mut cx = http::Context { keyer, limits, counts, memo };
            http.on_stream(conn, event, &mut cx, &mut observer.listen(keyer, limits, mcp_counts, seen));
        };
        let Carries::Tls(tls, _) = carries else { return read(event) };
        let mut cx = tls::Context { bench, keys, out: &mut read };
        match event {
            StreamEvent::Opened => {}
            StreamEvent::Data { dir, bytes, at } => tls.data(dir, bytes, at, &mut cx),
            StreamEvent::Gap { dir, gap, at } => tls.gap(dir, gap, at, &mut cx),
            StreamEvent::Finished { dir, at } => tls.finished(dir, at, &mut cx),
            StreamEvent::Closed { how, at } => {
                if !tls.closed(how, at, &mut cx) {
                    tls.give_up(&mut cx);
                }
            }
        }
    }

    /// Which side is the client may show with the very bytes that are its first request.
    fn name(&self, conn: &Conn, seen: &mut [Seen]) {
        for seen in seen {
            if let Seen::Asked(exchange) = seen {
                exchange.peers = self.peers(conn);
            }
        }
    }

    fn peers(&self, conn: &Conn) -> Peers {
        let via = if matches!(&self.carries, Carries::Tls(..)) { Via::TlsKeylog } else { Via::Packets };
        let client = match &self.carries {
            Carries::Tls(tls, _) => self.http.client_dir().or(tls.facts().client),
            _ => self.http.client_dir(),
        };
        peers(conn, client.unwrap_or(Dir::AtoB), via)
    }

    /// What a connection that can't be read has to say for itself.
    fn conduit(&mut self, conn: &Conn, event: StreamEvent<'_>) -> Option<Conduit> {
        let close = match event {
            StreamEvent::Closed { how, at } => Some((how, at)),
            _ => None,
        };
        let kind = match &mut self.carries {
            Carries::Nothing => close.filter(|_| conn.opener_known).map(|_| ConduitKind::NoData)?,
            Carries::Plain => return None,
            Carries::Tls(tls, told) => {
                let facts = tls.facts();
                // One word when the server first answers, one at the end: between the two nothing changes that matters.
                let answered = facts.first_answer.is_some();
                if facts.decrypted || close.is_none() && (told.open || !answered) {
                    return None;
                }
                told.open = true;
                ConduitKind::Tls {
                    server_name: facts.server_name,
                    alpn: facts.alpn,
                    failed: facts.failed,
                    bytes: facts.bytes,
                    first_answer: facts.first_answer,
                }
            }
        };
        let last = close.map_or(self.last, |(_, at)| if self.spoke == [false; 2] { at } else { self.last });
        Some(Conduit {
            peers: self.peers(conn),
            id: ExId { conn: conn.id, n: 0 },
            start: conn.opened,
            last,
            close: close.map(|(how, _)| how),
            kind,
        })
    }
}

fn peers(conn: &Conn, client: Dir, via: Via) -> Peers {
    let [a, b] = conn.aliases.clone();
    match client {
        Dir::AtoB => Peers { client: conn.a, server: conn.b, client_aliases: a, server_aliases: b, via },
        Dir::BtoA => Peers { client: conn.b, server: conn.a, client_aliases: b, server_aliases: a, via },
    }
}
