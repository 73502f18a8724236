//! Plaintext that a process handed to its TLS library enters the road here: as ordered bytes with holes, like those of a packet stream.
//!
//! The same connection is seen in the packets, encrypted. Both are tied by the random of its hello, which the process drew and which
//! stands in the packets: so the plaintext gets its addresses, whoever owns the socket, and the encrypted copy is not counted again.
//! Where no packet shows a hello, `sizes` may tell later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::sizes::{Found, Sizes};
use super::stream::{Desk, Stream};
use crate::base::{Addr, Cause, ConnId, Count, Dir, Gap, Plain, PlainId, Process, Stamp, Ts, Word};
use crate::mcp::{Peers, Seen};
use crate::tcp::{Close, Conn, StreamEvent};
use crate::tls::KeyLog;

/// All of them.
#[derive(Default)]
pub(super) struct Taps {
    open: BTreeMap<PlainId, Tap>,
    /// Randoms that were drawn and not yet met in a packet.
    drawn: Recent<PlainId>,
    /// Randoms of hellos in packets that nobody was seen to draw yet.
    met: Recent<Met>,
    /// What the connections of the packets are tied to, and whether plaintext came.
    ties: BTreeMap<ConnId, (PlainId, bool)>,
    /// What tells the others.
    sizes: Sizes,
    /// Those whose connection is over in the packets.
    closing: BTreeSet<(Ts, PlainId)>,
}

/// A connection, as the process uses it: side a is its own.
struct Tap {
    conn: Conn,
    stream: Stream,
    /// Place of the next byte: written, read.
    next: [u64; 2],
    name: Option<String>,
    addressed: bool,
    /// Its other end is watched as well, and was first.
    muted: bool,
    tie: Option<ConnId>,
    closed: Option<(Close, Stamp)>,
    last: Ts,
}

/// What reads the plaintext, and where what it says goes.
pub(super) struct Reader<'a> {
    pub(super) desk: &'a mut Desk,
    pub(super) keys: &'a KeyLog,
    pub(super) seen: &'a mut Vec<Seen>,
}

/// A hello in the packets.
#[derive(Clone)]
struct Met {
    conn: Conn,
    /// The side that drew the random.
    side: Dir,
}

impl Taps {
    /// The next word of a connection. Where it turns out which packet stream it is, that is returned.
    pub(super) fn push(&mut self, plain: Plain, at: Stamp, to: &mut Reader<'_>) -> Option<Conn> {
        let Plain { id, born, word } = plain;
        if let Word::Gone = word {
            let gone = self.open.range(PlainId { pid: id.pid, ..PlainId::default() }..).map(|(id, _)| *id);
            for id in gone.take_while(|open| open.pid == id.pid).collect::<Vec<_>>() {
                self.close(id, Close::Finished, at, to);
            }
            return None;
        }
        if !self.open.contains_key(&id) {
            if matches!(word, Word::Freed { .. }) {
                return None;
            }
            self.begin(id, born, at, to);
        }
        let tap = self.open.get_mut(&id)?;
        tap.last = at.ts;
        match word {
            Word::Bytes { written, off, len, bytes } => {
                let dir = if written { Dir::AtoB } else { Dir::BtoA };
                tap.bytes(dir, off, len, bytes.as_deref(), at, to);
                if written && tap.tie.is_none() && !tap.muted {
                    self.sizes.wrote(id, at.ts, off, len);
                }
                if let Some((_, carried)) = tap.tie.and_then(|tie| self.ties.get_mut(&tie)) {
                    *carried = true;
                }
            }
            Word::Name(name) => tap.name = Some(name),
            Word::Random(random) => {
                let mark = mark(&random);
                let Some(met) = self.met.take(&mark) else {
                    self.drawn.put(mark, id);
                    return None;
                };
                let conn = met.conn.clone();
                return self.tie(id, met, to.desk).then_some(conn);
            }
            Word::Ends(own, other) if !tap.addressed => {
                (tap.conn.a, tap.conn.b, tap.addressed) = (own, other, true);
            }
            Word::Freed { written, read } => {
                for (dir, end) in [(Dir::AtoB, written), (Dir::BtoA, read)] {
                    tap.skip_to(dir, end, at, to);
                }
                let how = tap.closed.map_or(Close::Finished, |(how, _)| how);
                self.close(id, how, at, to);
            }
            Word::Ends(..) | Word::Gone => {}
        }
        None
    }

    /// A hello in the packets, and which side drew its random. Returns whether its connection turns out to be one of these.
    pub(super) fn meet(&mut self, conn: &Conn, random: &[u8; 32], side: Dir, desk: &mut Desk) -> bool {
        let (mark, met) = (mark(random), Met { conn: conn.clone(), side });
        match self.drawn.take(&mark) {
            Some(id) => self.tie(id, met, desk),
            None => {
                self.met.put(mark, met);
                false
            }
        }
    }

    /// Records were sealed on a connection in the packets, as this event tells.
    pub(super) fn sealed(&mut self, conn: &Conn, event: StreamEvent<'_>, sizes: Vec<(Dir, u16, Ts)>) {
        match event {
            StreamEvent::Gap { dir, .. } => self.sizes.holed(conn.id, dir),
            StreamEvent::Closed { .. } => return self.sizes.forget_stream(conn.id),
            _ => {}
        }
        if !sizes.is_empty() && !self.ties.contains_key(&conn.id) {
            sizes.into_iter().for_each(|(dir, len, at)| self.sizes.sealed(conn, dir, len, at));
        }
    }

    /// A connection is over in the packets. Returns whether plaintext came, if it is one of these.
    pub(super) fn closed(&mut self, conn: &Conn, how: Close, at: Stamp) -> Option<bool> {
        let (id, carried) = self.ties.remove(&conn.id)?;
        if let Some(tap) = self.open.get_mut(&id) {
            // What has arrived may still be read by the process.
            tap.closed = Some((how, at));
            self.closing.insert((at.ts, id));
        }
        Some(carried)
    }

    /// Time has passed. Returns packet streams of which it turned out that they are some connection's here.
    pub(super) fn tick(&mut self, now: Ts, to: &mut Reader<'_>) -> Vec<Conn> {
        let counts = &mut to.desk.counts;
        let found = self.sizes.look(now, || counts.bump(Count::TappedAmbiguous));
        let mut tied = Vec::new();
        for Found { id, conn, dir } in found {
            if self.tie(id, Met { conn: conn.clone(), side: dir }, to.desk) {
                to.desk.counts.bump(Count::TappedSized);
                self.ties.insert(conn.id, (id, true));
                tied.push(conn);
            }
        }
        while let Some((at, id)) = self.closing.first().copied().filter(|(at, _)| now.since(*at) > LINGER) {
            self.closing.remove(&(at, id));
            if let Some((how, at)) = self.open.get(&id).and_then(|tap| tap.closed) {
                self.close(id, how, at, to);
            }
        }
        tied
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, at: Stamp, to: &mut Reader<'_>) {
        while let Some(id) = self.open.keys().next().copied() {
            let how = self.open.get(&id).and_then(|tap| tap.closed).map_or(Close::CaptureEnd, |(how, _)| how);
            self.close(id, how, at, to);
        }
    }

    fn begin(&mut self, id: PlainId, born: bool, at: Stamp, to: &mut Reader<'_>) {
        if self.open.len() >= to.desk.limits.tapped_connections
            && let Some((_, oldest)) = self.open.iter().map(|(id, tap)| (tap.last, *id)).min()
        {
            self.close(oldest, Close::Evicted, at, to);
        }
        to.desk.counts.bump(Count::TappedConnections);
        let nowhere = Addr::unseen("");
        let conn = Conn {
            id: ConnId(at.ord),
            slot: usize::MAX,
            a: nowhere,
            b: nowhere,
            opener_known: false,
            opened: at,
            aliases: Default::default(),
            processes: vec![Arc::new(Process { pid: Some(id.pid), ..Process::default() })],
        };
        let stream = Stream::plain(&conn);
        let mut tap = Tap { conn, stream, next: [0; 2], name: None, addressed: false, muted: false, tie: None, closed: None, last: at.ts };
        tap.say(StreamEvent::Opened, to);
        if !born {
            for dir in [Dir::AtoB, Dir::BtoA] {
                tap.say(StreamEvent::Gap { dir, gap: Gap { len: None, cause: Cause::Before }, at }, to);
            }
        }
        self.open.insert(id, tap);
    }

    /// A hello in the packets is that of a connection here. Not so where the other end is watched as well, and was first: one copy is enough.
    fn tie(&mut self, id: PlainId, met: Met, desk: &mut Desk) -> bool {
        let Some(tap) = self.open.get_mut(&id) else { return false };
        if self.ties.contains_key(&met.conn.id) {
            tap.muted = true;
            return false;
        }
        desk.counts.bump(Count::TappedTied);
        let [a, b] = met.conn.aliases;
        let (own, other) = match met.side {
            Dir::AtoB => ((met.conn.a, a), (met.conn.b, b)),
            Dir::BtoA => ((met.conn.b, b), (met.conn.a, a)),
        };
        (tap.conn.a, tap.conn.b, tap.conn.aliases) = (own.0, other.0, [own.1, other.1]);
        tap.addressed = true;
        tap.tie = Some(met.conn.id);
        self.sizes.forget(id);
        self.sizes.forget_stream(met.conn.id);
        self.ties.insert(met.conn.id, (id, false));
        true
    }

    fn close(&mut self, id: PlainId, how: Close, at: Stamp, to: &mut Reader<'_>) {
        self.sizes.forget(id);
        let Some(mut tap) = self.open.remove(&id) else { return };
        if let Some((_, at)) = tap.closed {
            self.closing.remove(&(at.ts, id));
        }
        tap.say(StreamEvent::Closed { how, at }, to);
    }
}

impl Tap {
    fn bytes(&mut self, dir: Dir, off: u64, len: u64, bytes: Option<&[u8]>, at: Stamp, to: &mut Reader<'_>) {
        self.skip_to(dir, off, at, to);
        match bytes {
            Some(bytes) if !bytes.is_empty() => self.say(StreamEvent::Data { dir, bytes, at }, to),
            _ => self.hole(dir, len, at, to),
        }
        if let Some(next) = self.next.get_mut(dir.index()) {
            *next = off.saturating_add(len);
        }
    }

    /// What comes next stands at `off`: what lies between was dropped.
    fn skip_to(&mut self, dir: Dir, off: u64, at: Stamp, to: &mut Reader<'_>) {
        let Some(next) = self.next.get_mut(dir.index()) else { return };
        let missing = off.saturating_sub(*next);
        *next = off;
        self.hole(dir, missing, at, to);
    }

    fn hole(&mut self, dir: Dir, len: u64, at: Stamp, to: &mut Reader<'_>) {
        if len > 0 {
            to.desk.counts.bump(Count::Gaps);
            to.desk.counts.add(Count::GapBytes, len);
            self.say(StreamEvent::Gap { dir, gap: Gap { len: Some(len), cause: Cause::Limit }, at }, to);
        }
    }

    fn say(&mut self, event: StreamEvent<'_>, to: &mut Reader<'_>) {
        if self.muted {
            return;
        }
        let from = to.seen.len();
        self.stream.on_stream(&self.conn, event, to.desk, to.keys, to.seen);
        if self.addressed {
            return;
        }
        for seen in to.seen.get_mut(from..).unwrap_or_default() {
            if let Seen::Asked(exchange) = seen {
                let host = exchange.request.as_ref().and_then(|request| request.head.host.as_deref());
                exchange.peers = self.unseen(host);
            }
        }
    }

    /// Who speaks to whom where no packet shows it: the server by the name that it is asked for.
    fn unseen(&self, host: Option<&str>) -> Peers {
        let server = Addr::unseen(host.or(self.name.as_deref()).unwrap_or_default());
        let own = Addr::unseen("");
        let (processes, via) = (self.conn.processes.clone(), crate::base::Via::TlsEbpf);
        Peers { client: own, server, client_aliases: Vec::new(), server_aliases: Vec::new(), processes, via, opened: None }
    }
}

/// A bounded memory by randoms: the oldest is forgotten.
struct Recent<T> {
    known: BTreeMap<Mark, T>,
    order: VecDeque<Mark>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { known: BTreeMap::new(), order: VecDeque::new() }
    }
}

impl<T> Recent<T> {
    fn put(&mut self, mark: Mark, what: T) {
        if self.known.insert(mark, what).is_none() {
            self.order.push_back(mark);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    fn take(&mut self, mark: &Mark) -> Option<T> {
        self.known.remove(mark)
    }
}

/// A random without its end: there, a server says that it could have spoken a newer version (RFC 8446, section 4.1.3).
type Mark = [u8; 24];

fn mark(random: &[u8; 32]) -> Mark {
    let mut mark = [0; 24];
    mark.copy_from_slice(&random[..24]);
    mark
}

/// Randoms remembered.
const REMEMBERED: usize = 4_096;
/// How long a process may take to read what has arrived after its connection is over, nanoseconds of packet time.
const LINGER: i64 = 2_000_000_000;
