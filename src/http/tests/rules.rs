//! One test for each rule of HTTP/1.1 that changes where a message ends or whose it is.

use super::*;

const GET: &str = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn keep_alive_and_pipelining_pair_in_order() {
    assert_eq!(talk(&[(C, GET), (S, OK), (C, GET), (S, OK)]).len(), 10);
    let two = format!("{GET}{}", GET.replace("/a", "/b"));
    let answers = format!("{OK}HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n");
    assert_eq!(
        talk(&[(C, &two), (S, &answers)]),
        ["q0 GET /a", "q0 end", "q1 GET /b", "q1 end", "s0 200", "s0 | ok", "s0 end", "s1 404", "s1 | abc", "s1 end"]
    );
}

#[test]
fn interim_responses_are_no_answers() {
    let post = "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(
        talk(&[(C, post), (S, "HTTP/1.1 100 Continue\r\n\r\n"), (C, "abc"), (S, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), (S, OK)]),
        ["q0 POST /a", "q0 | abc", "q0 end", "s0 200", "s0 | ok", "s0 end"]
    );
}

#[test]
fn a_client_that_was_refused_100_continue_may_leave_the_body_out() {
    let post = "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n";
    let refused = "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n";
    let expected = ["q0 POST /a", "s0 417", "s0 end", "q0 end Finished", "q1 GET /a", "q1 end", "s1 200", "s1 | ok", "s1 end"];
    assert_eq!(talk(&[(C, post), (S, refused), (C, GET), (S, OK)]), expected);
    let (one, two) = GET.split_at(7);
    assert_eq!(talk(&[(C, post), (S, refused), (C, one), (C, two), (S, OK)]), expected);
    let sent = talk(&[(C, post), (S, refused), (C, "123456"), (C, "789"), (C, GET), (S, OK)]);
    assert_eq!(sent[3..5], ["q0 | 123456789", "q0 end"]);
}

#[test]
fn a_body_that_was_to_be_shorter_than_the_next_requests_line_is_left_out_however_that_is_cut() {
    // Found by fuzzing: cut behind `GET `, these four bytes were taken for the body.
    let post = "POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let refused = "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n";
    let expected = ["q0 POST /a", "s0 417", "s0 end", "q0 end Finished", "q1 GET /a", "q1 end", "s1 200", "s1 | ok", "s1 end"];
    for at in 1..GET.len() {
        let (one, two) = GET.split_at(at);
        assert_eq!(talk(&[(C, post), (S, refused), (C, one), (C, two), (S, OK)]), expected, "{at}");
    }
    for body in ["ABCD", "GETS", "POST"] {
        let sent = talk(&[(C, post), (S, refused), (C, body), (C, GET), (S, OK)]);
        assert_eq!((sent[3].as_str(), sent[4].as_str(), sent[5].as_str()), (&*format!("q0 | {body}"), "q0 end", "q1 GET /a"), "{sent:?}");
    }
}

#[test]
fn head_204_and_304_have_no_body_whatever_they_say() {
    let head = GET.replace("GET", "HEAD");
    let large = "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n";
    let none = "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n";
    let same = "HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n";
    let lines = talk(&[(C, &head), (S, large), (C, GET), (S, none), (C, GET), (S, same), (C, GET), (S, OK)]);
    assert_eq!(lines[2..4], ["s0 200", "s0 end"]);
    assert_eq!(lines[6..8], ["s1 204", "s1 end"]);
    assert_eq!(lines[10..12], ["s2 304", "s2 end"]);
    assert_eq!(lines[14..], ["s3 200", "s3 | ok", "s3 end"]);
}

#[test]
fn what_has_no_length_ends_with_the_connection() {
    for head in
        ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.1 200\r\nTransfer-Encoding: gzip2\r\n\r\n"]
    {
        let lines = talk(&[(C, GET), (S, head), (S, "some"), (S, "thing")]);
        assert_eq!((lines[2].as_str(), lines.last().unwrap().starts_with("s0 end")), ("s0 200", true), "{head:?}");
    }
    assert_eq!(talk(&[(C, GET), (S, "HTTP/1.0 200 OK\r\n\r\n"), (S, "some"), (S, "thing")])[3..], ["s0 | something", "s0 end"]);
    let kept = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(talk(&[(C, GET), (S, kept), (C, GET), (S, kept)]).len(), 10);
}

#[test]
fn chunked_overrules_a_length_and_nothing_is_smuggled() {
    let both =
        "POST /a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\n0\r\n\r\n";
    assert_eq!(talk(&[(C, both), (S, OK)])[2..], ["q0 end", "s0 200", "s0 | ok", "s0 end"]);
    let body = "POST /a HTTP/1.1\r\nContent-Length: 28\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.1\r\n\r\n";
    let lines = talk(&[(C, body), (S, OK), (S, OK)]);
    assert_eq!(lines.iter().filter(|line| line.starts_with("q1")).collect::<Vec<_>>(), ["q1 GET /c", "q1 end"]);
}

#[test]
fn lengths_that_contradict_each_other_end_what_can_be_read() {
    let wrong = "POST /a HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    assert_eq!(talk(&[(C, wrong), (S, OK)]), ["q0 POST /a", "q0 end unseen garbled", "s0 200", "s0 | ok", "s0 end"]);
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX";
    assert_eq!(talk(&[(C, GET), (S, chunks)])[2..], ["s0 200", "s0 | hello", "s0 end unseen garbled"]);
}

#[test]
fn too_short_a_body_is_broken_by_whoever_ended_it() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok";
    let ended = |end: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::new(true);
        bench.data(C, GET.as_bytes());
        bench.data(S, cut.as_bytes());
        end(&mut bench);
        bench.closed(Close::CaptureEnd);
        bench.tape.check(false);
        bench.lines().pop().unwrap()
    };
    assert_eq!(ended(&|b| b.finished(S)), "s0 end Finished");
    assert_eq!(
        ended(&|b| {
            b.finished(C);
            b.finished(S);
        }),
        "s0 end Left"
    );
    assert_eq!(ended(&|b| b.closed(Close::Reset(S))), "s0 end Reset");
    assert_eq!(ended(&|b| b.closed(Close::Reset(C))), "s0 end Left");
    assert_eq!(
        ended(&|b| {
            b.finished(C);
            b.closed(Close::Reset(S));
        }),
        "s0 end Left"
    );
    assert_eq!(ended(&|b| b.closed(Close::Evicted)), "s0 end unseen limit");
    assert_eq!(ended(&|b| b.closed(Close::Idle)), "s0 end unseen lost");
    assert_eq!(ended(&|_| ()), "s0 end unseen after-capture");
}

#[test]
fn a_body_that_ends_with_the_connection_is_broken_if_the_client_left_first() {
    for (went_on, end) in [(false, "s0 end Left"), (true, "s0 end")] {
        let mut bench = Bench::new(true);
        bench.data(C, GET.as_bytes());
        bench.data(S, b"HTTP/1.1 200 OK\r\n\r\nsome");
        bench.finished(C);
        if went_on {
            bench.data(S, b"thing"); // only half closed: the server still speaks, and nobody resets it
        }
        bench.finished(S);
        bench.closed(Close::Finished);
        assert_eq!(bench.lines().pop().unwrap(), end);
    }
}

#[test]
fn a_request_without_an_answer_says_how_that_is_known() {
    let ended = |end: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::new(true);
        bench.data(C, GET.as_bytes());
        end(&mut bench);
        bench.closed(Close::CaptureEnd);
        bench.tape.check(false);
        bench.lines().pop().unwrap()
    };
    assert_eq!(ended(&|b| b.finished(S)), "q0 unanswered Finished");
    assert_eq!(
        ended(&|b| {
            b.finished(C);
            b.finished(S);
        }),
        "q0 unanswered Left"
    );
    assert_eq!(ended(&|b| b.closed(Close::Reset(S))), "q0 unanswered Reset");
    assert_eq!(ended(&|b| b.closed(Close::Reset(C))), "q0 unanswered Left");
    assert_eq!(ended(&|b| b.gap(S, Some(9))), "q0 unanswered unseen lost");
    assert_eq!(
        ended(&|b| {
            b.gap(S, Some(9));
            b.finished(S);
        }),
        "q0 unanswered unseen lost"
    );
    assert_eq!(ended(&|_| ()), "q0 unanswered unseen after-capture");
}

#[test]
fn an_early_answer_belongs_to_the_request_that_is_still_being_sent() {
    let post = "POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc";
    assert_eq!(talk(&[(C, post), (S, OK), (C, "def")]), ["q0 POST /a", "q0 | abc", "s0 200", "s0 | ok", "s0 end", "q0 | def", "q0 end"]);
}

#[test]
fn sloppy_heads_are_read() {
    let lf = "\r\n\nPOST /a HTTP/1.1\nContent-Length : 3\nX: one\n two\n\nabc";
    assert_eq!(
        talk(&[(C, lf), (S, "HTTP/1.1  200\nContent-Length: 2\n\nok")]),
        ["q0 POST /a", "q0 | abc", "q0 end", "s0 200", "s0 | ok", "s0 end"]
    );
    let body = "GET /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(talk(&[(C, body), (S, OK)])[1], "q0 | abc");
}

#[test]
fn an_upgrade_that_nobody_was_seen_asking_for_leaves_no_request_behind() {
    // Found by fuzzing: request 0 was said to be unanswered, and had never been said to be there.
    let told = talk(&[(S, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")]);
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn connect_and_websocket_are_left_alone() {
    let connect = "CONNECT up:443 HTTP/1.1\r\nHost: up\r\n\r\n";
    assert_eq!(
        talk(&[(C, connect), (S, "HTTP/1.1 200 OK\r\n\r\nGET"), (C, GET), (S, OK)]),
        ["q0 CONNECT up:443", "q0 end", "s0 200", "s0 end", "q0 upgraded"]
    );
    assert_eq!(talk(&[(C, connect), (S, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n"), (C, GET), (S, OK)]).len(), 9);
    let upgrade = "GET /ws HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(
        talk(&[(C, upgrade), (S, "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n\u{1}x"), (C, GET)]),
        ["q0 GET /ws", "q0 end", "s0 101", "s0 end", "q0 upgraded"]
    );
    assert_eq!(talk(&[(C, upgrade), (S, OK), (C, GET), (S, OK)]).len(), 10);
}

#[test]
fn h2c_hands_over() {
    let upgrade = "GET /h2 HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    let mut bench = Bench::new(true);
    bench.data(C, upgrade.as_bytes());
    bench.data(S, b"HTTP/1.1 101 Yes\r\nUpgrade: h2c\r\n\r\n");
    assert_eq!(bench.lines(), ["q0 GET /h2", "q0 end"]);
    assert_eq!(bench.connection.client_dir(), Some(C));
}

#[test]
fn a_response_that_was_captured_before_its_request_waits_for_it() {
    assert_eq!(talk(&[(S, OK), (C, GET), (C, GET), (S, OK)])[..6], ["q0 GET /a", "q0 end", "s0 200", "s0 | ok", "s0 end", "q1 GET /a"]);
    // Nobody asked: the server gave up an idle connection.
    assert_eq!(talk(&[(C, GET), (S, OK), (S, "HTTP/1.1 408 Too Late\r\nContent-Length: 0\r\n\r\n")])[5..], ["s1 408", "s1 end"]);
}

#[test]
fn codings_are_undone_and_damage_is_said() {
    let coded = |body: &[u8], coding: &str| {
        let mut bench = Bench::new(true);
        bench.data(C, GET.as_bytes());
        bench.data(S, format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
        bench.data(S, body);
        let undecoded = bench.counts.get(Count::Undecoded);
        (bench.lines().split_off(3), undecoded)
    };
    let gzipped = crate::http::coding::tests::gzip(b"hello");
    assert_eq!(coded(&gzipped, "gzip"), (vec!["s0 | hello".to_string(), "s0 end".to_string()], 0));
    assert_eq!(coded(&crate::http::coding::tests::zstd(&gzipped), "gzip, zstd").0[0], "s0 | hello");
    assert_eq!(coded(&gzipped[..gzipped.len() - 1], "gzip").0, ["s0 | hello", "s0 end unseen garbled"]);
    assert_eq!(coded(b"hello", "martian"), (vec!["s0 end unseen garbled".to_string()], 1));
}

#[test]
fn what_nobody_wants_is_framed_all_the_same() {
    let mut bench = Bench::new(true);
    bench.tape.nothing = true;
    bench.data(C, GET.as_bytes());
    bench.data(S, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(bench.lines()[2..], ["s0 200", "s0 end"]);
    assert_eq!(bench.counts.get(Count::Undecoded), 0);
}
