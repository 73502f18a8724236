//! A sink that holds the HTTP room to its contract and keeps what a body said.

use std::collections::BTreeMap;

use gatewitness::base::{Addr, Cause, ConnId, Count, Counts, Gap, Keyer, Limits, Stamp};
use gatewitness::http::{Connection, Context, End, Memo, Part, RequestHead, ResponseHead, Sink, Want};
use gatewitness::mcp::{Observer, Peers, Seen};
use gatewitness::tcp::{Conn, StreamEvent};

use crate::script::{Step, stamp};

/// What was said of one message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub head: String,
    pub body: Vec<u8>,
    pub holes: usize,
    pub end: Option<End>,
}

/// Everything that was said, by exchange and half.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tape {
    pub messages: BTreeMap<(u32, Part), Message>,
    unanswered: BTreeMap<u32, End>,
    upgraded: bool,
}

impl Tape {
    fn open(&mut self, n: u32, part: Part) -> &mut Message {
        let message = self.messages.get_mut(&(n, part)).expect("a message begins before it goes on");
        assert!(message.end.is_none(), "{part:?} {n} goes on after its end");
        message
    }

    fn begin(&mut self, n: u32, part: Part, head: String) -> Want {
        let message = Message { head, ..Message::default() };
        assert!(self.messages.insert((n, part), message).is_none(), "{part:?} {n} begins twice");
        Want::Body
    }

    /// Where both tell of a damaged body, only what both tell of it is kept.
    fn shorten_damaged(&mut self, other: &mut Tape) {
        for (key, message) in &mut self.messages {
            let Some(other) = other.messages.get_mut(key) else { continue };
            let damaged = |message: &Message| matches!(message.end, Some(End::Unseen(Gap { cause: Cause::Garbled, .. })));
            if damaged(message) && damaged(other) {
                let both = message.body.len().min(other.body.len());
                message.body.truncate(both);
                other.body.truncate(both);
            }
        }
    }

    /// Every message that began has ended; every request is answered, or is said not to be.
    fn check(&self) {
        for ((n, part), message) in &self.messages {
            assert!(message.end.is_some(), "{part:?} {n} has no end");
            let answered = self.messages.contains_key(&(*n, Part::Response)) || self.unanswered.contains_key(n);
            assert!(*part == Part::Response || answered || self.upgraded, "{n} is neither answered nor unanswered");
        }
    }
}

impl Sink for Tape {
    fn request(&mut self, n: u32, head: RequestHead, _: Stamp) -> Want {
        self.begin(n, Part::Request, format!("{} {}", head.method, head.path))
    }

    fn response(&mut self, n: u32, head: ResponseHead, _: Stamp) -> Want {
        self.begin(n, Part::Response, head.status.to_string())
    }

    fn body(&mut self, n: u32, part: Part, bytes: &[u8], _: Stamp) {
        assert!(!bytes.is_empty());
        self.open(n, part).body.extend(bytes);
    }

    fn hole(&mut self, n: u32, part: Part, _: Gap, _: Stamp) {
        self.open(n, part).holes += 1;
    }

    fn end(&mut self, n: u32, part: Part, end: End, _: Stamp) {
        self.open(n, part).end = Some(end);
    }

    fn unanswered(&mut self, n: u32, end: End, _: Stamp) {
        assert!(self.messages.contains_key(&(n, Part::Request)) && !self.messages.contains_key(&(n, Part::Response)));
        assert!(self.unanswered.insert(n, end).is_none(), "{n} is unanswered twice");
    }

    fn upgraded(&mut self, _: u32, _: Stamp) {
        self.upgraded = true;
    }
}

/// One connection with all that it borrows.
pub struct Bench {
    connection: Connection,
    conn: Conn,
    keyer: Keyer,
    memo: Memo,
    counts: Counts,
    limits: Limits,
}

impl Bench {
    /// Between two strangers.
    pub fn new(opener_known: bool) -> Bench {
        let (a, b) = (Addr::v4([10, 0, 0, 1], 5000), Addr::v4([10, 0, 0, 2], 80));
        Bench {
            connection: Connection::new(),
            conn: Conn { id: ConnId(1), slot: 0, a, b, opener_known, opened: Stamp::default(), aliases: [vec![], vec![]], processes: vec![] },
            keyer: Keyer::new([1; 32]),
            memo: Memo::new(),
            counts: Counts::default(),
            limits: Limits::default(),
        }
    }

    /// The next event.
    pub fn feed(&mut self, event: StreamEvent<'_>, sink: &mut dyn Sink) {
        let cx = &mut Context { keyer: &self.keyer, limits: &self.limits, counts: &mut self.counts, memo: &mut self.memo };
        self.connection.on_stream(&self.conn, event, cx, sink);
    }

    /// The whole story, heard by a tape that is then checked; each stretch of bytes in pieces as `cut` says (of what is left).
    pub fn tell(mut self, steps: &[Step<'_>], mut cut: impl FnMut(usize) -> usize) -> (Tape, Counts) {
        let mut tape = Tape::default();
        self.walk(steps, &mut cut, &mut tape);
        tape.check();
        (tape, self.counts)
    }

    /// Told whole and told in pieces, a story is the same: where nothing is missing and nothing senseless, since behind either a
    /// message is believed to begin with a packet. Of a damaged body one may tell more than the other, not otherwise: libraries that undo
    /// a coding do not say what they made of a piece before its damage.
    pub fn same(known: bool, steps: &[Step<'_>], cut: impl FnMut(usize) -> usize) {
        let (mut whole, counts) = Bench::new(known).tell(steps, |all| all);
        let (mut cut, _) = Bench::new(known).tell(steps, cut);
        let holes = steps.iter().any(|step| matches!(step, Step::Gap(..)));
        if known && !holes && counts.get(Count::GarbledStreams) == 0 {
            whole.shorten_damaged(&mut cut);
            assert_eq!(whole, cut);
        }
    }

    /// The whole story, heard by the MCP room; what it saw, in words.
    pub fn observe(mut self, steps: &[Step<'_>], mut cut: impl FnMut(usize) -> usize) -> Vec<String> {
        let (a, b) = (self.conn.a, self.conn.b);
        let peers = Peers { client: a, server: b, client_aliases: vec![], server_aliases: vec![], processes: vec![], opened: None, via: Default::default() };
        let mut observer = Observer::new(self.conn.id, peers);
        let (keyer, limits, mut counts, mut seen) = (self.keyer.clone(), self.limits.clone(), Counts::default(), Vec::new());
        self.walk(steps, &mut cut, &mut observer.listen(&keyer, &limits, &mut counts, &mut seen));
        seen.iter().map(|seen: &Seen| format!("{seen:?}")).collect()
    }

    fn walk(&mut self, steps: &[Step<'_>], cut: &mut impl FnMut(usize) -> usize, sink: &mut dyn Sink) {
        self.feed(StreamEvent::Opened, sink);
        for (n, step) in steps.iter().enumerate() {
            let ord = n as u64 + 2;
            let Step::Data(dir, mut bytes) = *step else {
                self.feed(step.event(ord), sink);
                continue;
            };
            while !bytes.is_empty() {
                let (piece, rest) = bytes.split_at(cut(bytes.len()).clamp(1, bytes.len()));
                self.feed(StreamEvent::Data { dir, bytes: piece, at: stamp(ord) }, sink);
                bytes = rest;
            }
        }
    }
}
