//! Property: whatever is missing, no message is called complete that was not so, and none is given to a request that is not its own.

use proptest::prelude::*;

use super::*;

/// One request and its answer, as it will be written.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    request: Shape,
    response: Shape,
    head: bool,
    interim: bool,
    /// Sent together with the one before, without waiting for its answer.
    pipelined: bool,
}

#[derive(Clone, Debug)]
enum Shape {
    Empty,
    Length(Vec<u8>),
    Chunked(Vec<Vec<u8>>),
    Gzip(Vec<u8>),
}

fn shape() -> impl Strategy<Value = Shape> {
    let text = || proptest::collection::vec(b'a'..=b'z', 1..60);
    prop_oneof![
        Just(Shape::Empty),
        text().prop_map(Shape::Length),
        proptest::collection::vec(text(), 0..4).prop_map(Shape::Chunked),
        text().prop_map(Shape::Gzip),
    ]
}

pub(super) fn exchanges() -> impl Strategy<Value = Vec<Exchange>> {
    let one = (shape(), shape(), prop::bool::weighted(0.15), prop::bool::weighted(0.15), prop::bool::weighted(0.25))
        .prop_map(|(request, response, head, interim, pipelined)| Exchange { request, response, head, interim, pipelined });
    proptest::collection::vec(one, 1..8)
}

impl Shape {
    fn write(&self, out: &mut Vec<u8>, with_body: bool) {
        match self {
            Shape::Empty => out.extend_from_slice(b"Content-Length: 0\r\n\r\n"),
            Shape::Length(text) => {
                out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", text.len()).as_bytes());
                out.extend_from_slice(if with_body { text } else { b"" });
            }
            Shape::Gzip(text) => {
                let coded = crate::http::coding::tests::gzip(text);
                out.extend_from_slice(format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", coded.len()).as_bytes());
                out.extend_from_slice(if with_body { &coded } else { b"" });
            }
            Shape::Chunked(chunks) => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
                if with_body {
                    for chunk in chunks {
                        out.extend_from_slice(format!("{:x};ext\r\n", chunk.len()).as_bytes());
                        out.extend_from_slice(chunk);
                        out.extend_from_slice(b"\r\n");
                    }
                    out.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
                }
            }
        }
    }
}

/// The packets in order: bursts of requests, then their answers; each message begins a packet and is cut after its head.
pub(super) fn timeline(exchanges: &[Exchange]) -> Vec<(Dir, Vec<u8>)> {
    let mut out = Vec::new();
    let mut answers = Vec::new();
    for (i, exchange) in exchanges.iter().enumerate() {
        if !exchange.pipelined {
            out.append(&mut answers);
        }
        let method = if exchange.head { "HEAD" } else { "POST" };
        let mut request = format!("{method} /{i} HTTP/1.1\r\nHost: x\r\n").into_bytes();
        exchange.request.write(&mut request, true);
        out.extend(cut(C, &request));
        if exchange.interim {
            answers.push((S, b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n".to_vec()));
        }
        let mut response = format!("HTTP/1.1 200 OK\r\nServer: s{i}\r\n").into_bytes();
        exchange.response.write(&mut response, !exchange.head);
        answers.extend(cut(S, &response));
    }
    out.append(&mut answers);
    out
}

fn cut(dir: Dir, message: &[u8]) -> Vec<(Dir, Vec<u8>)> {
    let head = message.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let (head, body) = message.split_at(head);
    let body = body.chunks(50).map(|piece| (dir, piece.to_vec()));
    std::iter::once((dir, head.to_vec())).chain(body).collect()
}

/// A stretch of one direction that was not captured, as fractions of its length.
#[derive(Clone, Debug)]
struct Hole {
    client: bool,
    from: f64,
    len: f64,
}

fn hole() -> impl Strategy<Value = Hole> {
    (any::<bool>(), 0.0..1.0f64, prop_oneof![3 => 0.0..0.1f64, 1 => 0.0..0.6f64]).prop_map(|(client, from, len)| Hole { client, from, len })
}

/// Plays the packets with the holes in them. Where bytes are missing, a gap is told at their place in time, or (`late`) with the next packet in
/// either direction, which acknowledges them; with or without its length.
fn play(pieces: &[(Dir, Vec<u8>)], holes: &[Hole], late: bool, known: bool) -> Bench {
    let total = |dir| pieces.iter().filter(|(d, _)| *d == dir).map(|(_, bytes)| bytes.len()).sum::<usize>();
    let lost = |dir, at: usize| {
        holes.iter().filter(|hole| hole.client == (dir == C)).any(|hole| {
            let total = total(dir) as f64;
            let from = (hole.from * total) as usize;
            (from..=from + (hole.len * total) as usize).contains(&at)
        })
    };
    let mut bench = Bench::new(true);
    let mut offsets = [0usize; 2];
    let mut pending = [0u64; 2];
    for (dir, bytes) in pieces {
        let mut seen = Vec::new();
        if pending[dir.flip().index()] > 0 {
            let len = std::mem::take(&mut pending[dir.flip().index()]);
            bench.gap(dir.flip(), known.then_some(len));
        }
        for byte in bytes {
            if lost(*dir, offsets[dir.index()]) {
                if !seen.is_empty() {
                    bench.data(*dir, &std::mem::take(&mut seen));
                }
                pending[dir.index()] += 1;
            } else {
                if pending[dir.index()] > 0 {
                    let len = std::mem::take(&mut pending[dir.index()]);
                    bench.gap(*dir, known.then_some(len));
                }
                seen.push(*byte);
            }
            offsets[dir.index()] += 1;
        }
        if !seen.is_empty() {
            bench.data(*dir, &seen);
        }
        if !late && pending[dir.index()] > 0 {
            let len = std::mem::take(&mut pending[dir.index()]);
            bench.gap(*dir, known.then_some(len));
        }
    }
    for dir in [C, S] {
        if pending[dir.index()] > 0 {
            bench.gap(dir, known.then_some(pending[dir.index()]));
        }
    }
    bench.finished(S);
    bench.finished(C);
    bench.closed(Close::Finished);
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn nothing_false_is_said(
        exchanges in exchanges(),
        holes in proptest::collection::vec(hole(), 1..4),
        late in any::<bool>(),
        known in any::<bool>(),
    ) {
        let pieces = timeline(&exchanges);
        let full = play(&pieces, &[], false, true).tape;
        let holed = play(&pieces, &holes, late, known).tape;
        holed.check(false);
        for ((n, part), message) in &holed.messages {
            // A head that was torn before its name: what came of it is told, and that it is not whole.
            if message.name.is_empty() {
                prop_assert!(matches!(message.end, Some(End::Unseen(_))) && message.body.is_empty(), "{:#?}", holed.lines);
                continue;
            }
            let true_one = full.messages.iter().find(|((_, p), m)| p == part && m.name == message.name);
            let (_, true_one) = true_one.expect("no message is invented");
            if message.end == Some(End::Complete) {
                prop_assert_eq!(message, true_one, "{:?} {} is called complete: {:#?}", part, n, holed.lines);
            } else {
                prop_assert!(matches!(message.end, Some(End::Unseen(_))), "what was missed is called broken: {:#?}", holed.lines);
            }
            if *part == Part::Response && let Some(request) = holed.messages.get(&(*n, Part::Request)) {
                prop_assert_eq!(request.name.trim_start_matches('/'), message.name.trim_start_matches('s'), "{:#?}", holed.lines);
            }
        }
        for (n, end) in &holed.unanswered {
            prop_assert!(matches!(end, End::Unseen(_)), "{} was answered: {:#?}", n, holed.lines);
        }
    }
}

/// The other side of honesty: a client that waits for its answers loses by a lost packet only the exchange that it was of.
#[test]
fn one_lost_packet_costs_one_exchange() {
    let shapes =
        [Shape::Length(vec![b'x'; 120]), Shape::Chunked(vec![vec![b'y'; 70], vec![b'z'; 9]]), Shape::Gzip(vec![b'g'; 30]), Shape::Empty];
    let exchange = |i: usize| Exchange {
        request: shapes[i % 4].clone(),
        response: shapes[(i + i / 4) % 4].clone(),
        head: false,
        interim: false,
        pipelined: false,
    };
    let pieces = timeline(&(0..16).map(exchange).collect::<Vec<_>>());
    for known in [true, false] {
        for lost in 0..pieces.len() {
            let mut bench = Bench::new(true);
            for (i, (dir, bytes)) in pieces.iter().enumerate() {
                match i == lost {
                    true => bench.gap(*dir, known.then_some(bytes.len() as u64)),
                    false => bench.data(*dir, bytes),
                }
            }
            bench.finished(S);
            bench.closed(Close::Finished);
            let whole = bench.tape.messages.iter().filter(|((_, part), m)| *part == Part::Response && m.end == Some(End::Complete));
            let paired =
                whole.filter(|((n, _), _)| bench.tape.messages.get(&(*n, Part::Request)).is_some_and(|q| q.end == Some(End::Complete)));
            assert!(paired.count() >= 15, "packet {lost} lost: {:#?}", bench.tape.lines);
        }
    }
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn holes_in_known_lengths_are_passed_over_exactly() {
    let mut bench = Bench::new(true);
    bench.data(C, GET);
    bench.data(S, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab");
    bench.gap(S, Some(3));
    bench.data(S, b"cdefg");
    bench.data(C, GET);
    bench.data(S, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab");
    bench.gap(S, Some(253));
    bench.data(S, b"\r\n0\r\n\r\n");
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(
        bench.lines()[2..],
        [
            "s0 200",
            "s0 | ab",
            "s0 hole Some(3)",
            "s0 | cdefg",
            "s0 end unseen lost",
            "q1 GET /a",
            "q1 end",
            "s1 200",
            "s1 | ab",
            "s1 hole Some(253)",
            "s1 end unseen lost",
            "q2 GET /a",
            "q2 end",
            "s2 200",
            "s2 | ok",
            "s2 end"
        ]
    );
}

#[test]
fn after_a_hole_the_next_exchange_is_found_again() {
    for len in [Some(400), None] {
        for dirs in [&[C][..], &[S], &[C, S]] {
            let mut bench = Bench::new(true);
            bench.data(C, GET);
            bench.data(S, OK);
            match dirs.contains(&C) {
                true => bench.gap(C, len),
                false => bench.data(C, GET),
            }
            match dirs.contains(&S) {
                true => bench.gap(S, len),
                false => bench.data(S, OK),
            }
            bench.lines();
            bench.data(C, GET);
            bench.data(S, OK);
            let lines = bench.lines();
            let n = &lines[lines.len() - 1][1..lines[lines.len() - 1].len() - 4];
            let tail = [format!("q{n} GET /a"), format!("q{n} end"), format!("s{n} 200"), format!("s{n} | ok"), format!("s{n} end")];
            assert_eq!(lines[lines.len() - 5..], tail, "{len:?} {dirs:?}");
        }
    }
}

#[test]
fn a_lost_answer_leaves_its_request_unseen_and_the_next_pair_whole() {
    let mut bench = Bench::new(true);
    bench.data(C, GET);
    bench.gap(S, Some(40));
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(bench.lines(), ["q0 GET /a", "q0 end", "q0 unanswered unseen lost", "q1 GET /a", "q1 end", "s1 200", "s1 | ok", "s1 end"]);
}

#[test]
fn a_lost_request_that_is_told_after_its_answer_gets_it_all_the_same() {
    let mut bench = Bench::new(true);
    bench.data(C, GET);
    bench.data(S, OK);
    bench.data(S, OK);
    bench.gap(C, Some(40));
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(bench.lines()[5..], ["s1 200", "s1 | ok", "s1 end", "q2 GET /a", "q2 end", "s2 200", "s2 | ok", "s2 end"]);
}

#[test]
fn when_requests_were_sent_early_nobody_guesses() {
    let mut bench = Bench::new(true);
    bench.data(C, &[GET, GET].concat());
    bench.gap(S, Some(40));
    bench.data(S, OK);
    bench.finished(S);
    let lines = bench.lines();
    assert_eq!(lines[4..], ["s2 200", "s2 | ok", "s2 end", "q0 unanswered unseen lost", "q1 unanswered unseen lost"]);
}

#[test]
fn a_hole_in_a_coded_body_ends_its_reading() {
    let coded = crate::http::coding::tests::gzip(&b"hello ".repeat(100));
    let mut bench = Bench::new(true);
    bench.data(C, GET);
    bench.data(S, format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", coded.len()).as_bytes());
    bench.data(S, &coded[..10]);
    bench.gap(S, Some(5));
    bench.data(S, &coded[15..]);
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(bench.lines()[2..], ["s0 200", "s0 end unseen lost", "q1 GET /a", "q1 end", "s1 200", "s1 | ok", "s1 end"]);
    assert_eq!(bench.counts.get(Count::Undecoded), 1);
}
