//! What is left of a connection where bytes of it are missing.

use crate::http::Part::{Request, Response};

use super::*;

fn unseen(n: u32, part: Part, len: Option<u64>) -> Call {
    Call::End(n, part, End::Unseen(lost(len)))
}

#[test]
fn a_hole_in_a_body_is_that_streams_alone() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/a");
    talk.ask(3, END_STREAM, "/b");
    talk.answer(1, 0, "200");
    talk.answer(3, 0, "200");
    talk.feed(SERVER, &data(END_STREAM, 1, b"0123456789")[..HEADER + 4]);
    talk.gap(SERVER, Some(3));
    talk.feed(SERVER, b"789");
    talk.feed(SERVER, &data(END_STREAM, 3, b"whole"));
    let wanted = [
        body(0, Response, b"0123"),
        Call::Hole(0, Response, lost(Some(3))),
        body(0, Response, b"789"),
        unseen(0, Response, Some(3)),
        body(1, Response, b"whole"),
        complete(1, Response),
    ];
    assert_eq!(talk.close(Close::Finished)[6..], wanted);
}

#[test]
fn a_hole_up_to_the_end_of_a_frame_is_told_only_if_reading_goes_on() {
    for more in [true, false] {
        let mut talk = Talk::new();
        talk.ask(1, END_STREAM, "/");
        talk.answer(1, 0, "200");
        talk.feed(SERVER, &data(PADDED, 1, b"\x02abcdef\0\0")[..HEADER + 4]);
        talk.gap(SERVER, Some(5));
        let mut wanted = vec![body(0, Response, b"abc")];
        if more {
            talk.feed(SERVER, &data(0, 1, b"g"));
            wanted.extend([Call::Hole(0, Response, lost(Some(3))), body(0, Response, b"g")]);
        }
        talk.feed(SERVER, &data(END_STREAM, 1, b""));
        wanted.push(unseen(0, Response, Some(5)).clone());
        let calls = talk.close(Close::Finished);
        assert_eq!(calls[3..calls.len() - 1], wanted[..wanted.len() - 1]);
        assert_eq!(calls.last(), Some(&unseen(0, Response, Some(3))), "three bytes of data, two of padding");
    }
}

#[test]
fn padding_of_unknown_length_leaves_the_rest_of_the_frame_unread() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/");
    talk.answer(1, 0, "200");
    talk.feed(SERVER, &data(PADDED, 1, b"\x02abcdef\0\0")[..HEADER]);
    talk.gap(SERVER, Some(2));
    talk.feed(SERVER, b"bcdef\0\0");
    talk.feed(SERVER, &data(END_STREAM, 1, b"g"));
    let wanted = [Call::Hole(0, Response, lost(None)), body(0, Response, b"g"), unseen(0, Response, None)];
    assert_eq!(talk.close(Close::Finished)[3..], wanted);
}

#[test]
fn a_frame_that_says_nothing_may_be_missing() {
    let mut talk = Talk::new();
    talk.ask(1, 0, "/");
    talk.feed(CLIENT, &frame(PING, 0, 0, &[0; 8])[..HEADER]);
    talk.gap(CLIENT, Some(8));
    talk.feed(CLIENT, &data(END_STREAM, 1, b"x"));
    assert_eq!(talk.close(Close::CaptureEnd)[1..3], [body(0, Request, b"x"), complete(0, Request)]);
}

#[test]
fn a_cut_header_block_leaves_what_came_before_the_cut() {
    let mut talk = Talk::new();
    let bytes = talk.asks(1, END_STREAM, "/a");
    talk.feed(CLIENT, &bytes[..bytes.len() - 5]);
    talk.gap(CLIENT, Some(5));
    // The same fields again, now as indexes into a table that nobody knows.
    talk.ask(3, END_STREAM, "/a");
    let cut = Call::Request { n: 0, method: "POST".into(), path: "/a".into(), partial: true };
    let unknown = Call::Request { n: 1, method: "POST".into(), path: String::new(), partial: true };
    assert_eq!(talk.count(Count::H2Unknown), 2, "path and authorization");
    assert_eq!(talk.close(Close::CaptureEnd)[..4], [cut, unseen(0, Request, Some(5)), unknown, complete(1, Request)]);
}

#[test]
fn a_response_whose_head_is_missing_has_status_zero() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/");
    let bytes = talk.answers(1, 0, "401");
    talk.feed(SERVER, &bytes[..HEADER]);
    talk.gap(SERVER, Some((bytes.len() - HEADER) as u64));
    assert_eq!(talk.notes.calls.len(), 2, "it may be an interim one");
    talk.feed(SERVER, &data(END_STREAM, 1, b"no"));
    let status_0 = Call::Response { n: 0, status: 0, partial: true };
    let gap = Some((bytes.len() - HEADER) as u64);
    assert_eq!(talk.close(Close::Finished)[2..], [status_0, body(0, Response, b"no"), unseen(0, Response, gap)]);

    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/");
    let bytes = talk.answers(1, 0, "103");
    talk.feed(SERVER, &bytes[..HEADER]);
    talk.gap(SERVER, Some((bytes.len() - HEADER) as u64));
    talk.answer(1, END_STREAM, "200");
    assert_eq!(talk.close(Close::Finished)[2], Call::Response { n: 0, status: 200, partial: true }, "content-type was in the lost block");
}

/// A conversation of three streams, of which the server's bytes from `cut.0` to `cut.1` are missing.
fn with_loss(cut: (usize, usize), len_known: bool) -> Vec<Call> {
    let mut talk = Talk::new();
    for stream in [1, 3, 5] {
        talk.ask(stream, END_STREAM, "/");
    }
    let bytes = three_answers(&mut talk);
    talk.feed(SERVER, &bytes[..cut.0]);
    talk.gap(SERVER, len_known.then_some((cut.1 - cut.0) as u64));
    talk.feed(SERVER, &bytes[cut.1..]);
    talk.close(Close::Finished)
}

fn three_answers(talk: &mut Talk) -> Vec<u8> {
    let mut bytes = talk.answers(1, 0, "200");
    bytes.extend(data(0, 1, b"one"));
    bytes.extend(talk.answers(3, 0, "401"));
    bytes.extend(data(0, 3, b"three"));
    bytes.extend(data(END_STREAM, 1, b"more"));
    bytes.extend(talk.answers(5, 0, "401"));
    bytes.extend(data(END_STREAM, 3, b""));
    bytes.extend(data(END_STREAM, 5, b"five"));
    bytes
}

#[test]
fn whatever_is_lost_nothing_false_is_told() {
    let mut talk = Talk::new();
    let total = three_answers(&mut talk).len();
    let texts: [(u16, &[u8]); 3] = [(200, b"onemore"), (401, b"three"), (401, b"five")];
    for from in 0..total {
        for to in from + 1..=total {
            for len_known in [true, false] {
                let calls = with_loss((from, to), len_known);
                for (n, (status, text)) in texts.iter().enumerate() {
                    let n = n as u32;
                    let mut got: Vec<u8> = Vec::new();
                    let mut holed = false;
                    for call in &calls {
                        match call {
                            Call::Response { n: its, status: told, .. } if *its == n => {
                                assert!(*told == 0 || told == status, "{from}..{to}: {calls:?}");
                            }
                            Call::Body(its, Response, bytes) if *its == n => {
                                assert!(text.windows(bytes.len()).any(|part| part == bytes.as_slice()), "{from}..{to}: {calls:?}");
                                got.extend(bytes);
                            }
                            Call::Hole(its, ..) if *its == n => holed = true,
                            Call::End(its, Response, End::Complete) if *its == n => {
                                assert!(!holed && got == *text, "{from}..{to}: complete only if all was seen: {calls:?}");
                            }
                            _ => {}
                        }
                    }
                }
                assert_eq!(calls.iter().filter(|call| matches!(call, Call::Request { .. })).count(), 3);
            }
        }
    }
}

#[test]
fn a_loss_ends_in_the_next_chain_of_frames() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/");
    talk.ask(3, END_STREAM, "/");
    talk.answer(1, 0, "200");
    talk.feed(SERVER, &data(0, 1, b"seen"));
    talk.gap(SERVER, Some(5000));
    talk.feed(SERVER, b"the end of a frame");
    talk.feed(SERVER, &data(0, 1, b"again"));
    talk.answer(3, 0, "200");
    talk.feed(SERVER, &data(END_STREAM, 3, b"x"));
    let calls = talk.close(Close::CaptureEnd);
    let wanted = [
        body(0, Response, b"seen"),
        Call::Hole(0, Response, lost(Some(5000))),
        body(0, Response, b"again"),
        Call::Response { n: 1, status: 200, partial: true },
        body(1, Response, b"x"),
        complete(1, Response),
        unseen(0, Response, Some(5000)),
    ];
    assert_eq!(calls[5..], wanted);
}

#[test]
fn no_answer_where_frames_are_missing_is_unseen_not_unanswered_by_the_server() {
    let mut talk = Talk::new();
    talk.ask(1, END_STREAM, "/");
    talk.gap(SERVER, None);
    talk.feed(CLIENT, &frame(RST_STREAM, 0, 1, &8u32.to_be_bytes()));
    assert_eq!(talk.close(Close::Finished)[2..], [Call::Unanswered(0, End::Unseen(lost(None)))]);
}

#[test]
fn a_server_that_begins_when_its_client_is_under_way_is_read() {
    let mut talk = Talk::mid_stream();
    let asked = [talk.asks(1, END_STREAM, "/one"), frame(WINDOW_UPDATE, 0, 1, &[0, 1, 0, 0])].concat();
    talk.feed(CLIENT, &asked);
    // As the h2 library sends them: in the middle of them are two frames of DATA on even streams.
    let settings = [[0, 1, 0, 0, 16, 0], [0, 2, 0, 0, 0, 0], [0, 4, 0, 0, 255, 255], [0, 5, 0, 0, 64, 0]];
    let more = [[0, 8, 0, 0, 0, 0], [0, 3, 0, 0, 0, 100], [0, 6, 0, 1, 0, 0]];
    talk.feed(SERVER, &frame(SETTINGS, 0, 0, &[settings.concat(), more.concat()].concat()));
    let answered = [frame(SETTINGS, ACK, 0, &[]), talk.answers(1, END_STREAM, "200")].concat();
    talk.feed(SERVER, &answered);
    talk.ask(3, END_STREAM, "/two");
    talk.answer(3, END_STREAM, "200");
    let answers = talk.close(Close::Finished).into_iter().filter(|call| matches!(call, Call::Response { .. })).count();
    assert_eq!(answers, 2);
}

#[test]
fn a_request_that_is_found_behind_its_answer_is_not_called_unanswered() {
    let mut talk = Talk::mid_stream();
    talk.ask(3, END_STREAM, "/one");
    talk.answer(3, END_STREAM, "200");
    talk.answer(5, END_STREAM, "204");
    // The second frame shows where the first begins.
    talk.ask(7, END_STREAM, "/two");
    talk.answer(7, END_STREAM, "200");
    let unanswered = talk.close(Close::Finished).into_iter().filter(|call| matches!(call, Call::Unanswered(..)));
    let before = Gap { len: None, cause: Cause::Before };
    assert_eq!(unanswered.collect::<Vec<_>>(), [Call::Unanswered(2, End::Unseen(before))]);
}

#[test]
fn a_late_start_reads_what_can_be_read() {
    // The first request and answer fill the tables before the capture begins.
    let mut talk = Talk::mid_stream();
    let _ = (talk.asks(1, 0, "/mcp"), talk.answers(1, 0, "401"));
    talk.feed(CLIENT, b"\"the end of a body\"}");
    talk.ask(3, END_STREAM, "/mcp");
    talk.ask(5, END_STREAM, "/new");
    talk.ask(7, END_STREAM, "/new");
    talk.feed(SERVER, &data(0, 1, b"tail of an old answer"));
    talk.answer(3, 0, "401");
    talk.feed(SERVER, &data(END_STREAM, 3, b"a"));
    talk.answer(5, END_STREAM, "200");
    let named = |n, path: &str| Call::Request { n, method: "POST".into(), path: path.into(), partial: true };
    let calls = talk.close(Close::CaptureEnd);
    let before = Gap { len: None, cause: Cause::Before };
    let wanted = [
        named(0, ""),
        complete(0, Request),
        named(1, "/new"),
        complete(1, Request),
        named(2, "/new"),
        complete(2, Request),
        Call::Response { n: 3, status: 0, partial: true },
        Call::Hole(3, Response, before),
        body(3, Response, b"tail of an old answer"),
        Call::Response { n: 0, status: 0, partial: true },
        body(0, Response, b"a"),
        complete(0, Response),
        Call::Response { n: 1, status: 200, partial: true },
        complete(1, Response),
        Call::End(3, Response, End::Unseen(before)),
        // Asked while the server's frames could not be read yet.
        Call::Unanswered(2, End::Unseen(before)),
    ];
    assert_eq!(calls, wanted);
}

#[test]
fn a_late_start_that_nobody_said_is_noticed() {
    let limits = Limits::default();
    let mut talk = Talk::with(Connection::prior_knowledge(&limits), limits);
    talk.ask(9, END_STREAM, "/mcp");
    talk.ask(11, END_STREAM, "/mcp");
    talk.answer(9, 0, "200");
    talk.feed(SERVER, &data(END_STREAM, 9, b"x"));
    let unknown = Call::Request { n: 1, method: "POST".into(), path: "/mcp".into(), partial: false };
    let wanted = [request(0, "/mcp"), complete(0, Request), unknown, complete(1, Request), response(0, 200), body(0, Response, b"x")];
    assert_eq!(talk.close(Close::CaptureEnd)[..6], wanted);
}

#[test]
fn a_beginning_is_recognised_though_it_was_in_doubt() {
    let mut talk = Talk::mid_stream();
    talk.feed(CLIENT, PREFACE);
    talk.feed(CLIENT, &frame(SETTINGS, 0, 0, &[]));
    talk.ask(1, END_STREAM, "/mcp");
    talk.feed(SERVER, &frame(SETTINGS, 0, 0, &[]));
    talk.feed(SERVER, &data(0, 1, b"nothing in doubt, so this is no answer"));
    let after = Gap { len: None, cause: Cause::After };
    let calls = talk.close(Close::CaptureEnd);
    assert_eq!(calls[..2], [request(0, "/mcp"), complete(0, Request)]);
    assert_eq!(calls.last(), Some(&Call::End(0, Response, End::Unseen(after))), "{calls:?}");
}
