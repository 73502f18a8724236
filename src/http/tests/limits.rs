//! Floods: each limit holds, is counted, and what follows is read again where that is possible.

use super::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn an_endless_head_is_given_up_and_the_next_message_found() {
    let mut bench = Bench::new(true);
    bench.data(C, b"GET / HTTP/1.1\r\n");
    for _ in 0..100_000 {
        bench.data(C, b"a: b\r\n");
    }
    assert_eq!((bench.counts.get(Count::OverLimit), bench.counts.get(Count::GarbledStreams)), (1, 1));
    bench.data(S, b"HTTP/1.1 431 No\r\nContent-Length: 0\r\n\r\n");
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(bench.lines(), ["s0 431", "s0 end", "q1 GET /a", "q1 end", "s1 200", "s1 | ok", "s1 end"]);
}

#[test]
fn too_many_lines_are_no_head() {
    for (lines, requests) in [(255, 1), (300, 0)] {
        let mut bench = Bench::new(true);
        bench.data(C, format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(lines)).as_bytes());
        assert_eq!(bench.counts.get(Count::Requests), requests);
    }
}

#[test]
fn endless_bodies_and_start_lines_cost_nothing() {
    let mut bench = Bench::new(true);
    bench.tape.nothing = true;
    bench.data(C, b"POST / HTTP/1.1\r\nContent-Length: 10000000000\r\n\r\n");
    let block = vec![b'x'; 65_536];
    for _ in 0..1000 {
        bench.data(C, &block);
    }
    bench.closed(Close::CaptureEnd);
    assert_eq!(bench.lines()[1], "q0 end unseen after-capture");
    let mut line = Bench::new(true);
    line.data(C, b"GET /");
    (0..1000).for_each(|_| line.data(C, &block));
    assert_eq!(line.counts.get(Count::GarbledStreams), 1);
}

#[test]
fn endless_pipelines_give_up_the_oldest() {
    let mut bench = Bench::new(true);
    for _ in 0..1100 {
        bench.data(C, GET);
    }
    let unanswered = bench.lines().iter().filter(|line| line.ends_with("unanswered unseen limit")).count();
    assert_eq!(unanswered as u64, bench.counts.get(Count::OverLimit));
    assert!((76..80).contains(&unanswered), "{unanswered}");
    bench.data(S, OK);
    assert_eq!(bench.lines()[0], "s1100 200", "nobody knows whose it is");
    bench.closed(Close::CaptureEnd);
    bench.tape.check(false);
}

#[test]
fn a_server_that_speaks_without_being_asked_is_not_held_for_ever() {
    let mut bench = Bench::new(true);
    bench.data(C, GET);
    bench.data(S, OK);
    for _ in 0..3000 {
        bench.data(S, OK);
    }
    assert!(bench.counts.get(Count::Responses) > 2900);
    bench.data(C, GET);
    bench.data(S, OK);
    bench.closed(Close::CaptureEnd);
    bench.tape.check(false);
}

#[test]
fn a_connection_of_only_holes_holds_nothing() {
    let mut bench = Bench::new(true);
    for i in 0..10_000 {
        bench.gap(if i % 3 == 0 { C } else { S }, if i % 2 == 0 { Some(1460) } else { None });
    }
    bench.closed(Close::Finished);
    assert_eq!(bench.lines().len(), 0);
    let mut known = Bench::new(true);
    known.data(C, GET);
    for i in 0..10_000 {
        known.gap(if i % 3 == 0 { C } else { S }, Some(1460));
    }
    known.closed(Close::Finished);
    known.tape.check(false);
}

#[test]
fn a_bomb_is_counted_and_its_end_unseen() {
    let bomb = crate::http::coding::tests::gzip(&vec![0; 30_000_000]);
    let mut bench = Bench::new(true);
    bench.data(C, GET);
    bench.data(S, format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len()).as_bytes());
    bomb.chunks(1460).for_each(|piece| bench.data(S, piece));
    bench.data(C, GET);
    bench.data(S, OK);
    assert_eq!(bench.lines().split_off(4), ["s0 end unseen limit", "q1 GET /a", "q1 end", "s1 200", "s1 | ok", "s1 end"]);
    assert_eq!((bench.counts.get(Count::Undecoded), bench.counts.get(Count::OverLimit)), (1, 1));
}
