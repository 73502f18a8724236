//! Each rule of RFC 9113 that a message depends on.

use crate::http::Broken;
use crate::http::Part::{Request, Response};

use super::*;

fn broken(n: u32, part: Part, how: Broken) -> Call {
    Call::End(n, part, End::Broken(how))
}

#[test]
fn a_request_and_its_response() {
    let mut talk = Talk::new();
    talk.ask(1, 0, "/mcp");
    talk.feed(CLIENT, &data(0, 1, b"{\"a\":"));
    talk.feed(CLIENT, &data(END_STREAM, 1, b"1}"));
    talk.answer(1, 0, "200");
    talk.feed(SERVER, &data(0, 1, b"[]"));
    talk.feed(SERVER, &data(END_STREAM, 1, b""));
    assert_eq!((talk.count(Count::Requests), talk.count(Count::Responses), talk.count(Count::Incomplete)), (1, 1, 0));
    assert_eq!(talk.notes.began.iter().map(|at| at.ord).collect::<Vec<_>>(), [4, 7], "the packet with the HEADERS frame");
    let wanted = [
        request(0, "/mcp"),
        body(0, Request, b"{\"a\":1}"),
        complete(0, Request),
        response(0, 200),
        body(0, Response, b"[]"),
        complete(0, Response),
    ];
    assert_eq!(talk.close(Close::Finished), wanted);
}

#[test]
fn streams_mix_and_are_numbered_by_their_headers() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/a");
    talk.ask(5, END_STREAM, "/b");
    talk.answer(5, 0, "401");
    talk.answer(1, 0, "200");
    talk.feed(SERVER, &data(END_STREAM, 1, b"one"));
    talk.feed(SERVER, &data(END_STREAM, 5, b"five"));
    let wanted = [
        request(0, "/a"),
        complete(0, Request),
        request(1, "/b"),
        complete(1, Request),
        response(1, 401),
        response(0, 200),
        body(0, Response, b"one"),
        complete(0, Response),
        body(1, Response, b"five"),
        complete(1, Response),
    ];
    assert_eq!(talk.close(Close::Finished), wanted);
}

#[test]
fn padding_priority_and_continuation_are_peeled_off() {
    let mut talk = Talk::new();
    let block = talk.block(CLIENT, &[(":method", "POST"), (":path", "/long"), ("x-a", "b")]);
    let (one, two) = block.split_at(5);
    let payload = [&[3, 0, 0, 0, 0, 16], one, &[0, 0, 0]].concat();
    talk.feed(CLIENT, &frame(HEADERS, PADDED | PRIORITY_FLAG | END_STREAM, 1, &payload));
    talk.feed(CLIENT, &frame(CONTINUATION, 0, 1, b""));
    talk.feed(CLIENT, &frame(CONTINUATION, END_HEADERS, 1, two));
    talk.answer(1, 0, "200");
    talk.feed(SERVER, &data(PADDED, 1, b"\x02body\0\0"));
    talk.feed(SERVER, &data(PADDED | END_STREAM, 1, b"\x03\0\0\0"));
    let wanted = [request(0, "/long"), complete(0, Request), response(0, 200), body(0, Response, b"body"), complete(0, Response)];
    assert_eq!(talk.close(Close::Finished), wanted);
}

#[test]
fn interim_responses_are_passed_over_and_trailers_end_a_message() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/");
    talk.answer(1, 0, "103");
    talk.answer(1, 0, "100");
    talk.answer(1, 0, "200");
    talk.feed(SERVER, &data(0, 1, b"x"));
    let trailers = talk.block(SERVER, &[("grpc-status", "0")]);
    talk.feed(SERVER, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers));
    let wanted = [request(0, "/"), complete(0, Request), response(0, 200), body(0, Response, b"x"), complete(0, Response)];
    assert_eq!(talk.close(Close::Finished), wanted);
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    for (status, flags) in [("204", 0), ("204", END_STREAM), ("304", END_STREAM), ("200", END_STREAM)] {
        let mut talk = Talk::new();
        talk.ask(1, END_STREAM, "/");
        talk.answer(1, flags, status);
        if flags == 0 {
            talk.feed(SERVER, &data(END_STREAM, 1, b""));
        }
        assert_eq!(talk.close(Close::CaptureEnd)[2..], [response(0, status.parse().unwrap()), complete(0, Response)]);
    }
}

#[test]
fn a_reset_after_the_whole_answer_is_no_failure_of_it_and_the_request_may_still_come() {
    let heads = [request(0, "/upload"), response(0, 413), complete(0, Response)];
    // What was on its way when the reset was sent; nothing; the same too late.
    let whole = [body(0, Request, b"late"), complete(0, Request)];
    for (late, after, ends) in
        [(true, 0, &whole[..]), (false, 0, &[broken(0, Request, Broken::Left)]), (true, 2, &[broken(0, Request, Broken::Left)])]
    {
        let mut talk = Talk::new();
        talk.ask(1, 0, "/upload");
        talk.answer(1, END_STREAM, "413");
        talk.feed(SERVER, &frame(RST_STREAM, 0, 1, &[0; 4]));
        if after > 0 {
            talk.now = after * 1_000_000_000;
            talk.ask(3, END_STREAM, "/next");
        }
        if late {
            talk.feed(CLIENT, &data(END_STREAM, 1, b"late"));
        }
        let told = talk.close(Close::Finished);
        assert_eq!(told[..3], heads);
        assert_eq!(told[3..3 + ends.len()], *ends, "late {late} after {after}");
    }
}

#[test]
fn requests_that_nobody_wants_any_more_take_no_room() {
    let mut talk = Talk::new();
    for stream in 0..200 {
        talk.ask(stream * 2 + 1, 0, "/upload");
        talk.answer(stream * 2 + 1, END_STREAM, "401");
        talk.feed(SERVER, &frame(RST_STREAM, 0, stream * 2 + 1, &[0; 4]));
        assert!(talk.notes.open.len() <= 65, "{}", talk.notes.open.len());
    }
    talk.close(Close::CaptureEnd);
}

#[test]
fn resets_say_who_left() {
    for (by, begun, ends) in [
        (CLIENT, false, vec![Call::Unanswered(0, End::Broken(Broken::Left))]),
        (CLIENT, true, vec![response(0, 200), broken(0, Response, Broken::Left)]),
        (SERVER, false, vec![Call::Unanswered(0, End::Broken(Broken::Reset))]),
        (SERVER, true, vec![response(0, 200), broken(0, Response, Broken::Reset)]),
    ] {
        let mut talk = Talk::new();
        talk.ask(1, END_STREAM, "/");
        if begun {
            talk.answer(1, 0, "200");
        }
        talk.feed(by, &frame(RST_STREAM, 0, 1, &8u32.to_be_bytes()));
        // In flight when the reset was sent: means nothing, but keeps HPACK's table right.
        talk.answer(1, 0, "200");
        talk.feed(SERVER, &data(END_STREAM, 1, b"late"));
        assert_eq!(talk.close(Close::Finished)[2..], ends);
    }
}

#[test]
fn goaway_leaves_later_streams_unanswered() {
    let mut talk = Talk::new();
    for stream in [1, 3, 5] {
        talk.ask(stream, END_STREAM, "/");
    }
    talk.feed(SERVER, &frame(GOAWAY, 0, 0, &[&0x7fff_ffffu32.to_be_bytes()[..], &[0; 4]].concat()));
    talk.feed(SERVER, &frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0, b'b', b'y', b'e']));
    talk.ask(7, 0, "/late");
    talk.answer(1, END_STREAM, "200");
    let gone = |n| Call::Unanswered(n, End::Broken(Broken::Finished));
    let wanted =
        [gone(1), gone(2), request(3, "/late"), broken(3, Request, Broken::Left), gone(3), response(0, 200), complete(0, Response)];
    assert_eq!(talk.close(Close::Finished)[6..], wanted);
}

#[test]
fn pushed_streams_are_read_for_their_table_only() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/");
    let promised = talk.block(SERVER, &[(":method", "GET"), ("x-kept", "in the table")]);
    talk.feed(SERVER, &frame(PUSH_PROMISE, END_HEADERS | PADDED, 1, &[&[1, 0, 0, 0, 2], &promised[..], &[0]].concat()));
    talk.answer(2, 0, "200");
    talk.feed(SERVER, &data(END_STREAM, 2, b"pushed"));
    let block = talk.block(SERVER, &[("x-kept", "in the table"), (":status", "404")]);
    assert_eq!(block[0] & 0x80, 0x80, "an index");
    talk.feed(SERVER, &frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    assert_eq!(talk.count(Count::H2Unknown), 0);
    assert_eq!(talk.close(Close::Finished)[2..], [response(0, 404), complete(0, Response)]);
}

#[test]
fn other_frames_are_skipped_and_settings_bound_the_frames() {
    let mut talk = Talk::new();
    for (kind, payload) in [(PING, 8), (WINDOW_UPDATE, 4), (PRIORITY, 5), (0x0a, 100), (0xff, 0)] {
        talk.feed(CLIENT, &frame(kind, 0, 0, &vec![0; payload]));
    }
    talk.feed(SERVER, &frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0x80, 0]));
    talk.ask(1, 0, "/");
    talk.feed(CLIENT, &data(END_STREAM, 1, &[b'x'; 0x8000]));
    assert_eq!(talk.count(Count::GarbledStreams), 0);
    talk.feed(CLIENT, &data(0, 3, &[b'x'; 0x8001]));
    assert_eq!(talk.count(Count::GarbledStreams), 1);
    assert_eq!(talk.close(Close::CaptureEnd)[..3], [request(0, "/"), body(0, Request, &[b'x'; 0x8000]), complete(0, Request)]);
}

#[test]
fn the_table_follows_settings_and_size_updates() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/a");
    // The server wants no table, the client obeys, then uses a small one.
    talk.feed(SERVER, &frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]));
    talk.feed(CLIENT, &[frame(SETTINGS, ACK, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat());
    let mut block = Vec::new();
    talk.encoders[1].resize(0, &mut block);
    talk.encoders[1].resize(100, &mut block);
    block.extend(talk.block(CLIENT, &[(":method", "POST"), (":path", "/b"), ("authorization", "Bearer abc")]));
    talk.feed(CLIENT, &frame(HEADERS, END_HEADERS | END_STREAM, 3, &block));
    talk.ask(5, END_STREAM, "/b");
    assert_eq!((talk.count(Count::H2Unknown), talk.count(Count::GarbledStreams)), (0, 0));
    let calls = talk.close(Close::Finished);
    assert!(calls.contains(&request(1, "/b")) && calls.contains(&request(2, "/b")));
}

#[test]
fn after_an_upgrade_stream_one_is_the_request_of_http_1() {
    let limits = Limits::default();
    let mut talk = Talk::with(Connection::upgraded(4, Some(false), 5, &limits), limits);
    talk.notes.all.push((4, Request));
    talk.feed(SERVER, &frame(SETTINGS, 0, 0, &[]));
    talk.answer(1, 0, "200");
    talk.feed(CLIENT, PREFACE);
    talk.feed(CLIENT, &frame(SETTINGS, 0, 0, &[]));
    talk.ask(3, END_STREAM, "/next");
    talk.feed(SERVER, &data(END_STREAM, 1, b"hi"));
    let wanted = [response(4, 200), request(5, "/next"), complete(5, Request), body(4, Response, b"hi"), complete(4, Response)];
    assert_eq!(talk.close(Close::CaptureEnd)[..5], wanted);
}

#[test]
fn a_tunnel_has_no_body() {
    let mut talk = Talk::new();
    let block = talk.block(CLIENT, &[(":method", "CONNECT"), (":authority", "db:5432")]);
    talk.feed(CLIENT, &frame(HEADERS, END_HEADERS, 1, &block));
    talk.answer(1, 0, "200");
    talk.feed(CLIENT, &data(0, 1, b"secret"));
    talk.feed(SERVER, &data(0, 1, b"secret"));
    let connect = Call::Request { n: 0, method: "CONNECT".into(), path: "db:5432".into(), partial: false };
    assert_eq!(talk.close(Close::Finished)[..2], [connect, response(0, 200)]);
}

#[test]
fn what_is_not_wanted_is_framed_and_dropped() {
    let mut talk = Talk::new();
    talk.notes.nothing = true;
    talk.ask(1, 0, "/");
    talk.feed(CLIENT, &data(END_STREAM, 1, b"body"));
    assert_eq!(talk.close(Close::CaptureEnd)[..2], [request(0, "/"), complete(0, Request)]);
}

#[test]
fn ends_of_the_connection_end_what_is_open() {
    let unseen = |cause| End::Unseen(Gap { len: None, cause });
    for (how, ends) in [
        (Close::Reset(Dir::AtoB), End::Broken(Broken::Left)),
        (Close::Reset(Dir::BtoA), End::Broken(Broken::Reset)),
        (Close::CaptureEnd, unseen(Cause::After)),
        (Close::Idle, unseen(Cause::Lost)),
        (Close::Evicted, unseen(Cause::Limit)),
    ] {
        let mut talk = Talk::new();
        talk.ask(1, END_STREAM, "/a");
        talk.ask(3, END_STREAM, "/b");
        talk.answer(1, 0, "200");
        assert_eq!(talk.close(how)[5..], [Call::End(0, Response, ends), Call::Unanswered(1, ends)]);
    }
    for (first, ends) in [(SERVER, Broken::Finished), (CLIENT, Broken::Left)] {
        let mut talk = Talk::new();
        talk.ask(1, END_STREAM, "/");
        talk.answer(1, 0, "200");
        talk.finish(first);
        talk.finish(!first);
        assert_eq!(talk.close(Close::Finished)[3..], [broken(0, Response, ends)]);
    }
}

#[test]
fn an_answer_seen_before_its_request_keeps_its_number() {
    let mut talk = Talk::new();
    talk.answer(1, END_STREAM, "200");
    talk.ask(1, END_STREAM, "/late");
    let wanted = [response(0, 200), complete(0, Response), request(0, "/late"), complete(0, Request)];
    assert_eq!(talk.close(Close::Finished), wanted);
}

#[test]
fn floods_reach_limits_that_are_counted() {
    let mut talk = Talk::limited(Limits { h2_streams: 10, ..Limits::default() });
    for stream in 0..50 {
        talk.ask(2 * stream + 1, 0, "/");
    }
    assert_eq!((talk.count(Count::OverLimit), talk.notes.open.len()), (40, 10));
    talk.close(Close::CaptureEnd);

    let mut talk = Talk::limited(Limits { head_bytes: 2000, ..Limits::default() });
    let block = talk.block(CLIENT, &[(":method", "POST"), (":path", "/flood")]);
    talk.feed(CLIENT, &frame(HEADERS, END_STREAM, 1, &block));
    for _ in 0..200 {
        talk.feed(CLIENT, &frame(CONTINUATION, 0, 1, &[0x82; 1000]));
    }
    talk.feed(CLIENT, &frame(CONTINUATION, END_HEADERS, 1, b""));
    assert_eq!(talk.count(Count::OverLimit), 1);
    let flood = Call::Request { n: 0, method: "POST".into(), path: "/flood".into(), partial: true };
    let limit = Gap { len: None, cause: Cause::Limit };
    assert_eq!(talk.close(Close::CaptureEnd)[..2], [flood, Call::End(0, Request, End::Unseen(limit))]);
}

#[test]
fn bytes_that_are_no_preface_or_break_off_a_block_are_garbled() {
    let limits = Limits::default();
    let mut talk = Talk::with(Connection::prior_knowledge(&limits), limits);
    talk.feed(CLIENT, b"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n");
    assert_eq!((talk.count(Count::GarbledStreams), talk.notes.calls.len()), (1, 0));

    let mut talk = Talk::new();
    let block = talk.block(CLIENT, &[(":method", "POST"), (":path", "/a")]);
    talk.feed(CLIENT, &frame(HEADERS, END_STREAM, 1, &block));
    talk.feed(CLIENT, &frame(PING, 0, 0, &[0; 8]));
    let garbled = Gap { len: None, cause: Cause::Garbled };
    let partial = Call::Request { n: 0, method: "POST".into(), path: "/a".into(), partial: true };
    assert_eq!(talk.close(Close::CaptureEnd)[..2], [partial, Call::End(0, Request, End::Unseen(garbled))]);
}
