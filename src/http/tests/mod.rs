//! The room as its neighbours use it: events of a connection in, calls of the sink out.

mod holes;
mod limits;
mod rules;
mod splits;
mod starts;

use std::collections::BTreeMap;

use super::*;
use crate::base::{Addr, Cause, ConnId, Count, Dir, Ts};
use crate::tcp::{Close, Conn, StreamEvent};

pub(super) const C: Dir = Dir::AtoB;
pub(super) const S: Dir = Dir::BtoA;

/// Writes down what it is told, in short lines, and holds the room to the sink's contract.
#[derive(Default)]
pub(super) struct Tape {
    pub(super) lines: Vec<String>,
    pub(super) messages: BTreeMap<(u32, Part), Message>,
    pub(super) unanswered: BTreeMap<u32, End>,
    pub(super) nothing: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Path of a request, `Server` of a response.
    pub(super) name: String,
    pub(super) body: Vec<u8>,
    pub(super) holes: usize,
    pub(super) end: Option<End>,
}

impl Tape {
    fn begin(&mut self, n: u32, part: Part, name: String) -> Want {
        assert!(self.messages.insert((n, part), Message { name, ..Message::default() }).is_none(), "{part:?} {n} begins twice");
        if self.nothing { Want::Nothing } else { Want::Body }
    }

    fn open(&mut self, n: u32, part: Part) -> &mut Message {
        let message = self.messages.get_mut(&(n, part)).expect("begun");
        assert_eq!(message.end, None, "{part:?} {n} is over");
        message
    }

    /// Each message that began has its end, and each request an answer or the word that there is none.
    pub(super) fn check(&self, upgraded: bool) {
        for ((n, part), message) in &self.messages {
            assert!(message.end.is_some(), "{part:?} {n} has no end");
            let answered = self.messages.contains_key(&(*n, Part::Response)) || self.unanswered.contains_key(n);
            assert!(*part == Part::Response || answered || upgraded, "{n} is neither answered nor unanswered");
        }
    }
}

fn letter(part: Part) -> char {
    if part == Part::Request { 'q' } else { 's' }
}

impl Sink for Tape {
    fn request(&mut self, n: u32, head: RequestHead, _: Stamp) -> Want {
        self.lines.push(format!("q{n} {} {}", head.method, head.path));
        self.begin(n, Part::Request, head.path)
    }

    fn response(&mut self, n: u32, head: ResponseHead, _: Stamp) -> Want {
        self.lines.push(format!("s{n} {}", head.status));
        self.begin(n, Part::Response, head.server.unwrap_or_default())
    }

    fn body(&mut self, n: u32, part: Part, bytes: &[u8], _: Stamp) {
        assert!(!bytes.is_empty() && !self.nothing);
        self.open(n, part).body.extend_from_slice(bytes);
        let start = format!("{}{n} | ", letter(part));
        match self.lines.last_mut().filter(|line| line.starts_with(&start)) {
            Some(line) => line.push_str(&String::from_utf8_lossy(bytes)),
            None => self.lines.push(start + &String::from_utf8_lossy(bytes)),
        }
    }

    fn hole(&mut self, n: u32, part: Part, gap: Gap, _: Stamp) {
        self.open(n, part).holes += 1;
        self.lines.push(format!("{}{n} hole {:?}", letter(part), gap.len));
    }

    fn end(&mut self, n: u32, part: Part, end: End, _: Stamp) {
        self.open(n, part).end = Some(end);
        self.lines.push(format!("{}{n} end{}", letter(part), shown(end)));
    }

    fn unanswered(&mut self, n: u32, end: End, _: Stamp) {
        assert!(self.messages.contains_key(&(n, Part::Request)) && !self.messages.contains_key(&(n, Part::Response)));
        assert!(self.unanswered.insert(n, end).is_none());
        self.lines.push(format!("q{n} unanswered{}", shown(end)));
    }

    fn upgraded(&mut self, n: u32, _: Stamp) {
        self.lines.push(format!("q{n} upgraded"));
    }
}

fn shown(end: End) -> String {
    match end {
        End::Complete => String::new(),
        End::Broken(how) => format!(" {how:?}"),
        End::Unseen(gap) => format!(" unseen {}", gap.cause.as_str()),
    }
}

/// A connection with everything it borrows.
pub(super) struct Bench {
    pub(super) connection: Connection,
    pub(super) conn: Conn,
    pub(super) tape: Tape,
    pub(super) counts: Counts,
    pub(super) limits: Limits,
    keyer: Keyer,
    memo: Memo,
    ord: u64,
}

impl Bench {
    pub(super) fn new(opener_known: bool) -> Bench {
        let (a, b) = (Addr::v4([10, 0, 0, 1], 5000), Addr::v4([10, 0, 0, 2], 80));
        let opened = Stamp::default();
        Bench {
            connection: Connection::new(),
            conn: Conn { id: ConnId(1), slot: 0, a, b, opener_known, opened, aliases: [vec![], vec![]], processes: vec![] },
            tape: Tape::default(),
            counts: Counts::default(),
            limits: Limits::default(),
            keyer: Keyer::new([1; 32]),
            memo: Memo::new(),
            ord: 0,
        }
    }

    fn on(&mut self, make: impl FnOnce(Stamp) -> StreamEvent<'static>) {
        self.ord += 1;
        let at = Stamp { ord: self.ord, ts: Ts(self.ord as i64), frame: self.ord, file: 0 };
        self.feed(make(at));
    }

    fn feed(&mut self, event: StreamEvent<'_>) {
        let cx = &mut Context { keyer: &self.keyer, limits: &self.limits, counts: &mut self.counts, memo: &mut self.memo };
        self.connection.on_stream(&self.conn, event, cx, &mut self.tape);
    }

    pub(super) fn data(&mut self, dir: Dir, bytes: &[u8]) {
        self.ord += 1;
        if !bytes.is_empty() {
            let at = Stamp { ord: self.ord, ts: Ts(self.ord as i64), frame: self.ord, file: 0 };
            self.feed(StreamEvent::Data { dir, bytes, at });
        }
    }

    pub(super) fn gap(&mut self, dir: Dir, len: Option<u64>) {
        self.on(|at| StreamEvent::Gap { dir, gap: Gap { len, cause: Cause::Lost }, at });
    }

    pub(super) fn before(&mut self, dir: Dir) {
        self.on(|at| StreamEvent::Gap { dir, gap: Gap { len: None, cause: Cause::Before }, at });
    }

    pub(super) fn finished(&mut self, dir: Dir) {
        self.on(|at| StreamEvent::Finished { dir, at });
    }

    pub(super) fn closed(&mut self, how: Close) {
        self.on(|at| StreamEvent::Closed { how, at });
    }

    /// The lines since the last time.
    pub(super) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.tape.lines)
    }
}

/// What a dialogue on a new connection yields, closed in order at its end by the server, then the client.
pub(super) fn talk(dialogue: &[(Dir, &str)]) -> Vec<String> {
    let mut bench = Bench::new(true);
    for (dir, text) in dialogue {
        bench.data(*dir, text.as_bytes());
    }
    bench.finished(S);
    bench.finished(C);
    bench.closed(Close::Finished);
    let upgraded = bench.tape.lines.iter().any(|line| line.ends_with("upgraded"));
    bench.tape.check(upgraded);
    bench.lines()
}
