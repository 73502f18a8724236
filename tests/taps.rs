//! Plaintext that a process handed to its TLS library, told to the engine word by word: which exchange comes out, with which holes.

use gatewitness::base::{Addr, Count, Keyer, Limits, Plain, PlainId, Stamp, Ts, Word};
use gatewitness::correlate::Leg;
use gatewitness::http::End;
use gatewitness::pipeline::{Engine, Loss, Options, Output, Summary};
use gatewitness::verdict::{Finding, Judged};

#[test]
fn pieces_of_both_directions_are_one_exchange_at_the_sockets_ends() {
    let mut told = Told::new(&Limits::default());
    let ends = Word::Ends("10.0.0.5:40000".parse::<Addr>().unwrap(), "10.0.0.9:443".parse::<Addr>().unwrap());
    told.say(A, ends);
    let (ask, answer) = (ask("/mcp"), answer(200, "{}"));
    let (first, rest) = ask.split_at(11);
    told.write(A, 0, first);
    told.write(A, 11, rest);
    told.read(A, 0, &answer);
    told.say(A, Word::Freed { written: ask.len() as u64, read: answer.len() as u64 });
    let (legs, summary) = told.end();
    assert_eq!(shown(&legs), ["10.0.0.5:40000 10.0.0.9:443 /mcp Some(200) whole"]);
    assert_eq!((summary.counts.get(Count::TappedConnections), summary.counts.get(Count::GapBytes)), (1, 0));
}

#[test]
fn what_the_ring_dropped_is_a_hole_of_exact_length() {
    for (lost, at_end) in [(9, false), (9, true)] {
        let mut told = Told::new(&Limits::default());
        let (ask, answer) = (ask("/mcp"), answer(200, "0123456789012345678901234567890"));
        told.write(A, 0, &ask);
        let (kept, cut) = answer.split_at(answer.len() - lost);
        if at_end {
            // Nothing comes behind it: only the end tells how much there was.
            told.read(A, 0, kept);
        } else {
            told.read(A, 0, &kept[..kept.len() - 5]);
            told.read(A, (kept.len() + lost - 5) as u64, &cut[..5]);
        }
        told.say(A, Word::Freed { written: ask.len() as u64, read: answer.len() as u64 });
        let (legs, summary) = told.end();
        assert_eq!(shown(&legs), ["[100::]:0 [unseen] /mcp Some(200) holed"], "{at_end}");
        assert_eq!((summary.counts.get(Count::Gaps), summary.counts.get(Count::GapBytes)), (1, lost as u64), "{at_end}");
    }
}

#[test]
fn a_stretch_that_could_not_be_read_is_a_hole_too() {
    let mut told = Told::new(&Limits::default());
    told.write(A, 0, &ask("/mcp"));
    let answer = answer(200, "0123456789");
    told.read(A, 0, &answer[..answer.len() - 10]);
    told.say(A, Word::Bytes { written: false, off: answer.len() as u64 - 10, len: 10, bytes: None });
    let (legs, summary) = told.end();
    assert_eq!((shown(&legs)[0].ends_with("holed"), summary.counts.get(Count::GapBytes)), (true, 10));
}

#[test]
fn a_pointer_that_is_used_again_is_another_connection() {
    let mut told = Told::new(&Limits::default());
    let again = PlainId { generation: 2, ..A };
    // The first is cut off in its answer; what comes under the same pointer must not go on with it.
    told.write(A, 0, &ask("/first"));
    told.read(A, 0, b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nabc");
    told.write(again, 0, &ask("/second"));
    told.read(again, 0, &answer(401, "{}"));
    let (legs, summary) = told.end();
    assert_eq!(shown(&legs), ["[100::]:0 [unseen] /second Some(401) whole", "[100::]:0 [unseen] /first Some(200) holed"]);
    assert_eq!(summary.counts.get(Count::TappedConnections), 2);
}

#[test]
fn a_process_that_is_gone_ends_its_connections_and_no_others() {
    let mut told = Told::new(&Limits::default());
    let other = PlainId { pid: A.pid + 1, ..A };
    // An answer without a length ends with its connection.
    for id in [A, PlainId { ssl: 9, ..A }, other] {
        told.write(id, 0, &ask("/mcp"));
        told.read(id, 0, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
    }
    told.say(A, Word::Gone);
    assert_eq!(told.engine.out().0.iter().filter(|leg| leg.done.is_some()).count(), 2);
}

#[test]
fn one_that_was_open_before_begins_with_its_next_request() {
    let mut told = Told::new(&Limits::default());
    told.born = false;
    told.read(A, 0, b"the rest of an answer that nobody saw the beginning of");
    told.write(A, 0, &ask("/mcp"));
    told.read(A, 54, &answer(200, "{}"));
    let (legs, summary) = told.end();
    assert_eq!(shown(&legs).last().map(String::as_str), Some("[100::]:0 [unseen] /mcp Some(200) whole"), "{:?}", shown(&legs));
    assert_eq!(summary.counts.get(Count::GapBytes), 0, "how much was before is not known");
}

#[test]
fn the_one_longest_silent_makes_room() {
    let mut told = Told::new(&Limits { tapped_connections: 2, ..Limits::default() });
    let of = |ssl| PlainId { ssl, ..A };
    told.write(of(1), 0, &ask("/one"));
    told.write(of(2), 0, &ask("/two"));
    told.read(of(1), 0, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12");
    told.write(of(3), 0, &ask("/three"));
    // The second was silent for the longest, and is closed; the first goes on.
    told.read(of(1), 40, b"345");
    let (legs, _) = told.end();
    let paths: Vec<String> = shown(&legs).iter().filter(|line| line.ends_with("whole")).cloned().collect();
    assert_eq!(paths, ["[100::]:0 [unseen] /one Some(200) whole"], "{:?}", shown(&legs));
}

const A: PlainId = PlainId { pid: 7, ssl: 0x5000, generation: 1 };

struct Told {
    engine: Engine<Legs>,
    ord: u64,
    born: bool,
}

impl Told {
    fn new(limits: &Limits) -> Told {
        let options = Options { limits: limits.clone(), keyer: Keyer::new([7; 32]), gateways: Vec::new(), stall_after: 60_000_000_000 };
        Told { engine: Engine::new(options, Legs::default()), ord: 0, born: true }
    }

    fn say(&mut self, id: PlainId, word: Word) {
        self.ord += 1;
        let at = Stamp { ord: self.ord, ts: Ts(1_760_000_000_000_000_000 + self.ord as i64 * 1_000_000), frame: 0, file: 0 };
        self.engine.plain(Plain { id, born: self.born, word }, at);
    }

    fn write(&mut self, id: PlainId, off: u64, bytes: &[u8]) {
        self.say(id, Word::Bytes { written: true, off, len: bytes.len() as u64, bytes: Some(bytes.to_vec()) });
    }

    fn read(&mut self, id: PlainId, off: u64, bytes: &[u8]) {
        self.say(id, Word::Bytes { written: false, off, len: bytes.len() as u64, bytes: Some(bytes.to_vec()) });
    }

    fn end(self) -> (Vec<Leg>, Summary) {
        let (summary, Legs(legs)) = self.engine.finish(Vec::new());
        (legs, summary)
    }
}

#[derive(Default)]
struct Legs(Vec<Leg>);

impl Output for Legs {
    fn pair(&mut self, _: Judged) {}

    fn loss(&mut self, _: Loss) {}

    fn finding(&mut self, _: Finding) {}

    fn exchange(&mut self, leg: Leg) {
        self.0.push(leg);
    }

    fn wants_exchanges(&self) -> bool {
        true
    }
}

/// Who asked whom for what, the status, and whether all of the answer was seen.
fn shown(legs: &[Leg]) -> Vec<String> {
    let one = |leg: &Leg| {
        let server = if leg.peers.server.port() == 0 { "[unseen]".to_owned() } else { leg.peers.server.to_string() };
        let client = if leg.peers.client.port() == 0 { "[100::]:0".to_owned() } else { leg.peers.client.to_string() };
        let whole = leg.missed.is_none() && leg.done.as_ref().is_some_and(|done| done.end == End::Complete && done.unread.is_none());
        format!("{client} {server} {} {:?} {}", leg.path(), leg.status(), if whole { "whole" } else { "holed" })
    };
    legs.iter().map(one).collect()
}

fn ask(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: up.example\r\n\r\n").into_bytes()
}

fn answer(status: u16, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
