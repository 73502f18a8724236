//! The messages of one connection come in, what was asked and answered on it goes out, in the order in which it is known.
//! Decides from heads and first bytes what is worth reading: what is not MCP costs nothing more. Knows no other connection.

use crate::base::{Cause, ConnId, Counts, ExId, Gap, Keyer, Limits, Stamp};
use crate::http::{End, Part, RequestHead, ResponseHead, Sink, Want};

use super::jsonrpc::Means;
use super::open::{Open, Voice};
use super::{Asked, Conduit, ConduitKind, Exchange, Peers, Request, Seen};

/// Reads the exchanges of one connection. [`Observer::listen`] gives the [`Sink`].
#[derive(Debug)]
pub struct Observer {
    conn: ConnId,
    peers: Peers,
    /// In the order of their numbers.
    open: Vec<Open>,
    /// A request was seen: later ones were there to be seen.
    begun: bool,
}

impl Observer {
    /// For a connection between these.
    pub fn new(conn: ConnId, peers: Peers) -> Observer {
        Observer { conn, peers, open: Vec::new(), begun: false }
    }

    /// Its ends: aliases and sides may become known late. Exchanges that are asked from now on carry them.
    pub fn peers_mut(&mut self) -> &mut Peers {
        &mut self.peers
    }

    /// The sink for the next messages: what is seen goes to `out`. `counts` may be a set of its own, to be merged later.
    pub fn listen<'a>(&'a mut self, keyer: &'a Keyer, limits: &'a Limits, counts: &'a mut Counts, out: &'a mut Vec<Seen>) -> Listening<'a> {
        Listening { observer: self, means: Means { keyer, limits }, counts, out }
    }
}

/// An observer with what it needs to work.
pub struct Listening<'a> {
    observer: &'a mut Observer,
    means: Means<'a>,
    counts: &'a mut Counts,
    out: &'a mut Vec<Seen>,
}

impl Sink for Listening<'_> {
    fn request(&mut self, n: u32, head: RequestHead, at: Stamp) -> Want {
        self.observer.begun = true;
        let request = Request { start: at, last: at, end: End::Complete, head };
        let exchange = self.exchange(n, Some(request));
        let open = Open::new(exchange.id, exchange);
        let want = open.wants();
        self.insert(open);
        want
    }

    fn response(&mut self, n: u32, head: ResponseHead, at: Stamp) -> Want {
        if self.find(n).is_none() {
            let cause = if self.observer.begun { Cause::Lost } else { Cause::Before };
            let exchange = self.exchange(n, None);
            let open = Open::headless(exchange.id, exchange, Gap { len: None, cause });
            self.insert(open);
        }
        self.with(n, |open, voice| open.response(head, at, voice)).unwrap_or(Want::Nothing)
    }

    fn body(&mut self, n: u32, part: Part, bytes: &[u8], at: Stamp) {
        self.with(n, |open, voice| match part {
            Part::Request => open.request_body(bytes, voice),
            Part::Response => open.response_body(bytes, at, voice),
        });
    }

    fn hole(&mut self, n: u32, part: Part, gap: Gap, _at: Stamp) {
        self.with(n, |open, voice| match part {
            Part::Request => open.request_hole(gap),
            Part::Response => open.response_hole(gap, voice),
        });
    }

    fn missed(&mut self, n: u32, part: Part, gap: Gap, _at: Stamp) {
        if part == Part::Response {
            self.with(n, |open, voice| open.say(Seen::Missed(open.id, gap), voice));
        }
    }

    fn unseen(&mut self, _gap: Gap, since: Stamp, at: Stamp) {
        let Observer { conn, peers, .. } = &*self.observer;
        // One that was not spoken on before began no earlier than it was opened: with nothing.
        let start = if since == Stamp::default() { at } else { since };
        let (id, peers) = (ExId { conn: *conn, n: 0 }, peers.clone());
        self.out.push(Seen::Unseen(Box::new(Conduit { peers, id, start, last: at, close: None, kind: ConduitKind::Unknown })));
    }

    fn end(&mut self, n: u32, part: Part, end: End, at: Stamp) {
        self.with(n, |open, voice| match part {
            Part::Request => open.request_end(end, at, voice),
            Part::Response => open.response_end(end, at, voice),
        });
        self.sweep(n);
    }

    fn unanswered(&mut self, n: u32, end: End, at: Stamp) {
        self.with(n, |open, voice| open.finish(false, end, at, voice));
        self.sweep(n);
    }

    fn upgraded(&mut self, n: u32, at: Stamp) {
        self.with(n, |open, voice| open.upgraded(at, voice));
        self.sweep(n);
    }
}

impl Listening<'_> {
    fn exchange(&self, n: u32, request: Option<Request>) -> Box<Exchange> {
        let id = ExId { conn: self.observer.conn, n };
        Box::new(Exchange { id, peers: self.observer.peers.clone(), request, asked: Asked::Other })
    }

    fn find(&self, n: u32) -> Option<usize> {
        // HTTP/1 has one, HTTP/2 may have thousands.
        self.observer.open.binary_search_by_key(&n, |open| open.id.n).ok()
    }

    fn insert(&mut self, open: Open) {
        let at = self.observer.open.partition_point(|other| other.id.n < open.id.n);
        if self.observer.open.get(at).is_some_and(|other| other.id == open.id) {
            self.observer.open.remove(at);
        }
        self.observer.open.insert(at, open);
    }

    fn with<T>(&mut self, n: u32, work: impl FnOnce(&mut Open, &mut Voice<'_>) -> T) -> Option<T> {
        let at = self.find(n)?;
        let Observer { peers, open, .. } = &mut *self.observer;
        let mut voice = Voice { means: self.means, peers, counts: self.counts, out: self.out };
        open.get_mut(at).map(|open| work(open, &mut voice))
    }

    fn sweep(&mut self, n: u32) {
        if let Some(at) = self.find(n)
            && self.observer.open.get(at).is_some_and(Open::is_over)
        {
            self.observer.open.remove(at);
            if self.observer.open.is_empty() {
                self.observer.open.shrink_to(SPARE);
            }
        }
    }
}

/// Places kept for the next exchanges of an idle connection.
const SPARE: usize = 1;
