//! One connection: what it carries, and the rooms that read it.

use crate::base::{ConnId, Counts, Dir, ExId, Keyer, Limits, Stamp, Ts, Via};
use crate::http::{self, Memo};
use crate::mcp::{Conduit, ConduitKind, Observer, Peers, Seen};
use crate::tcp::{Close, Conn, StreamEvent};
use crate::tls::{self, KeyLog, Probe, Workbench};

/// What every connection borrows.
pub(super) struct Desk {
    pub(super) keyer: Keyer,
    pub(super) limits: Limits,
    pub(super) counts: Counts,
    pub(super) mcp_counts: Counts,
    pub(super) memo: Memo,
    pub(super) bench: Workbench,
    /// Up to which length what was decrypted last was seen with which packet.
    pub(super) marks: Vec<(usize, Stamp)>,
}

/// A connection.
pub(super) struct Stream {
    id: ConnId,
    carries: Carries,
    http: http::Connection,
    observer: Observer,
    spoke: [bool; 2],
    last: Stamp,
    close: Option<(Close, Stamp)>,
    /// Its addresses, kept while records wait for keys, and since when they do.
    waits: Option<(Box<Conn>, Stamp)>,
    /// Its plaintext comes from elsewhere; whether any came.
    tapped: Option<bool>,
    /// Randoms of its hellos that were told.
    told_randoms: [bool; 2],
    via: Via,
}

/// What a connection was found to carry.
enum Carries {
    /// Nothing yet.
    Nothing,
    /// Its first bytes, too few to tell.
    Little(Held),
    /// Bytes that are read as HTTP, or found not to be. TLS that was open before is still recognised in so many further bytes.
    Plain(usize),
    /// TLS.
    Tls(Box<tls::Connection>, Told),
}

/// First bytes of one direction that wait for more.
struct Held {
    dir: Dir,
    bytes: Vec<u8>,
    at: Stamp,
}

/// What was said of a TLS connection that can't be read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    open: bool,
    closed: bool,
}

impl Stream {
    pub(super) fn new(conn: &Conn) -> Stream {
        Stream {
            id: conn.id,
            carries: Carries::Nothing,
            http: http::Connection::new(),
            observer: Observer::new(conn.id, peers(conn, Dir::AtoB, Via::Packets)),
            spoke: [false; 2],
            last: conn.opened,
            close: None,
            waits: None,
            tapped: None,
            told_randoms: [false; 2],
            via: Via::Packets,
        }
    }

    /// A connection whose plaintext is read at the process's own calls.
    pub(super) fn plain(conn: &Conn) -> Stream {
        let observer = Observer::new(conn.id, peers(conn, Dir::AtoB, Via::TlsEbpf));
        Stream { carries: Carries::Plain(0), via: Via::TlsEbpf, observer, ..Stream::new(conn) }
    }

    /// TLS whose plaintext comes from elsewhere: it is read no further here. `carried`: whether any came.
    pub(super) fn tap(&mut self, conn: &Conn, carried: bool, keys: &KeyLog, seen: &mut Vec<Seen>) {
        self.tapped = Some(carried);
        self.tell(conn, keys, seen.len(), seen);
    }

    /// Its name.
    pub(super) fn id(&self) -> ConnId {
        self.id
    }

    /// Randoms of its hellos that were not told before, each with the direction of the side that drew it.
    pub(super) fn new_randoms(&mut self) -> impl Iterator<Item = ([u8; 32], Dir)> + use<> {
        let Carries::Tls(tls, _) = &self.carries else { return [None, None].into_iter().flatten() };
        let Some(client) = tls.client().filter(|_| self.told_randoms != [true; 2] && self.tapped.is_none()) else {
            return [None, None].into_iter().flatten();
        };
        let [first, second] = tls.randoms();
        let [told_first, told_second] = &mut self.told_randoms;
        let fresh = |random: Option<[u8; 32]>, told: &mut bool, side: Dir| {
            let random = random.filter(|_| !*told)?;
            *told = true;
            Some((random, side))
        };
        [fresh(first, told_first, client), fresh(second, told_second, client.flip())].into_iter().flatten()
    }

    /// Its sealed records since the last call: direction, bytes behind the head, time.
    pub(super) fn sizes(&mut self) -> Vec<(Dir, u16, Ts)> {
        if let Carries::Tls(tls, _) = &mut self.carries { tls.sizes() } else { Vec::new() }
    }

    /// Its last packet.
    pub(super) fn last(&self) -> Stamp {
        self.close.map_or(self.last, |(_, at)| at)
    }

    /// Since when requests may be on their way on a connection that can't be read, if that was not told.
    fn untold(&self) -> Option<Stamp> {
        let Carries::Tls(tls, Told { open: false, .. }) = &self.carries else { return None };
        let since = tls.sealed_since().filter(|_| !tls.is_decrypted())?;
        Some(Stamp { ts: since, ..Stamp::default() })
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self.carries, Carries::Tls(..))
    }

    /// The packet of the first record that was noted to wait for keys.
    pub(super) fn waits(&self) -> Option<Stamp> {
        self.waits.as_ref().map(|(_, since)| *since)
    }

    /// Notes since when records wait for keys, if they do. `conn`: the connection, where that is new.
    pub(super) fn note_wait(&mut self, conn: Option<&Conn>) -> Option<Stamp> {
        let Carries::Tls(tls, _) = &self.carries else { return None };
        let since = tls.waiting_since().filter(|_| self.tapped.is_none());
        if since != self.waits() {
            let known = self.waits.take().map(|(conn, _)| conn);
            let conn = conn.map(|conn| Box::new(conn.clone())).or(known);
            self.waits = since.and_then(|since| Some((conn?, since)));
        }
        since
    }

    /// The next event of the connection, in order.
    pub(super) fn on_stream(&mut self, conn: &Conn, event: StreamEvent<'_>, desk: &mut Desk, keys: &KeyLog, seen: &mut Vec<Seen>) {
        let from = seen.len();
        match event {
            StreamEvent::Closed { how, at } => self.close = Some((how, at)),
            StreamEvent::Data { dir, at, .. } => {
                self.last = at;
                if let Some(spoke) = self.spoke.get_mut(dir.index()) {
                    *spoke = true;
                }
            }
            _ => {}
        }
        if !matches!(self.carries, Carries::Tls(..) | Carries::Plain(0))
            && let Some(Held { dir, bytes, at }) = self.recognise(event)
        {
            self.read(conn, StreamEvent::Data { dir, bytes: &bytes, at }, desk, keys, seen);
        }
        if !matches!(self.carries, Carries::Little(_)) {
            self.read(conn, event, desk, keys, seen);
        }
        self.tell(conn, keys, from, seen);
    }

    /// Keys have come: tries again what waits for them. `give_up`: or lets go of it.
    pub(super) fn retry(&mut self, give_up: bool, desk: &mut Desk, keys: &KeyLog, seen: &mut Vec<Seen>) {
        let Some(conn) = self.waits.as_ref().map(|(conn, _)| conn.clone()) else { return };
        let from = seen.len();
        self.decrypt(&conn, desk, keys, seen, |tls, cx| {
            tls.keys_added(cx);
            if give_up {
                tls.give_up(cx);
            }
        });
        // That would have been told when it was seen.
        if let Some(at) = self.untold().filter(|_| give_up) {
            let close = self.close.take();
            let last = std::mem::replace(&mut self.last, at);
            self.tell(&conn, keys, from, seen);
            desk.marks.push((seen.len(), at));
            (self.close, self.last) = (close, last);
        }
        self.tell(&conn, keys, from, seen);
    }

    /// Finds out what the connection carries, as far as this event tells. Gives what was held until now, to be read before it.
    fn recognise(&mut self, event: StreamEvent<'_>) -> Option<Held> {
        let data = if let StreamEvent::Data { dir, bytes, at } = event { Some((dir, bytes, at)) } else { None };
        match (&mut self.carries, data) {
            (Carries::Nothing, Some((dir, bytes, at))) => {
                self.carries = Carries::of(bytes).unwrap_or_else(|| Carries::Little(Held { dir, bytes: bytes.to_vec(), at }));
            }
            (Carries::Little(held), data) => {
                let found = match data.filter(|(dir, ..)| *dir == held.dir) {
                    Some((_, bytes, _)) => {
                        held.bytes.extend_from_slice(bytes);
                        let found = Carries::of(&held.bytes)?;
                        held.bytes.truncate(held.bytes.len().saturating_sub(bytes.len()));
                        found
                    }
                    None => Carries::Plain(SIGHT),
                };
                if let Carries::Little(held) = std::mem::replace(&mut self.carries, found) {
                    return Some(held);
                }
            }
            // The rest of a record whose beginning was not seen tells nothing, but the next record does.
            (Carries::Plain(left), Some((_, bytes, _))) => {
                *left = if self.http.client_dir().is_some() { 0 } else { left.saturating_sub(bytes.len()) };
                if *left > 0 && tls::sniff(bytes) == Probe::Records {
                    self.carries = Carries::Tls(Box::default(), Told::default());
                    self.http = http::Connection::new();
                }
            }
            _ => {}
        }
        None
    }

    fn read(&mut self, conn: &Conn, event: StreamEvent<'_>, desk: &mut Desk, keys: &KeyLog, seen: &mut Vec<Seen>) {
        if let Carries::Tls(..) = self.carries {
            return self.decrypt(conn, desk, keys, seen, |tls, cx| {
                if !tls.on_stream(event, cx) && cx.keys.is_complete() {
                    tls.give_up(cx);
                }
            });
        }
        let Stream { http, observer, .. } = self;
        let Desk { keyer, limits, counts, mcp_counts, memo, .. } = desk;
        let mut cx = http::Context { keyer, limits, counts, memo };
        http.on_stream(conn, event, &mut cx, &mut observer.listen(keyer, limits, mcp_counts, seen));
    }

    fn decrypt(
        &mut self,
        conn: &Conn,
        desk: &mut Desk,
        keys: &KeyLog,
        seen: &mut Vec<Seen>,
        with: impl FnOnce(&mut tls::Connection, &mut tls::Context<'_>),
    ) {
        let Stream { carries: Carries::Tls(tls, _), http, observer, tapped, .. } = self else { return };
        let Desk { keyer, limits, counts, mcp_counts, memo, bench, marks } = desk;
        marks.clear();
        let mut out = |event: StreamEvent<'_>| {
            if tapped.is_some() {
                return;
            }
            let mut cx = http::Context { keyer, limits, counts, memo };
            http.on_stream(conn, event, &mut cx, &mut observer.listen(keyer, limits, mcp_counts, seen));
            marks.extend(at(event).map(|at| (seen.len(), at)));
        };
        with(tls, &mut tls::Context { bench, keys, out: &mut out });
    }

    /// What was seen since `from` gets its names, and what can't be read is told.
    fn tell(&mut self, conn: &Conn, keys: &KeyLog, from: usize, seen: &mut Vec<Seen>) {
        // Which side is the client may show with the very bytes that are its first request.
        for seen in seen.get_mut(from..).unwrap_or_default() {
            match seen {
                Seen::Asked(exchange) => exchange.peers = self.peers(conn),
                Seen::Unseen(conduit) => conduit.peers = self.peers(conn),
                _ => {}
            }
        }
        if let Some(conduit) = self.conduit(conn, keys) {
            seen.push(Seen::Conduit(Box::new(conduit)));
        }
    }

    fn peers(&self, conn: &Conn) -> Peers {
        let via = if self.is_tls() { Via::TlsKeylog } else { self.via };
        let client = match &self.carries {
            Carries::Tls(tls, _) => self.http.client_dir().or(tls.facts().client),
            _ => self.http.client_dir(),
        };
        peers(conn, client.unwrap_or(Dir::AtoB), via)
    }

    /// What a connection that can't be read has to say for itself.
    fn conduit(&mut self, conn: &Conn, keys: &KeyLog) -> Option<Conduit> {
        let close = self.close;
        let kind = match &mut self.carries {
            Carries::Nothing => close.filter(|_| conn.opener_known).map(|_| ConduitKind::NoData)?,
            Carries::Little(_) | Carries::Plain(_) => return None,
            Carries::Tls(tls, told) => {
                // Its requests are seen elsewhere: it carries nothing unreadable, unless it failed before there was anything to read.
                if let Some(carried) = self.tapped
                    && (carried || close.is_none() || tls.facts().failed.is_none())
                {
                    let told = std::mem::replace(told, Told { open: told.open, closed: true });
                    return (told.open && !told.closed).then(|| self.as_conduit(conn, None, ConduitKind::NoData));
                }
                // Where records could be opened, requests will follow: unless a hole has swallowed their beginning.
                let readable = self.http.client_dir().is_some() || close.is_none() && tls.is_decrypted() && !tls.is_lossy();
                if told.closed || told.open && close.is_none() && !readable || !keys.is_complete() && tls.is_waiting() {
                    return None;
                }
                if readable {
                    // Told to be unreadable because of a hole, it can be read after all: that is taken back.
                    told.closed = told.open;
                    return told.open.then(|| self.as_conduit(conn, None, ConduitKind::NoData));
                }
                let facts = tls.facts();
                // With keys or without, a handshake that fails carries no request.
                if facts.decrypted && facts.failed.is_none() && !tls.is_lossy() {
                    return None;
                }
                // One word when requests may be on their way, and one at the end: between the two nothing changes that matters.
                if close.is_none() && tls.sealed_since().is_none() && !tls.is_lossy() {
                    return None;
                }
                *told = Told { open: true, closed: close.is_some() };
                ConduitKind::Tls {
                    server_name: facts.server_name,
                    alpn: facts.alpn,
                    failed: facts.failed,
                    bytes: facts.bytes,
                    first_answer: facts.first_answer,
                }
            }
        };
        Some(self.as_conduit(conn, close, kind))
    }

    fn as_conduit(&self, conn: &Conn, close: Option<(Close, Stamp)>, kind: ConduitKind) -> Conduit {
        let last = close.map_or(self.last, |(_, at)| if self.spoke == [false; 2] { at } else { self.last });
        Conduit {
            peers: self.peers(conn),
            id: ExId { conn: conn.id, n: 0 },
            start: conn.opened,
            last,
            close: close.map(|(how, _)| how),
            kind,
        }
    }
}

impl Carries {
    /// `None`: these are too few first bytes to tell.
    fn of(bytes: &[u8]) -> Option<Carries> {
        match tls::sniff(bytes) {
            Probe::Hello | Probe::Records => Some(Carries::Tls(Box::default(), Told::default())),
            Probe::No => Some(Carries::Plain(0)),
            Probe::Unsure if bytes.len() <= LITTLE => None,
            Probe::Unsure => Some(Carries::Plain(SIGHT)),
        }
    }
}

/// The packet of an event.
pub(super) fn at(event: StreamEvent<'_>) -> Option<Stamp> {
    match event {
        StreamEvent::Opened => None,
        StreamEvent::Data { at, .. } | StreamEvent::Gap { at, .. } | StreamEvent::Finished { at, .. } | StreamEvent::Closed { at, .. } => {
            Some(at)
        }
    }
}

fn peers(conn: &Conn, client: Dir, via: Via) -> Peers {
    let ([a, b], processes) = (conn.aliases.clone(), conn.processes.clone());
    let opened = conn.opener_known.then_some(conn.opened.ts);
    match client {
        Dir::AtoB => Peers { client: conn.a, server: conn.b, client_aliases: a, server_aliases: b, processes, via, opened },
        Dir::BtoA => Peers { client: conn.b, server: conn.a, client_aliases: b, server_aliases: a, processes, via, opened },
    }
}

/// First bytes that are too few to tell TLS by: a record's head and its message's type.
const LITTLE: usize = 5;
/// How far into a connection that was open before, TLS is recognised: two of its longest records, both ways.
const SIGHT: usize = 65_536;
