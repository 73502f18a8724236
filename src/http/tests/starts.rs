//! How a connection begins: which side asks, what it speaks, and what is done when its beginning was not seen.

use super::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn other_protocols_are_counted_once_and_left_alone() {
    let mut bench = Bench::new(true);
    bench.data(S, b"SSH-2.0-OpenSSH_9\r\n");
    bench.data(C, GET);
    bench.data(S, OK);
    bench.closed(Close::Finished);
    assert_eq!((bench.lines().len(), bench.counts.get(Count::GarbledStreams), bench.connection.client_dir()), (0, 1, None));
}

#[test]
fn a_start_line_in_pieces_is_waited_for() {
    let mut bench = Bench::new(true);
    for byte in GET {
        bench.data(C, std::slice::from_ref(byte));
    }
    bench.data(S, OK);
    assert_eq!(bench.lines().len(), 5);
    let mut unknown = Bench::new(false);
    unknown.data(C, &GET[..7]);
    unknown.data(C, &GET[7..]);
    unknown.data(S, OK);
    assert_eq!(unknown.lines().len(), 5);
}

#[test]
fn the_side_that_asks_is_the_client_whoever_was_seen_first() {
    let mut bench = Bench::new(false);
    bench.data(S, GET);
    bench.data(C, OK);
    assert_eq!((bench.connection.client_dir(), bench.lines().len()), (Some(S), 5));
    let mut answer_first = Bench::new(false);
    answer_first.data(C, OK);
    assert_eq!(answer_first.connection.client_dir(), Some(S));
}

#[test]
fn http_2_is_handed_over() {
    let mut bench = Bench::new(true);
    bench.data(C, b"PRI * HTTP/2.0\r\n\r\n");
    assert_eq!(bench.connection.client_dir(), None);
    bench.data(C, b"SM\r\n\r\n");
    assert_eq!(bench.connection.client_dir(), Some(C));
    let mut server_first = Bench::new(true);
    server_first.data(S, &[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    assert_eq!(server_first.connection.client_dir(), Some(C));
    let mut mid = Bench::new(false);
    mid.before(S);
    mid.data(S, b"nonsense");
    mid.data(S, &[0, 0, 1, 1, 4, 0, 0, 0, 3, 0x88]);
    assert_eq!(mid.connection.client_dir(), Some(C));
}

#[test]
fn in_mid_connection_the_next_request_is_found_and_nothing_is_invented() {
    let mut bench = Bench::new(false);
    bench.before(C);
    bench.data(C, b"the rest of a body GET /x HTTP/1.1\r\n\r\n");
    bench.before(S);
    bench.data(S, b"the rest of another HTTP/1.1 200 OK\r\n\r\n");
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(bench.lines(), ["q0 GET /a", "q0 end", "s0 200", "s0 | ok", "s0 end"]);
}

#[test]
fn the_answer_to_a_request_before_the_capture_is_nobody_elses() {
    let mut bench = Bench::new(false);
    bench.before(S);
    bench.data(S, OK);
    bench.before(C);
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(bench.lines(), ["s0 200", "s0 | ok", "s0 end", "q1 GET /a", "q1 end", "s1 200", "s1 | ok", "s1 end"]);
}

#[test]
fn an_answer_to_an_unseen_head_request_has_no_body() {
    let mut bench = Bench::new(false);
    bench.before(C);
    bench.before(S);
    bench.data(S, b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n");
    bench.data(C, GET);
    let (one, two) = OK.split_at(5);
    bench.data(S, one);
    bench.data(S, two);
    assert_eq!(bench.lines(), ["s0 200", "q1 GET /a", "q1 end", "s0 end", "s1 200", "s1 | ok", "s1 end"]);
}

#[test]
fn bytes_that_came_early_keep_their_place_while_it_is_not_known_what_they_are() {
    // The second piece bears the time of a packet before that of the first: it waited for it.
    let mut bench = Bench::new(true);
    for (ord, bytes) in [(9, "GET "), (4, "/in-order HT"), (5, "TP/1.1\r\n\r\n")] {
        let at = Stamp { ord, ts: Ts(ord as i64), frame: ord, file: 0 };
        bench.feed(StreamEvent::Data { dir: C, bytes: bytes.as_bytes(), at });
    }
    assert_eq!(bench.lines(), ["q0 GET /in-order", "q0 end"]);
}
